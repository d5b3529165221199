"""Roles with their trust policies, service-linked ones included."""

from __future__ import annotations

from typing import Any

from clary.core.errors import refuse_unenforced
from clary.core.identifiers import random_id
from clary.core.service import Context, Platform, operation
from clary.services.iam import listing
from clary.services.iam.documents import check_trust_policy, encoded
from clary.services.iam.errors import DeleteConflict, EntityAlreadyExists, InvalidInput, UnmodifiableEntity
from clary.services.iam.holders import Holder, find, stored, tag_list, tag_values
from clary.services.iam.invented import InventedRoles
from clary.services.iam.rows import DEFAULT_ROLE, INSTANCE_PROFILE, ROLE, default_role, find_role, home, write
from clary.storage.resources import Resource, Transaction

DEFAULT_SESSION_SECONDS = 3600


class Roles(Holder):
    kind = ROLE
    member = "RoleName"

    def __init__(self, platform: Platform):
        super().__init__(platform)
        self._invented = InventedRoles.of(platform)

    @operation("CreateRole")
    async def create_role(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, "PermissionsBoundary")
        path = request.get("Path", "/")
        if path.startswith("/aws-service-role/"):
            raise InvalidInput("Path /aws-service-role/ is reserved; CreateServiceLinkedRole makes such roles.")
        document: dict[str, Any] = {"Path": path, "MaxSessionDuration": DEFAULT_SESSION_SECONDS}
        document |= {name: value for name, value in request.items() if name not in ("Tags", "PermissionsBoundary")}
        check_trust_policy(document["AssumeRolePolicyDocument"])
        return {"Role": describe(ctx, await self._insert(ctx, document, tag_values(request)), tags=True)}

    @operation("CreateServiceLinkedRole")
    async def create_service_linked_role(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        service = request["AWSServiceName"]
        name = f"AWSServiceRoleFor{service.split('.')[0].title().replace('-', '')}"
        name += f"_{request['CustomSuffix']}" if request.get("CustomSuffix") else ""
        trust = (
            '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
            f'"Principal":{{"Service":"{service}"}}}}]}}'
        )
        document = {
            "RoleName": name,
            "Path": f"/aws-service-role/{service}/",
            "AssumeRolePolicyDocument": trust,
            "Description": request.get("Description", ""),
            "MaxSessionDuration": DEFAULT_SESSION_SECONDS,
        }
        check_trust_policy(trust)
        return {"Role": describe(ctx, await self._insert(ctx, document, {}))}

    async def _insert(self, ctx: Context, document: dict[str, Any], tags: dict[str, str]) -> Resource:
        name = document["RoleName"]

        def work(transaction: Transaction) -> Resource:
            if find_role(transaction, ctx.account, name) is not None:
                raise EntityAlreadyExists(f"Role with name {name} already exists.")
            return transaction.insert(
                ROLE,
                home(ctx.account),
                name,
                arn=f"arn:aws:iam::{ctx.account}:role{document['Path']}{name}",
                document=document,
                state={"RoleId": "AROA" + random_id(17), "Inline": {}, "Attached": []},
                tags=tags,
                created=self._platform.clock.now(),
            )

        return await write(self._platform, work)

    @operation("GetRole")
    def get_role(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        name = request["RoleName"]
        role = find_role(self._platform.resources, ctx.account, name) or self._invented.find(ctx, name)
        return {"Role": describe(ctx, role or self.found(ctx, request), tags=True)}

    @operation("ListRoles")
    def list_roles(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        roles = {role.name: role for role in [default_role(ctx.account), *listing.rows(ctx, ROLE)]}
        shown, paging = listing.page(listing.under(roles.values(), request), request, lambda role: role.name)
        return {"Roles": [describe(ctx, role) for role in shown]} | paging

    @operation("UpdateRole")
    async def update_role(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = {name: request[name] for name in ("Description", "MaxSessionDuration") if name in request}
        await self._update(ctx, request, changed)
        return {}

    @operation("UpdateRoleDescription")
    async def update_role_description(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return {"Role": describe(ctx, await self._update(ctx, request, {"Description": request["Description"]}))}

    @operation("UpdateAssumeRolePolicy")
    async def update_assume_role_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self._update(ctx, request, {"AssumeRolePolicyDocument": check_trust_policy(request["PolicyDocument"])})

    async def _update(self, ctx: Context, request: dict[str, Any], changed: dict[str, Any]) -> Resource:
        def work(transaction: Transaction) -> Resource:
            role = stored(transaction, ROLE, ctx.account, request["RoleName"])
            return transaction.update(role, document=role.document | changed, modified=self._platform.clock.now())

        return await write(self._platform, work)

    @operation("DeleteRole")
    async def delete_role(self, ctx: Context, request: dict[str, Any]) -> None:
        name = request["RoleName"]
        if name == DEFAULT_ROLE:
            raise UnmodifiableEntity(f"{DEFAULT_ROLE} exists in every account of Clary and cannot be deleted.")
        profiles = [one.name for one in listing.rows(ctx, INSTANCE_PROFILE) if name in one.state["Roles"]]

        def work(transaction: Transaction) -> None:
            role = find(transaction, ROLE, ctx.account, name)
            if role.state["Inline"]:
                raise DeleteConflict("Cannot delete entity, must delete policies first.")
            if role.state["Attached"]:
                raise DeleteConflict("Cannot delete entity, must detach all policies first.")
            if profiles:
                raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
            transaction.delete(role)

        await write(self._platform, work)

    @operation("PutRolePolicy")
    async def put_role_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.put_inline(ctx, request)

    @operation("GetRolePolicy")
    def get_role_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.get_inline(ctx, request)

    @operation("DeleteRolePolicy")
    async def delete_role_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.delete_inline(ctx, request)

    @operation("ListRolePolicies")
    def list_role_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_inline(ctx, request)

    @operation("AttachRolePolicy")
    async def attach_role_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.attach(ctx, request)

    @operation("DetachRolePolicy")
    async def detach_role_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.detach(ctx, request)

    @operation("ListAttachedRolePolicies")
    def list_attached_role_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_attached(ctx, request)

    @operation("TagRole")
    async def tag_role(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.tag(ctx, request)

    @operation("UntagRole")
    async def untag_role(self, ctx: Context, request: dict[str, Any]) -> None:
        await self.untag(ctx, request)

    @operation("ListRoleTags")
    def list_role_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return self.list_tags(ctx, request)


def describe(ctx: Context, role: Resource, *, tags: bool = False) -> dict[str, Any]:
    """A role as IAM shows it; lists leave the tags out."""
    shown = role.document | {"RoleId": role.state["RoleId"], "Arn": role.arn, "CreateDate": role.created}
    shown["AssumeRolePolicyDocument"] = encoded(shown["AssumeRolePolicyDocument"])
    return shown | ({"Tags": tag_list(ctx, role.arn)} if tags else {})
