"""Repositories: those that clients create, which stay empty, and those of the built-in images, which every registry has."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError, ValidationException, refuse_unenforced
from clary.core.identifiers import Scope, arn
from clary.core.service import Context, operation
from clary.services.declared import Declared, Tagging, tags_from_list, tags_to_list
from clary.services.ecr.builtin_images import repositories as builtin_repositories
from clary.storage.resources import Resource


class RepositoryNotFoundException(ServiceError):
    code = "RepositoryNotFoundException"
    status = 400


class RepositoryAlreadyExistsException(ServiceError):
    code = "RepositoryAlreadyExistsException"
    status = 400


class InvalidParameterException(ServiceError):
    code = "InvalidParameterException"
    status = 400


class InvalidTagParameterException(ServiceError):
    code = "InvalidTagParameterException"
    status = 400


REPOSITORY = Declared(
    service="ecr",
    kind="repository",
    member="repository",
    listed="repositories",
    summary=(),
    duplicate=(RepositoryAlreadyExistsException, "The repository with name '{name}' already exists in the registry ({arn})"),
    missing=(RepositoryNotFoundException, "The repository with name '{name}' does not exist in the registry ({arn})"),
)
TAGGING = Tagging(
    missing=(RepositoryNotFoundException, "The repository with name '{name}' does not exist in the registry ({arn})"),
    error=InvalidTagParameterException,
)


class Repositories:
    @operation("CreateRepository")
    async def create_repository(self, ctx: Context, request: dict) -> dict:
        refuse_unenforced(request, "imageScanningConfiguration.scanOnPush")
        if request.get("encryptionConfiguration", {}).get("encryptionType") != "AES256":
            refuse_unenforced(request, "encryptionConfiguration")
        _check_registry(ctx, request)
        row = await REPOSITORY.create(ctx, request | {"Tags": request.get("tags", [])})
        return {"repository": _described(row)}

    @operation("DescribeRepositories")
    def describe_repositories(self, ctx: Context, request: dict) -> dict:
        """Names are looked up; without names, the caller's own repositories are listed."""
        if "repositoryNames" in request:
            return {"repositories": [describe(ctx, request, name) for name in request["repositoryNames"]]}
        _check_registry(ctx, request)
        try:
            rows, token = ctx.platform.resources.page(
                REPOSITORY.kind,
                ctx.scope,
                sort_by="Name",
                descending=False,
                limit=request.get("maxResults", 100),
                token=request.get("nextToken"),
            )
        except ValidationException as error:
            raise InvalidParameterException(error.message) from error
        return {"repositories": [_described(row) for row in rows]} | ({"nextToken": token} if token else {})

    @operation("DeleteRepository")
    async def delete_repository(self, ctx: Context, request: dict) -> dict:
        _check_registry(ctx, request)
        return {"repository": _described(await REPOSITORY.delete(ctx, request))}

    @operation("TagResource")
    async def tag_resource(self, ctx: Context, request: dict) -> dict:
        await TAGGING.add(ctx, request["resourceArn"], tags_from_list(request["tags"]))
        return {}

    @operation("UntagResource")
    async def untag_resource(self, ctx: Context, request: dict) -> dict:
        await TAGGING.remove(ctx, request["resourceArn"], request["tagKeys"])
        return {}

    @operation("ListTagsForResource")
    def list_tags_for_resource(self, ctx: Context, request: dict) -> dict:
        return {"tags": tags_to_list(TAGGING.of(ctx, request["resourceArn"]))}


def describe(ctx: Context, request: dict, name: str) -> dict[str, Any]:
    """A repository of the caller, or else a built-in one in whichever registry is asked. Raises RepositoryNotFoundException."""
    registry = Scope(request.get("registryId", ctx.account), ctx.region)
    row = ctx.platform.resources.get(REPOSITORY.kind, ctx.scope, name) if registry == ctx.scope else None
    if row is not None:
        return _described(row)
    if name in builtin_repositories():
        return _address(registry, name)
    raise RepositoryNotFoundException(
        f"The repository with name '{name}' does not exist in the registry with id '{registry.account}'"
    )


def is_recorded(ctx: Context, request: dict) -> bool:
    """Whether the request means a repository that the caller made."""
    own = request.get("registryId", ctx.account) == ctx.account
    return own and ctx.platform.resources.get(REPOSITORY.kind, ctx.scope, request["repositoryName"]) is not None


def _check_registry(ctx: Context, request: dict) -> None:
    if request.get("registryId", ctx.account) != ctx.account:
        raise InvalidParameterException(f"registryId must be the caller's account, {ctx.account}")


def _described(row: Resource) -> dict[str, Any]:
    shown = (
        "imageTagMutability",
        "imageTagMutabilityExclusionFilters",
        "imageScanningConfiguration",
        "encryptionConfiguration",
    )
    settings = {"imageTagMutability": "MUTABLE"} | {member: row.document[member] for member in shown if member in row.document}
    return _address(row.scope, row.name) | {"createdAt": row.created} | settings


def _address(registry: Scope, name: str) -> dict[str, Any]:
    return {
        "repositoryArn": arn("ecr", registry, f"repository/{name}"),
        "registryId": registry.account,
        "repositoryName": name,
        "repositoryUri": f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com/{name}",
    }
