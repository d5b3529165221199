"""Tags of log groups, by ARN and, as in the older operations, by name."""

from __future__ import annotations

from clary.core.errors import ResourceNotFoundException
from clary.core.service import Context, operation
from clary.services.declared import Tagging
from clary.services.logs.lookup import InvalidParameterException, find_group

TAGGING = Tagging(
    missing=(ResourceNotFoundException, "The specified resource does not exist."), error=InvalidParameterException
)


class Tags:
    @operation("TagResource")
    async def tag_resource(self, ctx: Context, request: dict) -> dict:
        await TAGGING.add(ctx, request["resourceArn"], request["tags"])
        return {}

    @operation("UntagResource")
    async def untag_resource(self, ctx: Context, request: dict) -> dict:
        await TAGGING.remove(ctx, request["resourceArn"], request["tagKeys"])
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, ctx: Context, request: dict) -> dict:
        return {"tags": TAGGING.of(ctx, request["resourceArn"])}

    @operation("TagLogGroup")
    async def tag_log_group(self, ctx: Context, request: dict) -> dict:
        await TAGGING.add(ctx, find_group(ctx, request["logGroupName"]).arn, request["tags"])
        return {}

    @operation("UntagLogGroup")
    async def untag_log_group(self, ctx: Context, request: dict) -> dict:
        await TAGGING.remove(ctx, find_group(ctx, request["logGroupName"]).arn, request["tags"])
        return {}

    @operation("ListTagsLogGroup")
    def list_tags_log_group(self, ctx: Context, request: dict) -> dict:
        return {"tags": TAGGING.of(ctx, find_group(ctx, request["logGroupName"]).arn)}
