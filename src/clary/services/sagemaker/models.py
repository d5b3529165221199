"""Models: what an endpoint or a batch transform runs. A model is checked here and read when something starts it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from clary.catalog import algorithms, frameworks
from clary.core.errors import ServiceError, ValidationException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker.channels import has_objects, role_identity

MODEL = Declared(
    service="sagemaker",
    kind="model",
    member="Model",
    listed="Models",
    summary=("ModelName", "ModelArn", "CreationTime"),
    duplicate=(ValidationException, 'Cannot create already existing model "{arn}".'),
    missing=(ValidationException, 'Could not find model "{arn}".'),
)
_UNENFORCED_OF_MODEL = ("VpcConfig", "EnableNetworkIsolation")
_UNENFORCED_OF_CONTAINER = (
    "ModelPackageName",
    "AdditionalModelDataSources",
    "ImageConfig.RepositoryAuthConfig",
    "ModelDataSource.S3DataSource.HubAccessConfig",
    "ModelDataSource.S3DataSource.ManifestS3Uri",
    "ModelDataSource.S3DataSource.ETag",
    "ModelDataSource.S3DataSource.ManifestEtag",
)


class Models:
    """CreateModel, DescribeModel, ListModels, DeleteModel."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @operation("CreateModel")
    async def create_model(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        container = _only_container(request)
        _check_container(request, container)
        role = request.get("ExecutionRoleArn")
        if role:
            self._platform.extensions["authorizer"].pass_role(ctx, role, "sagemaker.amazonaws.com")
        if source := model_data(container):
            await _check_model_data(ctx, source, role)
        model = await MODEL.create(ctx, request)
        return {"ModelArn": model.arn}

    @operation("DescribeModel")
    def describe_model(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        described = MODEL.describe(MODEL.find(ctx, request))
        return {"EnableNetworkIsolation": False} | _without(described, "LastModifiedTime")

    @operation("ListModels")
    def list_models(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return MODEL.list_page(ctx, request)

    @operation("DeleteModel")
    async def delete_model(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Allowed while endpoints use the model: they keep a copy of all they need."""
        await MODEL.delete(ctx, request)
        return {}


def _without(described: dict[str, Any], member: str) -> dict[str, Any]:
    return {name: value for name, value in described.items() if name != member}


def container_of(model: dict[str, Any]) -> dict[str, Any]:
    """The container of a recorded CreateModel request."""
    return model.get("PrimaryContainer") or model["Containers"][0]


def model_data(container: dict[str, Any]) -> dict[str, str] | None:
    """Where the container's model is: `{"S3Uri", "S3DataType", "CompressionType"}`, or None when it brings none."""
    if url := container.get("ModelDataUrl"):
        return {"S3Uri": url, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    return {name: source[name] for name in ("S3Uri", "S3DataType", "CompressionType")} if source else None


def _only_container(request: dict[str, Any]) -> dict[str, Any]:
    primary, several = request.get("PrimaryContainer"), request.get("Containers") or []
    if primary and several:
        raise ValidationException("PrimaryContainer and Containers cannot both be given")
    if len(several) > 1:
        raise ValidationException(
            f"Containers has {len(several)} members; inference pipelines of several containers are not supported by Clary yet"
        )
    containers = [primary] if primary else several
    if not containers:
        raise ValidationException("PrimaryContainer is required: it names the Image that serves the model")
    return containers[0]


def _check_container(request: dict[str, Any], container: dict[str, Any]) -> None:
    refuse_unenforced(request, *_UNENFORCED_OF_MODEL)
    refuse_unenforced(container, *_UNENFORCED_OF_CONTAINER)
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise ValidationException(f"Mode {container['Mode']} is not supported by Clary yet; use SingleModel")
    if container.get("ImageConfig", {}).get("RepositoryAccessMode") == "Vpc":
        raise ValidationException("ImageConfig.RepositoryAccessMode Vpc is not supported by Clary yet; use Platform")
    if "Image" not in container:
        raise ValidationException("Image is required in a model's container")
    image, environment = container["Image"], container.get("Environment", {})
    if frameworks.for_serving(image, environment) is None and algorithms.find(image) is None:
        why = frameworks.refusal(image) or f"it serves {_servable()}"
        raise ValidationException(f"Image {image} cannot be served by Clary yet: {why}")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise ValidationException("ModelDataUrl and ModelDataSource cannot both be given")
    _check_source(model_data(container))


def _servable() -> str:
    """Repositories and tags of all images that can be served."""
    known = [repositories for algorithm in algorithms.every() for repositories in algorithm.repositories.items()]
    built_in = "; ".join(f"{repository} with tag {', '.join(tags)}" for repository, tags in known)
    return f"{built_in}; {', '.join(name for framework in frameworks.FRAMEWORKS for name in framework.repositories)}"


def _check_source(source: dict[str, str] | None) -> None:
    if source is None:
        return
    if split_s3_uri(source["S3Uri"]) is None:
        raise ValidationException(f"Model data must be an object in S3, given as s3://bucket/key; got {source['S3Uri']!r}")
    if source["S3DataType"] == "S3Prefix" and source["CompressionType"] == "Gzip":
        raise ValidationException("ModelDataSource with S3DataType S3Prefix needs CompressionType None")


def split_s3_uri(uri: str) -> tuple[str, str] | None:
    """Bucket and key of `s3://bucket/key` or `https://.../bucket/key`; None for anything else."""
    parts = urlsplit(uri)
    bucket, key = (parts.netloc, parts.path[1:]) if parts.scheme == "s3" else ("", "")
    if parts.scheme == "https":
        bucket, _, key = parts.path[1:].partition("/")
    return (bucket, key) if bucket and key else None


async def _check_model_data(ctx: Context, source: dict[str, str], role: str | None) -> None:
    """Raise unless the role finds the model's data."""
    if not role:
        raise ValidationException("ExecutionRoleArn is required: it says with whose rights the model data is read")
    uri = source["S3Uri"]
    bucket, key = split_s3_uri(uri) or ("", "")
    if source["S3DataType"] == "S3Prefix":
        if not await has_objects(ctx, role, bucket, key):
            raise ValidationException(f"Could not find model data at {uri}.")
        return
    request, identity = {"Bucket": bucket, "Key": key}, role_identity(ctx.scope, role)
    try:
        await ctx.platform.call("s3", "HeadObject", request, scope=ctx.scope, identity=identity)
    except ServiceError as error:
        raise _no_model_data(error, uri, role, ctx.region) from error


def _no_model_data(error: ServiceError, uri: str, role: str, region: str) -> ServiceError:
    if error.status == 404:
        return ValidationException(f"Could not find model data at {uri}.")
    if error.status == 403:
        return ValidationException(
            f'Could not access model data at {uri}. Please ensure that the role "{role}" exists and that its trust '
            'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". '
            f'Also ensure that the role has "s3:GetObject" permissions and that the object is located in {region}.'
        )
    return error
