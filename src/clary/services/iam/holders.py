"""What users, groups and roles have in common: inline policies, attached policies, tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clary.core.service import Context, Platform
from clary.services.iam import listing, managed
from clary.services.iam.documents import check_identity_policy, encoded
from clary.services.iam.errors import LimitExceeded, NoSuchEntity
from clary.services.iam.rows import GROUP, POLICY, ROLE, USER, default_role, find_role, home, write
from clary.storage.resources import Resource, ResourceStore, Transaction

MOST_ATTACHED = 20
"""AWS's quota of managed policies attached to one user, group or role."""
_NOUNS = {USER: "user", GROUP: "group", ROLE: "role"}


def find(store: ResourceStore | Transaction, kind: str, account: str, name: str) -> Resource:
    """A user, group or role. Raises NoSuchEntity."""
    found = find_role(store, account, name) if kind == ROLE else store.get(kind, home(account), name)
    if found is None:
        raise NoSuchEntity(f"The {_NOUNS[kind]} with name {name} cannot be found.")
    return found


def stored(transaction: Transaction, kind: str, account: str, name: str) -> Resource:
    """Like `find`, for changing: the default role gets its row the first time it is changed."""
    found = find(transaction, kind, account, name)
    if kind == ROLE and transaction.get(ROLE, home(account), name) is None:
        role = default_role(account)
        return transaction.insert(
            ROLE, home(account), name, arn=role.arn, document=role.document, state=role.state, created=role.created
        )
    return found


class Holder:
    """Operations on the policies and tags of one kind of holder; subclasses give them their API names."""

    kind: str
    member: str
    """The request's member with the holder's name: `UserName`, `GroupName` or `RoleName`."""

    def __init__(self, platform: Platform):
        self._platform = platform

    def found(self, ctx: Context, request: dict[str, Any]) -> Resource:
        return find(self._platform.resources, self.kind, ctx.account, request[self.member])

    async def change(
        self, ctx: Context, request: dict[str, Any], new_state: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        """Replace the members of the holder's state that `new_state(state)` returns, in one transaction."""

        def work(transaction: Transaction) -> None:
            holder = stored(transaction, self.kind, ctx.account, request[self.member])
            transaction.update(holder, state=holder.state | new_state(holder.state), modified=self._platform.clock.now())

        await write(self._platform, work)

    async def put_inline(self, ctx: Context, request: dict[str, Any]) -> None:
        name, document = request["PolicyName"], check_identity_policy(request["PolicyDocument"])
        await self.change(ctx, request, lambda state: {"Inline": state["Inline"] | {name: document}})

    def get_inline(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        holder, name = self.found(ctx, request), request["PolicyName"]
        if name not in holder.state["Inline"]:
            raise _no_inline(self.kind, name)
        return {self.member: holder.name, "PolicyName": name, "PolicyDocument": encoded(holder.state["Inline"][name])}

    async def delete_inline(self, ctx: Context, request: dict[str, Any]) -> None:
        name = request["PolicyName"]

        def without(state: dict[str, Any]) -> dict[str, Any]:
            if name not in state["Inline"]:
                raise _no_inline(self.kind, name)
            return {"Inline": {other: text for other, text in state["Inline"].items() if other != name}}

        await self.change(ctx, request, without)

    def list_inline(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        names, paging = listing.page(self.found(ctx, request).state["Inline"], request, str)
        return {"PolicyNames": names} | paging

    async def attach(self, ctx: Context, request: dict[str, Any]) -> None:
        arn = request["PolicyArn"]
        self._check_policy(ctx, arn)

        def with_policy(state: dict[str, Any]) -> dict[str, Any]:
            attached = [*(one for one in state["Attached"] if one != arn), arn]
            if len(attached) > MOST_ATTACHED:
                raise LimitExceeded(f"Cannot exceed quota for PoliciesPer{_NOUNS[self.kind].title()}: {MOST_ATTACHED}")
            return {"Attached": attached}

        await self.change(ctx, request, with_policy)

    def _check_policy(self, ctx: Context, arn: str) -> None:
        row = self._platform.resources.by_arn(arn)
        is_own = row is not None and row.kind == POLICY and row.scope.account == ctx.account
        if not is_own and arn not in managed.BY_ARN:
            raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")

    async def detach(self, ctx: Context, request: dict[str, Any]) -> None:
        arn = request["PolicyArn"]

        def without(state: dict[str, Any]) -> dict[str, Any]:
            if arn not in state["Attached"]:
                raise NoSuchEntity(f"Policy {arn} was not found.")
            return {"Attached": [one for one in state["Attached"] if one != arn]}

        await self.change(ctx, request, without)

    def list_attached(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        arns, paging = listing.page(self.found(ctx, request).state["Attached"], request, str)
        return {"AttachedPolicies": [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]} | paging

    async def tag(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            holder = stored(transaction, self.kind, ctx.account, request[self.member])
            transaction.set_tags(holder.arn, tag_values(request))

        await write(self._platform, work)

    async def untag(self, ctx: Context, request: dict[str, Any]) -> None:
        holder = self.found(ctx, request)
        await write(self._platform, lambda transaction: transaction.remove_tags(holder.arn, request["TagKeys"]))

    def list_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        tags, paging = listing.page(tag_list(ctx, self.found(ctx, request).arn), request, lambda tag: tag["Key"])
        return {"Tags": tags} | paging


def tag_values(request: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}


def tag_list(ctx: Context, arn: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in ctx.platform.resources.tags(arn).items()]


def _no_inline(kind: str, name: str) -> NoSuchEntity:
    return NoSuchEntity(f"The {_NOUNS[kind]} policy with name {name} cannot be found.")
