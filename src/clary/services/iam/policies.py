"""Managed policies and their versions; AWS's own are there to be read and attached."""

from __future__ import annotations

from typing import Any

from clary.core.identifiers import random_id
from clary.core.service import Context, Platform, operation
from clary.services.iam import listing, managed
from clary.services.iam.documents import check_identity_policy, encoded
from clary.services.iam.errors import DeleteConflict, EntityAlreadyExists, LimitExceeded, NoSuchEntity
from clary.services.iam.holders import tag_list, tag_values
from clary.services.iam.rows import GROUP, POLICY, ROLE, USER, default_role, home, write
from clary.storage.resources import Duplicate, Resource, Transaction

MOST_VERSIONS = 5
_HOLDERS = {USER: ("PolicyUsers", "User"), GROUP: ("PolicyGroups", "Group"), ROLE: ("PolicyRoles", "Role")}


class ManagedPolicies:
    def __init__(self, platform: Platform):
        self._platform = platform

    @operation("CreatePolicy")
    async def create_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        name, path, now = request["PolicyName"], request.get("Path", "/"), self._platform.clock.now()
        version = {"VersionId": "v1", "Document": check_identity_policy(request["PolicyDocument"]), "CreateDate": now}
        state = {"PolicyId": "ANPA" + random_id(17), "Versions": [version], "Default": "v1", "Next": 2}
        document = {"PolicyName": name, "Path": path, "Description": request.get("Description", "")}
        arn = f"arn:aws:iam::{ctx.account}:policy{path}{name}"
        try:
            row = await write(
                self._platform,
                lambda transaction: transaction.insert(
                    POLICY,
                    home(ctx.account),
                    name,
                    arn=arn,
                    document=document,
                    state=state,
                    tags=tag_values(request),
                    created=now,
                ),
            )
        except Duplicate:
            raise EntityAlreadyExists(f"A policy called {name} already exists. Duplicate names are not allowed.") from None
        return {"Policy": _describe(ctx, row)}

    @operation("GetPolicy")
    def get_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        arn = request["PolicyArn"]
        if arn in managed.BY_ARN:
            return {"Policy": _describe_managed(ctx, managed.BY_ARN[arn])}
        row = self._found(ctx, arn)
        return {"Policy": _describe(ctx, row) | {"Tags": tag_list(ctx, arn)}}

    def _found(self, ctx: Context, arn: str) -> Resource:
        row = self._platform.resources.by_arn(arn)
        if row is None or row.kind != POLICY or row.scope.account != ctx.account:
            raise NoSuchEntity(f"Policy {arn} was not found.")
        return row

    @operation("ListPolicies")
    def list_policies(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        scope = request.get("Scope", "All")
        shown = [] if scope == "Local" else [_describe_managed(ctx, policy) for policy in managed.BY_ARN.values()]
        shown += [] if scope == "AWS" else [_describe(ctx, row) for row in listing.rows(ctx, POLICY)]
        prefix, only_attached = request.get("PathPrefix", "/"), request.get("OnlyAttached", False)
        shown = [one for one in shown if one["Path"].startswith(prefix) and (one["AttachmentCount"] or not only_attached)]
        policies, paging = listing.page(shown, request, lambda policy: policy["Arn"])
        return {"Policies": policies} | paging

    @operation("DeletePolicy")
    async def delete_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        row = self._found(ctx, request["PolicyArn"])
        if len(row.state["Versions"]) > 1:
            raise DeleteConflict("This policy has more than one version. Delete all but the default version first.")
        if _holders(ctx, row.arn):
            raise DeleteConflict("Cannot delete a policy attached to entities.")
        await write(self._platform, lambda transaction: transaction.delete(row))

    @operation("CreatePolicyVersion")
    async def create_policy_version(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        document, now = check_identity_policy(request["PolicyDocument"]), self._platform.clock.now()
        found = self._found(ctx, request["PolicyArn"])

        def work(transaction: Transaction) -> Resource:
            row = _locked(transaction, found)
            if len(row.state["Versions"]) >= MOST_VERSIONS:
                raise LimitExceeded("A managed policy can have up to 5 versions. Delete one before creating another.")
            version_id = f"v{row.state['Next']}"
            version = {"VersionId": version_id, "Document": document, "CreateDate": now}
            state = row.state | {"Versions": [*row.state["Versions"], version], "Next": row.state["Next"] + 1}
            state |= {"Default": version_id} if request.get("SetAsDefault") else {}
            return transaction.update(row, state=state, modified=now)

        row = await write(self._platform, work)
        return {"PolicyVersion": _version(row, row.state["Versions"][-1], document=False)}

    @operation("GetPolicyVersion")
    def get_policy_version(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        arn, wanted = request["PolicyArn"], request["VersionId"]
        if arn in managed.BY_ARN and wanted == "v1":
            shown = {"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0}
            return {"PolicyVersion": shown | {"Document": encoded(managed.BY_ARN[arn].document)}}
        row = self._found(ctx, arn)
        return {"PolicyVersion": _version(row, _named(row, wanted), document=True)}

    @operation("ListPolicyVersions")
    def list_policy_versions(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request["PolicyArn"] in managed.BY_ARN:
            return {"Versions": [{"VersionId": "v1", "IsDefaultVersion": True, "CreateDate": 0}], "IsTruncated": False}
        row = self._found(ctx, request["PolicyArn"])
        versions, paging = listing.page(row.state["Versions"], request, lambda version: version["VersionId"])
        return {"Versions": [_version(row, version, document=False) for version in versions]} | paging

    @operation("DeletePolicyVersion")
    async def delete_policy_version(self, ctx: Context, request: dict[str, Any]) -> None:
        found, wanted = self._found(ctx, request["PolicyArn"]), request["VersionId"]

        def work(transaction: Transaction) -> None:
            row = _locked(transaction, found)
            gone = _named(row, wanted)
            if row.state["Default"] == wanted:
                raise DeleteConflict("Cannot delete the default version of a policy.")
            state = row.state | {"Versions": [version for version in row.state["Versions"] if version != gone]}
            transaction.update(row, state=state, modified=self._platform.clock.now())

        await write(self._platform, work)

    @operation("SetDefaultPolicyVersion")
    async def set_default_policy_version(self, ctx: Context, request: dict[str, Any]) -> None:
        found = self._found(ctx, request["PolicyArn"])

        def work(transaction: Transaction) -> None:
            row = _locked(transaction, found)
            state = row.state | {"Default": _named(row, request["VersionId"])["VersionId"]}
            transaction.update(row, state=state, modified=self._platform.clock.now())

        await write(self._platform, work)

    @operation("ListEntitiesForPolicy")
    def list_entities_for_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request["PolicyArn"] not in managed.BY_ARN:
            self._found(ctx, request["PolicyArn"])
        holders = [one for one in _holders(ctx, request["PolicyArn"]) if _is_asked_for(request, one)]
        holders, paging = listing.page(holders, request, lambda one: f"{one.kind}/{one.name}")
        answer: dict[str, Any] = {name: [] for name, _ in _HOLDERS.values()}
        for holder in holders:
            name, noun = _HOLDERS[holder.kind]
            answer[name].append({f"{noun}Name": holder.name, f"{noun}Id": holder.state[f"{noun}Id"]})
        return answer | paging

    @operation("TagPolicy")
    async def tag_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        arn = self._found(ctx, request["PolicyArn"]).arn
        await write(self._platform, lambda transaction: transaction.set_tags(arn, tag_values(request)))

    @operation("UntagPolicy")
    async def untag_policy(self, ctx: Context, request: dict[str, Any]) -> None:
        arn = self._found(ctx, request["PolicyArn"]).arn
        await write(self._platform, lambda transaction: transaction.remove_tags(arn, request["TagKeys"]))

    @operation("ListPolicyTags")
    def list_policy_tags(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        tags, paging = listing.page(tag_list(ctx, self._found(ctx, request["PolicyArn"]).arn), request, lambda tag: tag["Key"])
        return {"Tags": tags} | paging


def _locked(transaction: Transaction, found: Resource) -> Resource:
    row = transaction.get(POLICY, found.scope, found.name)
    if row is None:
        raise NoSuchEntity(f"Policy {found.arn} was not found.")
    return row


def _named(row: Resource, version_id: str) -> dict[str, Any]:
    for version in row.state["Versions"]:
        if version["VersionId"] == version_id:
            return version
    raise NoSuchEntity(f"Policy {row.arn} version {version_id} does not exist or is not attachable.")


def _is_asked_for(request: dict[str, Any], holder: Resource) -> bool:
    """Nothing here has a permissions boundary, so no policy is used as one."""
    return (
        request.get("EntityFilter", _HOLDERS[holder.kind][1]) == _HOLDERS[holder.kind][1]
        and holder.document["Path"].startswith(request.get("PathPrefix", "/"))
        and request.get("PolicyUsageFilter") != "PermissionsBoundary"
    )


def _holders(ctx: Context, arn: str) -> list[Resource]:
    roles = {role.name: role for role in [default_role(ctx.account), *listing.rows(ctx, ROLE)]}
    everyone = [*listing.rows(ctx, USER), *listing.rows(ctx, GROUP), *roles.values()]
    return [holder for holder in everyone if arn in holder.state["Attached"]]


def _describe(ctx: Context, row: Resource) -> dict[str, Any]:
    return row.document | {
        "PolicyId": row.state["PolicyId"],
        "Arn": row.arn,
        "DefaultVersionId": row.state["Default"],
        "AttachmentCount": len(_holders(ctx, row.arn)),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": row.created,
        "UpdateDate": row.modified,
    }


def _describe_managed(ctx: Context, policy: managed.ManagedPolicy) -> dict[str, Any]:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": "v1",
        "AttachmentCount": len(_holders(ctx, policy.arn)),
        "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "CreateDate": 0,
        "UpdateDate": 0,
    }


def _version(row: Resource, version: dict[str, Any], *, document: bool) -> dict[str, Any]:
    shown = {name: version[name] for name in ("VersionId", "CreateDate")}
    shown["IsDefaultVersion"] = version["VersionId"] == row.state["Default"]
    return shown | ({"Document": encoded(version["Document"])} if document else {})
