"""What a script is told: hyperparameters as arguments, everything as `SM_*` variables (client contract, section 4.3)."""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESERVED = (
    "sagemaker_program",
    "sagemaker_submit_directory",
    "sagemaker_enable_cloudwatch_metrics",
    "sagemaker_region",
    "sagemaker_container_log_level",
    "sagemaker_job_name",
    "default_user_module_name",
    "_tuning_objective_metric",
    "sagemaker_s3_output",
)
"""Hyperparameters that speak to the toolkit; no script sees them."""
_DISTRIBUTIONS = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
    "sagemaker_torch_distributed_enabled",
)


def decode(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Values as the client meant them: JSON where it is JSON, else the text itself."""
    return {name: _decoded(value) for name, value in hyperparameters.items()}


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except (ValueError, TypeError):
        return value


def arguments(hyperparameters: Mapping[str, Any]) -> list[str]:
    """`--name value` in order of the names, `-n value` for names of one letter; maps become `key=value,key=value`."""
    pairs = [(_option(name), _argument(hyperparameters[name])) for name in sorted(hyperparameters)]
    return list(itertools.chain.from_iterable(pairs))


def _option(name: str) -> str:
    return f"--{name}" if len(name) > 1 else f"-{name}" if name else ""


def _argument(value: Any) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{key}={part}" for key, part in sorted(value.items()))
    return "" if value is None else str(value)


def as_variables(values: Mapping[str, Any]) -> dict[str, str]:
    """`SM_<NAME>`: text as it is, None as nothing, everything else as compact JSON with sorted keys."""
    return {f"SM_{name.upper()}": _variable(value) for name, value in values.items()}


def _variable(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Training:
    """A training job as its script sees it, read from the files below `opt_ml` and the job's own environment."""

    opt_ml: Path
    hyperparameters: dict[str, Any]
    """Those for the script, decoded."""
    settings: dict[str, Any]
    """Those for the toolkit: every one that begins with `sagemaker_`, and the reserved ones."""
    resources: dict[str, Any]
    channels: dict[str, Any]
    environ: Mapping[str, str]

    @classmethod
    def read(cls, opt_ml: Path, environ: Mapping[str, str]) -> Training:
        config = opt_ml / "input" / "config"
        names = ("hyperparameters", "resourceconfig", "inputdataconfig")
        hyperparameters, resources, channels = (json.loads((config / f"{name}.json").read_text()) for name in names)
        decoded = decode(hyperparameters)
        settings = {name: value for name, value in decoded.items() if name in RESERVED or name.startswith("sagemaker_")}
        rest = {name: value for name, value in decoded.items() if name not in settings}
        return cls(opt_ml, rest, settings, resources, channels, environ)

    @property
    def entry_point(self) -> str:
        """The script, relative to the source directory; `""` when the job names none."""
        return str(self.environ.get("SAGEMAKER_PROGRAM") or self.settings.get("sagemaker_program") or "")

    @property
    def submit_directory(self) -> str:
        """Where the source is: an S3 URI of a `tar.gz`, or a path below `/opt/ml`."""
        given = self.settings.get("sagemaker_submit_directory") or self.environ.get("SAGEMAKER_SUBMIT_DIRECTORY")
        return str(given or self.opt_ml / "code")

    @property
    def arguments(self) -> list[str]:
        return arguments(self.hyperparameters)

    @property
    def launcher(self) -> list[str]:
        """How Python starts the script where that is not the plain way: torchrun, a process for each GPU or a single one."""
        if not self.settings.get("sagemaker_torch_distributed_enabled"):
            return []
        return ["-m", "torch.distributed.run", "--nnodes", "1", "--nproc_per_node", str(max(1, gpus()))]

    def variables(self, training_module: str) -> dict[str, str]:
        """All that the toolkit adds to the environment; `training_module` is the framework's `module:function`."""
        own = self._own(training_module)
        channels = {f"channel_{name}": path for name, path in own["channel_input_dirs"].items()}
        hyperparameters = {f"hp_{name}": value for name, value in self.hyperparameters.items()}
        told = {name: own[name] for name in _TOLD if name in own}
        whole = {
            "hps": self.hyperparameters,
            "framework_params": own["additional_framework_parameters"],
            "channels": sorted(self.channels),
            "training_env": own,
            "user_args": self.arguments,
        }
        return as_variables(told | whole | channels | hyperparameters) | self._of_the_toolkit()

    def _of_the_toolkit(self) -> dict[str, str]:
        return {
            "SAGEMAKER_JOB_NAME": str(self.settings.get("sagemaker_job_name", "")),
            "SAGEMAKER_REGION": str(self.settings.get("sagemaker_region") or self.environ.get("AWS_REGION", "")),
            "CURRENT_HOST": self.resources["current_host"],
        }

    def _own(self, training_module: str) -> dict[str, Any]:
        """The toolkit's environment object: `SM_TRAINING_ENV`."""
        extras = {name: value for name, value in self.settings.items() if name not in RESERVED}
        return {
            "additional_framework_parameters": extras,
            "channel_input_dirs": {name: str(self.opt_ml / "input" / "data" / name) for name in self.channels},
            "framework_module": training_module,
            "hyperparameters": self.hyperparameters,
            "input_data_config": self.channels,
            "is_modelparallel_enabled": None,
            "is_smddpmprun_installed": False,
            "is_smddprun_installed": False,
            "job_name": self.environ.get("TRAINING_JOB_NAME"),
            "log_level": self.settings.get("sagemaker_container_log_level", logging.INFO),
            "module_dir": self.submit_directory,
            "module_name": self.entry_point.removesuffix(".py"),
            "num_cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "num_gpus": gpus(),
            "num_neurons": 0,
            "topology": self.resources.get("topology", []),
            "user_entry_point": self.entry_point,
            **self._paths(),
            **self._hosts(extras),
        }

    def _paths(self) -> dict[str, str]:
        places = {
            "input_config_dir": "input/config",
            "input_dir": "input",
            "model_dir": "model",
            "output_data_dir": "output/data",
            "output_dir": "output",
            "output_intermediate_dir": "output/intermediate",
        }
        return {name: str(self.opt_ml / place) for name, place in places.items()}

    def _hosts(self, extras: Mapping[str, Any]) -> dict[str, Any]:
        groups = {group["instance_group_name"]: group for group in self.resources["instance_groups"]}
        group = self.resources["current_group_name"]
        spread = [group] if any(extras.get(name) for name in _DISTRIBUTIONS) else []
        spread = extras.get("sagemaker_distribution_instance_groups", spread)
        spread_hosts = [host for name, one in groups.items() if name in spread for host in one["hosts"]]
        first = (spread_hosts or self.resources["hosts"])[0]
        return {
            "current_host": self.resources["current_host"],
            "current_instance_group": group,
            "current_instance_group_hosts": groups[group]["hosts"],
            "current_instance_type": self.resources["current_instance_type"],
            "distribution_hosts": spread_hosts,
            "distribution_instance_groups": spread,
            "hosts": self.resources["hosts"],
            "instance_groups": list(groups),
            "instance_groups_dict": groups,
            "is_hetero": len(groups) > 1,
            "is_master": self.resources["current_host"] == first,
            "master_hostname": first,
            "network_interface_name": self.resources["network_interface_name"],
            "resource_config": self.resources,
        }


_TOLD = (
    "hosts",
    "network_interface_name",
    "user_entry_point",
    "resource_config",
    "input_data_config",
    "output_data_dir",
    "current_host",
    "current_instance_type",
    "current_instance_group",
    "current_instance_group_hosts",
    "instance_groups",
    "instance_groups_dict",
    "distribution_instance_groups",
    "is_hetero",
    "module_name",
    "log_level",
    "framework_module",
    "input_dir",
    "input_config_dir",
    "output_dir",
    "num_cpus",
    "num_gpus",
    "num_neurons",
    "model_dir",
    "module_dir",
    "output_intermediate_dir",
)
"""What of the environment object is a variable of its own."""


def gpus() -> int:
    """NVIDIA devices that this process may see."""
    return sum(1 for _ in _devices())


def _devices() -> Iterator[Path]:
    return (path for path in Path("/dev").glob("nvidia[0-9]*"))
