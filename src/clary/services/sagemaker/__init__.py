"""SageMaker's control plane: a file per resource."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from clary.core.service import Platform

RESOURCES = (
    "clary.services.sagemaker.training_jobs:TrainingJobs",
    "clary.services.sagemaker.models:Models",
    "clary.services.sagemaker.endpoint_configs:EndpointConfigs",
    "clary.services.sagemaker.endpoints:Endpoints",
    "clary.services.sagemaker.transform_jobs:TransformJobs",
    "clary.services.sagemaker.tags:Tags",
)


def resources(platform: Platform) -> list[Any]:
    """One instance of every resource class."""
    found = []
    for entry in RESOURCES:
        module, name = entry.split(":")
        if importlib.util.find_spec(module):
            found.append(getattr(importlib.import_module(module), name)(platform))
    return found
