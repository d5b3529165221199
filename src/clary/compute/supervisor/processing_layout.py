"""`/opt/ml` and the environment as a processing container finds them (client contract, section 4.5)."""

from __future__ import annotations

import json
from typing import Any

from clary.compute.supervisor import layout
from clary.compute.supervisor.spec import OptMl, Spec


def lay_out(opt_ml: OptMl, spec: Spec) -> None:
    """Make the directories and write the configuration files."""
    config = opt_ml.root / "config"
    for directory in (config, opt_ml.root / "processing", opt_ml.root / "output"):
        directory.mkdir(parents=True, exist_ok=True)
    resources = spec.request["ProcessingResources"]["ClusterConfig"]
    files = {
        "processingjobconfig.json": job_config(spec),
        "resourceconfig.json": layout.resource_config(spec, resources.get("InstanceType", "")),
    }
    for name, content in files.items():
        (config / name).write_text(json.dumps(content))


def job_config(spec: Spec) -> dict[str, Any]:
    """The job's own request, with what the service fills in: what is not given is there as null."""
    request = spec.request
    return {
        "ProcessingJobArn": spec.arn,
        "ProcessingJobName": spec.name,
        "AppSpecification": {"ContainerEntrypoint": None, "ContainerArguments": None} | request["AppSpecification"],
        "Environment": request.get("Environment"),
        "ProcessingInputs": request.get("ProcessingInputs", []),
        "ProcessingOutputConfig": {"Outputs": [], "KmsKeyId": None} | request.get("ProcessingOutputConfig", {}),
        "ProcessingResources": {"ClusterConfig": {"VolumeKmsKeyId": None} | request["ProcessingResources"]["ClusterConfig"]},
        "RoleArn": request["RoleArn"],
        "StoppingCondition": request["StoppingCondition"],
    }


def environment(spec: Spec) -> dict[str, str]:
    """Variables that the platform sets; the job's own `Environment` wins."""
    return {
        "PROCESSING_JOB_NAME": spec.name,
        "PROCESSING_JOB_ARN": spec.arn,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "PYTHONUNBUFFERED": "1",
    } | spec.request.get("Environment", {})
