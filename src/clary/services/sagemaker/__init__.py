"""SageMaker's control plane: a file per resource."""

from __future__ import annotations

from typing import Any

from clary.core.service import Platform
from clary.services.sagemaker.endpoint_configs import EndpointConfigs
from clary.services.sagemaker.endpoints import Endpoints
from clary.services.sagemaker.models import Models
from clary.services.sagemaker.processing_jobs import ProcessingJobs
from clary.services.sagemaker.tags import Tags
from clary.services.sagemaker.training_jobs import TrainingJobs
from clary.services.sagemaker.transform_jobs import TransformJobs
from clary.services.sagemaker.tuning_jobs import TuningJobs

RESOURCES = (TrainingJobs, ProcessingJobs, Models, EndpointConfigs, Endpoints, TransformJobs, TuningJobs, Tags)


def resources(platform: Platform) -> list[Any]:
    """One instance of every resource class."""
    return [resource(platform) for resource in RESOURCES]
