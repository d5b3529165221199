"""One mechanism, many declarations: what every resource with a name, an ARN, tags and a list has in common.

    MODEL = Declared(
        service="sagemaker",
        kind="model",
        member="Model",
        listed="Models",
        summary=("ModelName", "ModelArn", "CreationTime"),
        duplicate=(ValidationException, 'Cannot create already existing model "{arn}".'),
        missing=(ValidationException, 'Could not find model "{arn}".'),
    )

    class Models:
        @operation("CreateModel")
        async def create_model(self, ctx: Context, request: dict) -> dict:
            ...  # the checks that the model's shapes cannot express
            model = await MODEL.create(ctx, request)
            return {"ModelArn": model.arn}

        @operation("DescribeModel")
        def describe_model(self, ctx: Context, request: dict) -> dict:
            return MODEL.describe(MODEL.find(ctx, request))

The request is kept whole as the resource's document. Its state holds what Describe shows beyond it; keys of the state
that begin with an underscore are the server's own and never shown.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clary.core.errors import ServiceError, ValidationException
from clary.core.identifiers import arn as make_arn
from clary.core.service import Context
from clary.storage.resources import Duplicate, Resource, Transaction

ErrorText = tuple[type[ServiceError], str]
"""An error type and its message, in which `{name}` and `{arn}` are filled in."""

MAXIMUM_TAGS = 50


@dataclass(frozen=True, kw_only=True)
class Declared:
    """A kind of resource of one service."""

    service: str
    kind: str
    """Names the rows, and stands before the name in the ARN."""
    member: str
    """`Model`, from which `ModelName` and `ModelArn` follow."""
    listed: str
    """The member of the List answer that holds the summaries."""
    summary: tuple[str, ...]
    """Members of Describe that a summary shows, where present."""
    duplicate: ErrorText
    missing: ErrorText
    status_member: str = ""
    """Where Describe shows the status, for instance `TrainingJobStatus`."""

    @property
    def name_member(self) -> str:
        return f"{self.member}Name"

    def arn(self, ctx: Context, name: str) -> str:
        return make_arn(self.service, ctx.scope, f"{self.kind}/{name}")

    async def create(
        self,
        ctx: Context,
        request: dict[str, Any],
        *,
        status: str = "",
        state: dict[str, Any] | None = None,
        wake: str = "",
    ) -> Resource:
        """Record the request under its name; `wake` is the topic of the control loop that goes on from here.

        Raises the declared `duplicate` error, and ValidationException for tags that are not allowed.
        """
        name = request[self.name_member]
        tags = tags_from_list(request.get("Tags", []))
        document = {member: value for member, value in request.items() if member != "Tags"}

        def work(tx: Transaction) -> Resource:
            if wake:
                tx.wake(wake)
            return tx.insert(
                self.kind,
                ctx.scope,
                name,
                arn=self.arn(ctx, name),
                document=document,
                created=ctx.platform.clock.now(),
                status=status,
                state=state,
                tags=tags,
            )

        try:
            return await ctx.platform.resources.write(work)
        except Duplicate:
            raise self._error(self.duplicate, ctx, name) from None

    def find(self, ctx: Context, request: dict[str, Any]) -> Resource:
        """The resource that the request names. Raises the declared `missing` error."""
        name = request[self.name_member]
        resource = ctx.platform.resources.get(self.kind, ctx.scope, name)
        if resource is None:
            raise self._error(self.missing, ctx, name)
        return resource

    async def update(
        self, ctx: Context, request: dict[str, Any], change: Callable[[Resource], dict[str, Any]], *, wake: str = ""
    ) -> Resource:
        """Change the resource that the request names, in one transaction.

        `change(resource)` returns what to replace (`status`, `document`, `state`; nothing means leave it alone) or raises
        what the caller should see. It runs on the writer thread and sees the row as it is then.
        """
        name = request[self.name_member]

        def work(tx: Transaction) -> Resource:
            resource = tx.get(self.kind, ctx.scope, name)
            if resource is None:
                raise self._error(self.missing, ctx, name)
            if wake:
                tx.wake(wake)
            changes = change(resource)
            return tx.update(resource, modified=ctx.platform.clock.now(), **changes) if changes else resource

        return await ctx.platform.resources.write(work)

    async def delete(self, ctx: Context, request: dict[str, Any]) -> Resource:
        """Remove the resource that the request names, with its tags. Raises the declared `missing` error."""
        name = request[self.name_member]

        def work(tx: Transaction) -> Resource:
            resource = tx.get(self.kind, ctx.scope, name)
            if resource is None:
                raise self._error(self.missing, ctx, name)
            tx.delete(resource)
            return resource

        return await ctx.platform.resources.write(work)

    def describe(self, resource: Resource) -> dict[str, Any]:
        """The request as it came, the public part of the state, and the name, ARN, times and status."""
        shown = {member: value for member, value in resource.state.items() if not member.startswith("_")}
        computed = {
            self.name_member: resource.name,
            f"{self.member}Arn": resource.arn,
            "CreationTime": resource.created,
            "LastModifiedTime": resource.modified,
        }
        status = {self.status_member: resource.status} if self.status_member else {}
        return resource.document | shown | computed | status

    def list_page(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of the List operation: summaries and, when there is more, `NextToken`."""
        page, token = ctx.platform.resources.page(self.kind, ctx.scope, **_page_options(request))
        answer: dict[str, Any] = {self.listed: [self.summarize(resource) for resource in page]}
        return answer | ({"NextToken": token} if token else {})

    def summarize(self, resource: Resource) -> dict[str, Any]:
        described = self.describe(resource)
        return {member: described[member] for member in self.summary if member in described}

    def _error(self, text: ErrorText, ctx: Context, name: str) -> ServiceError:
        error, message = text
        return error(message.format(name=name, arn=self.arn(ctx, name)))


