"""Users: create, get, list, update, delete, and their groups."""

from __future__ import annotations

from typing import Any

from clary.core.errors import refuse_unenforced
from clary.core.identifiers import random_id
from clary.core.service import Context, operation
from clary.services.iam import listing
from clary.services.iam.errors import DeleteConflict, EntityAlreadyExists
from clary.services.iam.holders import Holder, find, tag_list, tag_values
from clary.services.iam.rows import USER, home, write
from clary.storage.resources import Duplicate, Resource, Transaction


class Users(Holder):
    kind = USER
    member = "UserName"

    @operation("CreateUser")
    async def create_user(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, "PermissionsBoundary")
        name, path = request["UserName"], request.get("Path", "/")
        state = {"UserId": "AIDA" + random_id(17), "Inline": {}, "Attached": [], "Groups": [], "AccessKeys": []}
        try:
            user = await write(
                self._platform,
                lambda transaction: transaction.insert(
                    USER,
                    home(ctx.account),
                    name,
                    arn=f"arn:aws:iam::{ctx.account}:user{path}{name}",
                    document={"UserName": name, "Path": path},
                    state=state,
                    tags=tag_values(request),
                    created=self._platform.clock.now(),
                ),
            )
        except Duplicate:
            raise EntityAlreadyExists(f"User with name {name} already exists.") from None
        return {"User": describe(ctx, user, tags=True)}

    @operation("GetUser")
    def get_user(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Without a name: whoever calls, which may be the account's root."""
        if "UserName" in request:
            return {"User": describe(ctx, self.found(ctx, request), tags=True)}
        if ctx.identity.kind == "user":
            name = ctx.identity.arn.rpartition("/")[2]
            return {"User": describe(ctx, find(self._platform.resources, USER, ctx.account, name), tags=True)}
        root = {"Path": "/", "UserName": ctx.account, "UserId": ctx.account, "CreateDate": 0}
        return {"User": root | {"Arn": f"arn:aws:iam::{ctx.account}:root"}}

    @operation("ListUsers")
    def list_users(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        users, paging = listing.page(listing.under(listing.rows(ctx, USER), request), request, lambda user: user.name)
        return {"Users": [describe(ctx, user) for user in users]} | paging

    @operation("DeleteUser")
    async def delete_user(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            user = find(transaction, USER, ctx.account, request["UserName"])
            if user.state["Inline"] or user.state["Attached"]:
                raise DeleteConflict("Cannot delete entity, must detach and delete all policies first.")
            if user.state["AccessKeys"]:
                raise DeleteConflict("Cannot delete entity, must delete access keys first.")
            if user.state["Groups"]:
                raise DeleteConflict("Cannot delete entity, must remove user from groups first.")
            transaction.delete(user)

        await write(self._platform, work)

    @operation("PutUserPolicy")
    async def put_user_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.put_inline(ctx, request)

    @operation("GetUserPolicy")
    def get_user_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.get_inline(ctx, request)

    @operation("DeleteUserPolicy")
    async def delete_user_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.delete_inline(ctx, request)

    @operation("ListUserPolicies")
    def list_user_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_inline(ctx, request)

    @operation("AttachUserPolicy")
    async def attach_user_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.attach(ctx, request)

    @operation("DetachUserPolicy")
    async def detach_user_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.detach(ctx, request)

    @operation("ListAttachedUserPolicies")
    def list_attached_user_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_attached(ctx, request)

    @operation("TagUser")
    async def tag_user(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.tag(ctx, request)

    @operation("UntagUser")
    async def untag_user(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.untag(ctx, request)

    @operation("ListUserTags")
    def list_user_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_tags(ctx, request)


def describe(ctx: Context, user: Resource, *, tags: bool = False) -> dict[str, Any]:
    """A user as IAM shows it; lists leave the tags out."""
    shown = user.document | {"UserId": user.state["UserId"], "Arn": user.arn, "CreateDate": user.created}
    return shown | ({"Tags": tag_list(ctx, user.arn)} if tags else {})
