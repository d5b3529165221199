"""Endpoints: record what is wanted; `compute.control.endpoints` makes it true.

An endpoint's state carries, beside what Describe shows:

    _deployment: {"generation", "EndpointConfigName", "variants": [...]}   what serves, or should
    _pending: the same, of an update that is not in service yet

A deployment is a copy of everything that is needed to start the variants, so an endpoint outlives its configuration and models.
"""

from __future__ import annotations

from typing import Any

from clary.core.errors import ValidationException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker.endpoint_configs import ENDPOINT_CONFIG, check_instance_count, check_weights
from clary.services.sagemaker.models import MODEL, container_of, model_data
from clary.storage.resources import Resource

ENDPOINT = Declared(
    service="sagemaker",
    kind="endpoint",
    member="Endpoint",
    listed="Endpoints",
    summary=("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    duplicate=(ValidationException, 'Cannot create already existing endpoint "{arn}".'),
    missing=(ValidationException, 'Could not find endpoint "{arn}".'),
    status_member="EndpointStatus",
)
TOPIC = "endpoints"


class Endpoints:
    """CreateEndpoint, DescribeEndpoint, ListEndpoints, the two updates, DeleteEndpoint."""

    def __init__(self, platform: Platform) -> None:
        pass

    @operation("CreateEndpoint")
    async def create_endpoint(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, "DeploymentConfig")
        _check_other_case(ctx, request["EndpointName"])
        state = {"_deployment": _deployment(ctx, request["EndpointConfigName"], generation=1)}
        endpoint = await ENDPOINT.create(ctx, request, status="Creating", state=state, wake=TOPIC)
        return {"EndpointArn": endpoint.arn}

    @operation("DescribeEndpoint")
    def describe_endpoint(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return ENDPOINT.describe(ENDPOINT.find(ctx, request))

    @operation("ListEndpoints")
    def list_endpoints(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return ENDPOINT.list_page(ctx, request)

    @operation("UpdateEndpoint")
    async def update_endpoint(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, "DeploymentConfig")
        wanted = _deployment(ctx, request["EndpointConfigName"], generation=0)

        def change(endpoint: Resource) -> dict[str, Any]:
            _check_idle(endpoint)
            serving = endpoint.state["_deployment"]
            variants = _retained(request, serving["variants"], wanted["variants"])
            pending = wanted | {"variants": variants, "generation": serving["generation"] + 1}
            return _updating(endpoint, pending)

        endpoint = await ENDPOINT.update(ctx, request, change, wake=TOPIC)
        return {"EndpointArn": endpoint.arn}

    @operation("UpdateEndpointWeightsAndCapacities")
    async def update_endpoint_weights_and_capacities(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        desired = request["DesiredWeightsAndCapacities"]
        for one in desired:
            refuse_unenforced(one, "ServerlessUpdateConfig")

        def change(endpoint: Resource) -> dict[str, Any]:
            _check_idle(endpoint)
            serving = endpoint.state["_deployment"]
            return _updating(endpoint, serving | {"variants": _reweighted(serving["variants"], desired)})

        endpoint = await ENDPOINT.update(ctx, request, change, wake=TOPIC)
        return {"EndpointArn": endpoint.arn}

    @operation("DeleteEndpoint")
    async def delete_endpoint(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """The endpoint answers no call from here on; it is gone when its workers are."""
        await ENDPOINT.update(ctx, request, lambda endpoint: {"status": "Deleting"}, wake=TOPIC)
        return {}


def _check_other_case(ctx: Context, name: str) -> None:
    """Names that differ in case only are one name to CreateEndpoint; InvokeEndpoint matches the case."""
    for other in ctx.platform.resources.every(ENDPOINT.kind):
        if other.scope == ctx.scope and other.name != name and other.name.lower() == name.lower():
            raise ValidationException(f'Cannot create already existing endpoint "{other.arn}".')


def _check_idle(endpoint: Resource) -> None:
    if endpoint.status != "InService":
        kind = "in-progress" if endpoint.status in ("Creating", "Updating", "Deleting") else endpoint.status.lower()
        raise ValidationException(f'Cannot update {kind} endpoint "{endpoint.arn}".')


def _updating(endpoint: Resource, pending: dict[str, Any]) -> dict[str, Any]:
    state = {name: value for name, value in endpoint.state.items() if name != "FailureReason"}
    return {"status": "Updating", "state": state | {"_pending": pending}}


def _deployment(ctx: Context, config_name: str, generation: int) -> dict[str, Any]:
    config = ENDPOINT_CONFIG.find(ctx, {"EndpointConfigName": config_name}).document
    variants = [_variant(ctx, variant) for variant in config["ProductionVariants"]]
    return {"generation": generation, "EndpointConfigName": config_name, "variants": variants}


def _variant(ctx: Context, variant: dict[str, Any]) -> dict[str, Any]:
    model = MODEL.find(ctx, {"ModelName": variant["ModelName"]}).document
    container = container_of(model)
    return {
        "name": variant["VariantName"],
        "instance_type": variant["InstanceType"],
        "weight": variant["InitialVariantWeight"],
        "instance_count": variant["InitialInstanceCount"],
        "start_seconds": variant.get("ContainerStartupHealthCheckTimeoutInSeconds", 480),
        "download_seconds": variant.get("ModelDataDownloadTimeoutInSeconds", 3600),
        "image": container["Image"],
        "environment": container.get("Environment", {}),
        "model_data": model_data(container),
        "role": model.get("ExecutionRoleArn", ""),
        "resolved": ctx.platform.clock.now(),
    }


def _retained(request: dict[str, Any], serving: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """`wanted` with the weights and counts of variants that serve already, as far as RetainAllVariantProperties asks."""
    if not request.get("RetainAllVariantProperties"):
        return wanted
    excluded = {one["VariantPropertyType"] for one in request.get("ExcludeRetainedVariantProperties", [])}
    kept = [
        name for name, kind in (("weight", "DesiredWeight"), ("instance_count", "DesiredInstanceCount")) if kind not in excluded
    ]
    properties = {variant["name"]: {name: variant[name] for name in kept} for variant in serving}
    return [variant | properties.get(variant["name"], {}) for variant in wanted]


def _reweighted(variants: list[dict[str, Any]], desired: list[dict[str, Any]]) -> list[dict[str, Any]]:
    changes = {one["VariantName"]: one for one in desired}
    if unknown := changes.keys() - {variant["name"] for variant in variants}:
        raise ValidationException(f"Variant {sorted(unknown)[0]} does not exist in this endpoint")
    changed = [variant | _properties(changes.get(variant["name"], {})) for variant in variants]
    check_weights([variant["weight"] for variant in changed])
    for variant in changed:
        check_instance_count(variant["instance_type"], variant["instance_count"])
    return changed


def _properties(change: dict[str, Any]) -> dict[str, Any]:
    members = {"DesiredWeight": "weight", "DesiredInstanceCount": "instance_count"}
    properties = {name: change[member] for member, name in members.items() if member in change}
    if properties.get("instance_count") == 0:
        raise ValidationException("DesiredInstanceCount must be at least 1")
    return properties