_FILTERS = {
    "NameContains": "name_contains",
    "StatusEquals": "status",
    "CreationTimeAfter": "created_after",
    "CreationTimeBefore": "created_before",
    "LastModifiedTimeAfter": "modified_after",
    "LastModifiedTimeBefore": "modified_before",
}


def _page_options(request: dict[str, Any]) -> dict[str, Any]:
    """The List members that all kinds share, as arguments of `ResourceStore.page`."""
    options = {option: _comparable(request[member]) for member, option in _FILTERS.items() if member in request}
    return options | {
        "sort_by": request.get("SortBy", "CreationTime"),
        "descending": request.get("SortOrder", "Descending") == "Descending",
        "limit": request.get("MaxResults", 10),
        "token": request.get("NextToken"),
    }


def _comparable(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value


def tags_from_list(tags: Iterable[dict[str, str]]) -> dict[str, str]:
    """`[{"Key": k, "Value": v}]` as a dictionary. Raises ValidationException for a key given twice, reserved, or too many."""
    pairs = [(tag["Key"], tag.get("Value", "")) for tag in tags]
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValidationException("Tags must not contain the same Key twice")
    check_tags(values)
    return values


def tags_to_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def check_tags(tags: Mapping[str, str], error: type[ServiceError] = ValidationException) -> None:
    """Raise `error` for a reserved key or more tags than a resource may have."""
    if reserved := [key for key in tags if key.lower().startswith("aws:")]:
        raise error(f"Tag keys starting with 'aws:' are reserved for system use: {reserved[0]!r}")
    if len(tags) > MAXIMUM_TAGS:
        raise error(f"A resource may have at most {MAXIMUM_TAGS} tags; this would make {len(tags)}")


@dataclass(frozen=True)
class Tagging:
    """AddTags, ListTags and DeleteTags over the ARNs of one service."""

    missing: ErrorText
    """For an ARN that names nothing in the caller's account and region."""
    error: type[ServiceError] = ValidationException
    """For tags that are not allowed."""

    async def add(self, ctx: Context, arn: str, tags: Mapping[str, str]) -> dict[str, str]:
        """Add or replace tags; returns all tags of the resource."""
        self._check_exists(ctx, arn)
        check_tags(tags, self.error)

        def work(tx: Transaction) -> None:
            check_tags(tx.tags(arn) | dict(tags), self.error)
            tx.set_tags(arn, tags)

        await ctx.platform.resources.write(work)
        return ctx.platform.resources.tags(arn)

    def of(self, ctx: Context, arn: str) -> dict[str, str]:
        self._check_exists(ctx, arn)
        return ctx.platform.resources.tags(arn)

    async def remove(self, ctx: Context, arn: str, keys: Collection[str]) -> None:
        """Remove the tags that are there; other keys are ignored."""
        self._check_exists(ctx, arn)
        await ctx.platform.resources.write(lambda tx: tx.remove_tags(arn, keys))

    def _check_exists(self, ctx: Context, arn: str) -> None:
        resource = ctx.platform.resources.by_arn(arn)
        if resource is None or resource.scope != ctx.scope:
            error, message = self.missing
            raise error(message.format(name=arn.rsplit("/", 1)[-1], arn=arn))
