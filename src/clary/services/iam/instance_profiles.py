"""Instance profiles: the container of one role that EC2-shaped APIs name."""

from __future__ import annotations

from typing import Any

from clary.core.identifiers import random_id
from clary.core.service import Context, Platform, operation
from clary.services.iam import listing, roles
from clary.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from clary.services.iam.holders import find, tag_list, tag_values
from clary.services.iam.rows import INSTANCE_PROFILE, ROLE, home, write
from clary.storage.resources import Duplicate, Resource, ResourceStore, Transaction


class InstanceProfiles:
    def __init__(self, platform: Platform):
        self._platform = platform

    @operation("CreateInstanceProfile")
    async def create_instance_profile(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        name, path = request["InstanceProfileName"], request.get("Path", "/")
        try:
            row = await write(
                self._platform,
                lambda transaction: transaction.insert(
                    INSTANCE_PROFILE,
                    home(ctx.account),
                    name,
                    arn=f"arn:aws:iam::{ctx.account}:instance-profile{path}{name}",
                    document={"InstanceProfileName": name, "Path": path},
                    state={"InstanceProfileId": "AIPA" + random_id(17), "Roles": []},
                    tags=tag_values(request),
                    created=self._platform.clock.now(),
                ),
            )
        except Duplicate:
            raise EntityAlreadyExists(f"Instance Profile {name} already exists.") from None
        return {"InstanceProfile": _describe(ctx, row)}

    @operation("GetInstanceProfile")
    def get_instance_profile(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        row = _find(self._platform.resources, ctx, request)
        return {"InstanceProfile": _describe(ctx, row) | {"Tags": tag_list(ctx, row.arn)}}

    @operation("ListInstanceProfiles")
    def list_instance_profiles(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        rows = listing.under(listing.rows(ctx, INSTANCE_PROFILE), request)
        shown, paging = listing.page(rows, request, lambda row: row.name)
        return {"InstanceProfiles": [_describe(ctx, row) for row in shown]} | paging

    @operation("ListInstanceProfilesForRole")
    def list_instance_profiles_for_role(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        role = find(self._platform.resources, ROLE, ctx.account, request["RoleName"])
        rows = [row for row in listing.rows(ctx, INSTANCE_PROFILE) if role.name in row.state["Roles"]]
        shown, paging = listing.page(rows, request, lambda row: row.name)
        return {"InstanceProfiles": [_describe(ctx, row) for row in shown]} | paging

    @operation("DeleteInstanceProfile")
    async def delete_instance_profile(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            row = _find(transaction, ctx, request)
            if row.state["Roles"]:
                raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
            transaction.delete(row)

        await write(self._platform, work)

    @operation("AddRoleToInstanceProfile")
    async def add_role_to_instance_profile(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            row = _find(transaction, ctx, request)
            role = find(transaction, ROLE, ctx.account, request["RoleName"])
            if row.state["Roles"]:
                raise LimitExceeded("Cannot exceed quota for InstanceSessionsPerInstanceProfile: 1")
            self._set_roles(transaction, row, [role.name])

        await write(self._platform, work)

    @operation("RemoveRoleFromInstanceProfile")
    async def remove_role_from_instance_profile(self, ctx: Context, request: dict[str, Any]) -> None:
        def work(transaction: Transaction) -> None:
            row = _find(transaction, ctx, request)
            if request["RoleName"] not in row.state["Roles"]:
                raise NoSuchEntity(f"The role {request['RoleName']} is not in the instance profile {row.name}.")
            self._set_roles(transaction, row, [])

        await write(self._platform, work)

    def _set_roles(self, transaction: Transaction, row: Resource, names: list[str]) -> None:
        transaction.update(row, state=row.state | {"Roles": names}, modified=self._platform.clock.now())


def _find(store: ResourceStore | Transaction, ctx: Context, request: dict[str, Any]) -> Resource:
    row = store.get(INSTANCE_PROFILE, home(ctx.account), request["InstanceProfileName"])
    if row is None:
        raise NoSuchEntity(f"Instance Profile {request['InstanceProfileName']} cannot be found.")
    return row


def _describe(ctx: Context, row: Resource) -> dict[str, Any]:
    held = [find(ctx.platform.resources, ROLE, ctx.account, name) for name in row.state["Roles"]]
    return row.document | {
        "InstanceProfileId": row.state["InstanceProfileId"],
        "Arn": row.arn,
        "CreateDate": row.created,
        "Roles": [roles.describe(ctx, role) for role in held],
    }
