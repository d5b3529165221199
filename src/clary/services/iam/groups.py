"""Groups of users, whose policies count for their members."""

from __future__ import annotations

from typing import Any

from clary.core.identifiers import random_id
from clary.core.service import Context, operation
from clary.services.iam import listing, users
from clary.services.iam.errors import DeleteConflict, EntityAlreadyExists, NoSuchEntity
from clary.services.iam.holders import Holder, find
from clary.services.iam.rows import GROUP, USER, home, write
from clary.storage.resources import Duplicate, Resource, Transaction


class Groups(Holder):
    kind = GROUP
    member = "GroupName"

    @operation("CreateGroup")
    async def create_group(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        name, path = request["GroupName"], request.get("Path", "/")
        try:
            group = await write(
                self._platform,
                lambda transaction: transaction.insert(
                    GROUP,
                    home(ctx.account),
                    name,
                    arn=f"arn:aws:iam::{ctx.account}:group{path}{name}",
                    document={"GroupName": name, "Path": path},
                    state={"GroupId": "AGPA" + random_id(17), "Inline": {}, "Attached": []},
                    created=self._platform.clock.now(),
                ),
            )
        except Duplicate:
            raise EntityAlreadyExists(f"Group with name {name} already exists.") from None
        return {"Group": _describe(group)}

    @operation("GetGroup")
    def get_group(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        group = self.found(ctx, request)
        members, paging = listing.page(_members(ctx, group.name), request, lambda user: user.name)
        return {"Group": _describe(group), "Users": [users.describe(ctx, user) for user in members]} | paging

    @operation("ListGroups")
    def list_groups(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        groups, paging = listing.page(listing.under(listing.rows(ctx, GROUP), request), request, lambda group: group.name)
        return {"Groups": [_describe(group) for group in groups]} | paging

    @operation("DeleteGroup")
    async def delete_group(self, ctx: Context, request: dict[str, Any]) -> None:
        group = self.found(ctx, request)
        if group.state["Inline"] or group.state["Attached"]:
            raise DeleteConflict("Cannot delete entity, must detach and delete all policies first.")
        if _members(ctx, group.name):
            raise DeleteConflict("Cannot delete entity, must remove users from group first.")
        await write(self._platform, lambda transaction: transaction.delete(group))

    @operation("AddUserToGroup")
    async def add_user_to_group(self, ctx: Context, request: dict[str, Any]) -> None:
        group = request["GroupName"]

        def work(transaction: Transaction) -> None:
            find(transaction, GROUP, ctx.account, group)
            user = find(transaction, USER, ctx.account, request["UserName"])
            self._set_groups(transaction, user, sorted({*user.state["Groups"], group}))

        await write(self._platform, work)

    @operation("RemoveUserFromGroup")
    async def remove_user_from_group(self, ctx: Context, request: dict[str, Any]) -> None:
        group = request["GroupName"]

        def work(transaction: Transaction) -> None:
            user = find(transaction, USER, ctx.account, request["UserName"])
            if group not in user.state["Groups"]:
                raise NoSuchEntity(f"The user {user.name} is not in the group {group}.")
            self._set_groups(transaction, user, [one for one in user.state["Groups"] if one != group])

        await write(self._platform, work)

    def _set_groups(self, transaction: Transaction, user: Resource, groups: list[str]) -> None:
        transaction.update(user, state=user.state | {"Groups": groups}, modified=self._platform.clock.now())

    @operation("ListGroupsForUser")
    def list_groups_for_user(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        user = find(self._platform.resources, USER, ctx.account, request["UserName"])
        names, paging = listing.page(user.state["Groups"], request, str)
        return {"Groups": [_describe(find(self._platform.resources, GROUP, ctx.account, name)) for name in names]} | paging

    @operation("PutGroupPolicy")
    async def put_group_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.put_inline(ctx, request)

    @operation("GetGroupPolicy")
    def get_group_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.get_inline(ctx, request)

    @operation("DeleteGroupPolicy")
    async def delete_group_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.delete_inline(ctx, request)

    @operation("ListGroupPolicies")
    def list_group_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_inline(ctx, request)

    @operation("AttachGroupPolicy")
    async def attach_group_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.attach(ctx, request)

    @operation("DetachGroupPolicy")
    async def detach_group_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.detach(ctx, request)

    @operation("ListAttachedGroupPolicies")
    def list_attached_group_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_attached(ctx, request)


def _members(ctx: Context, group: str) -> list[Resource]:
    return [user for user in listing.rows(ctx, USER) if group in user.state["Groups"]]


def _describe(group: Resource) -> dict[str, Any]:
    return group.document | {"GroupId": group.state["GroupId"], "Arn": group.arn, "CreateDate": group.created}
