"""Tags of every SageMaker resource, by its ARN."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ValidationException
from clary.core.service import Context, Platform, operation
from clary.services.declared import Tagging, tags_from_list, tags_to_list

TAGGING = Tagging(missing=(ValidationException, "Could not find resource {arn}."))


class Tags:
    def __init__(self, platform: Platform):
        self.platform = platform

    @operation("AddTags")
    async def add_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        tags = await TAGGING.add(ctx, request["ResourceArn"], tags_from_list(request["Tags"]))
        return {"Tags": tags_to_list(tags)}

    @operation("ListTags")
    def list_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """All tags at once: a resource has at most 50, the smallest page this operation allows."""
        return {"Tags": tags_to_list(TAGGING.of(ctx, request["ResourceArn"]))}

    @operation("DeleteTags")
    async def delete_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        await TAGGING.remove(ctx, request["ResourceArn"], request["TagKeys"])
        return {}
