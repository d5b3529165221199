"""Endpoint configurations: which models share an endpoint's calls, and how. Read-only once made."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ResourceLimitExceeded, ValidationException, refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.declared import Declared
from clary.services.sagemaker.models import MODEL

ENDPOINT_CONFIG = Declared(
    service="sagemaker",
    kind="endpoint-config",
    member="EndpointConfig",
    listed="EndpointConfigs",
    summary=("EndpointConfigName", "EndpointConfigArn", "CreationTime"),
    duplicate=(ValidationException, 'Cannot create already existing endpoint configuration "{arn}".'),
    missing=(ValidationException, 'Could not find endpoint configuration "{arn}".'),
)
MAX_INSTANCES = 20
"""Per endpoint, as SageMaker's default quota. Every instance is a worker process on this machine."""
_UNENFORCED = (
    "DataCaptureConfig.EnableCapture",
    "AsyncInferenceConfig",
    "ExplainerConfig",
    "ShadowProductionVariants",
    "KmsKeyId",
    "VpcConfig",
    "EnableNetworkIsolation",
    "CrossRegionTrafficConfig",
)
_UNENFORCED_OF_VARIANT = (
    "AcceleratorType",
    "ServerlessConfig",
    "InstancePools",
    "CoreDumpConfig",
    "EnableSSMAccess",
    "CapacityReservationConfig",
    "AcceleratorPartitionLayouts",
)


class EndpointConfigs:
    """CreateEndpointConfig, DescribeEndpointConfig, ListEndpointConfigs, DeleteEndpointConfig."""

    def __init__(self, platform: Platform) -> None:
        pass

    @operation("CreateEndpointConfig")
    async def create_endpoint_config(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        refuse_unenforced(request, *_UNENFORCED)
        variants = request["ProductionVariants"]
        for variant in variants:
            _check_variant(ctx, variant)
        _check_together(variants)
        config = await ENDPOINT_CONFIG.create(ctx, request | {"ProductionVariants": [_with_defaults(v) for v in variants]})
        return {"EndpointConfigArn": config.arn}

    @operation("DescribeEndpointConfig")
    def describe_endpoint_config(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        described = ENDPOINT_CONFIG.describe(ENDPOINT_CONFIG.find(ctx, request))
        described.pop("LastModifiedTime")
        return described

    @operation("ListEndpointConfigs")
    def list_endpoint_configs(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return ENDPOINT_CONFIG.list_page(ctx, request)

    @operation("DeleteEndpointConfig")
    async def delete_endpoint_config(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Allowed while endpoints use it: they keep a copy of all they need."""
        await ENDPOINT_CONFIG.delete(ctx, request)
        return {}


def _check_variant(ctx: Context, variant: dict[str, Any]) -> None:
    refuse_unenforced({"ProductionVariants": variant}, *(f"ProductionVariants.{name}" for name in _UNENFORCED_OF_VARIANT))
    scaled = variant.get("ManagedInstanceScaling", {"Status": "DISABLED"}).get("Status", "ENABLED") == "ENABLED"
    refuse_unenforced({"ProductionVariants": {"ManagedInstanceScaling": scaled}}, "ProductionVariants.ManagedInstanceScaling")
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if not variant.get(member):
            raise ValidationException(f"{member} is required in production variant {variant['VariantName']}")
    MODEL.find(ctx, {"ModelName": variant["ModelName"]})


def _check_together(variants: list[dict[str, Any]]) -> None:
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise ValidationException(f"Variant names must be unique within an endpoint configuration; got {', '.join(names)}")
    check_weights([variant.get("InitialVariantWeight", 1.0) for variant in variants])
    for variant in variants:
        check_instance_count(variant["InstanceType"], variant["InitialInstanceCount"])


def check_weights(weights: list[float]) -> None:
    """Raise when no variant would get calls."""
    if sum(weights) <= 0:
        raise ValidationException("At least one variant must have a weight above 0, or no call could be answered")


def check_instance_count(instance_type: str, count: int) -> None:
    """Raise `ResourceLimitExceeded` for more instances than an endpoint may have."""
    if count > MAX_INSTANCES:
        raise ResourceLimitExceeded(
            f"The account-level service limit '{instance_type} for endpoint usage' is {MAX_INSTANCES} Instances, with current "
            f"utilization of 0 Instances and a request delta of {count} Instances. Every instance is a worker process on this "
            "machine; ask for fewer."
        )


def _with_defaults(variant: dict[str, Any]) -> dict[str, Any]:
    return {"InitialVariantWeight": 1.0} | variant
