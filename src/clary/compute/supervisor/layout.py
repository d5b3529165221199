"""`/opt/ml` and the environment as a training container finds them (client contract, sections 4.1 and 4.2)."""

from __future__ import annotations

import json
from typing import Any

from clary.compute.supervisor.spec import OptMl, Spec

GROUP = "homogeneousCluster"
CHECKPOINTS = "/opt/ml/checkpoints"
"""Where checkpoints lie unless CheckpointConfig.LocalPath says otherwise."""


def lay_out(opt_ml: OptMl, spec: Spec) -> None:
    """Make the directories and write the configuration files."""
    for directory in (opt_ml.config, opt_ml.data, opt_ml.model, opt_ml.output_data, opt_ml.root / "code"):
        directory.mkdir(parents=True, exist_ok=True)
    files = {
        "hyperparameters.json": spec.request.get("HyperParameters", {}),
        "resourceconfig.json": resource_config(spec, spec.request["ResourceConfig"].get("InstanceType", "")),
        "inputdataconfig.json": input_data_config(spec),
    }
    if spec.checkpoints:
        config = {"LocalPath": CHECKPOINTS} | spec.checkpoints
        files["checkpointconfig.json"] = config
        opt_ml.below(config["LocalPath"]).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (opt_ml.config / name).write_text(json.dumps(content))


def resource_config(spec: Spec, instance_type: str) -> dict[str, Any]:
    """The hosts of the job, all of them on this machine."""
    hosts = list(spec.hosts)
    return {
        "current_host": spec.host,
        "current_instance_type": instance_type,
        "current_group_name": GROUP,
        "hosts": hosts,
        "instance_groups": [{"instance_group_name": GROUP, "instance_type": instance_type, "hosts": hosts}],
        "network_interface_name": "lo",
    }


def input_data_config(spec: Spec) -> dict[str, Any]:
    """Channel name -> how its data come."""
    return {channel["ChannelName"]: _channel_config(spec, channel) for channel in spec.channels}


def _channel_config(spec: Spec, channel: dict[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": spec.input_mode(channel),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return config | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})


def environment(spec: Spec) -> dict[str, str]:
    """Variables that the platform sets; the job's own `Environment` wins."""
    return {
        "TRAINING_JOB_NAME": spec.name,
        "TRAINING_JOB_ARN": spec.arn,
        "AWS_REGION": spec.region,
        "AWS_DEFAULT_REGION": spec.region,
        "CURRENT_HOST": spec.host,
        "CLARY_IMAGE_TAG": spec.image_tag,
        "PYTHONUNBUFFERED": "1",
    } | spec.request.get("Environment", {})
