"""Framework images as declarations: what runs a user's own script, in the library that the image is named after.

The SDKs' `image_uris` make these URIs. Account and region are ignored, the tag is asked for the version only: the nearest one
that is installed runs the script (`compute/toolkit`). XGBoost's image is a framework when a request brings a script, and the
built-in algorithm (`catalog/builtin/xgboost.py`) when it does not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.catalog import images
from clary.catalog.algorithms import Metric

_VERSION = re.compile(r"\d+(?:\.\d+)+")
_PYTHON_2 = re.compile(r"-py27?$")


@dataclass(frozen=True, slots=True)
class Framework:
    """One framework of the SDKs. It runs scripts of any number of hosts and knows no metrics of its own."""

    name: str
    """As the SDKs' `image_uris` call it; also the name that `clary env add` gives its environment."""
    distributions: tuple[str, ...]
    """The packages, any one of which has the version that the image is named after; the first is the framework's own."""
    module: str
    """What a script imports: the framework is installed where this is found."""
    repositories: tuple[str, ...]
    requirements: tuple[str, ...]
    """What `clary env add NAME` installs when it is told nothing else."""
    runtime: str
    """The fork server (`runner/warm.py`) that has it imported when it belongs to the server's own environment."""
    training_module: str
    """`SM_FRAMEWORK_MODULE`: the function that the image's own toolkit starts with."""
    handlers: str
    """`module:class` with the defaults of its serving functions."""
    version: re.Pattern[str] = _VERSION
    """Finds the version in a tag."""
    metrics: tuple[Metric, ...] = ()
    distributed: bool = True

    def version_of(self, tag: str) -> str:
        """The version that `tag` asks for, `""` when it asks for none."""
        found = self.version.search(tag)
        return found[found.lastindex or 0] if found else ""

    @property
    def install_command(self) -> str:
        """The one command that makes this framework available."""
        return f"clary env add {self.name}"


PLAIN = "base-python"
"""Python without a framework: the image that remote functions run in when they name none."""
_HANDLERS = "clary.compute.toolkit.handlers"
FRAMEWORKS = (
    Framework(
        name="sklearn",
        distributions=("scikit-learn",),
        module="sklearn",
        repositories=("sagemaker-scikit-learn",),
        requirements=("scikit-learn", "pandas", "scipy", "joblib"),
        runtime="scikit-learn",
        training_module="sagemaker_sklearn_container.training:main",
        handlers=f"{_HANDLERS}.scikit_learn:ScikitLearn",
    ),
    Framework(
        name="xgboost",
        distributions=("xgboost", "xgboost-cpu"),
        module="xgboost",
        repositories=("sagemaker-xgboost",),
        requirements=("xgboost", "scikit-learn", "pandas", "scipy"),
        runtime="scikit-learn",
        training_module="sagemaker_xgboost_container.training:main",
        handlers=f"{_HANDLERS}.xgboost:XGBoost",
    ),
    Framework(
        name="pytorch",
        distributions=("torch",),
        module="torch",
        repositories=(
            "pytorch-training",
            "pytorch-inference",
            "pytorch-inference-graviton",
            "sagemaker-pytorch",
        ),
        requirements=("torch", "numpy", "pandas", "scikit-learn"),
        runtime="torch",
        training_module="sagemaker_pytorch_container.training:main",
        handlers=f"{_HANDLERS}.pytorch:PyTorch",
    ),
    Framework(
        name="tensorflow",
        distributions=("tensorflow", "tensorflow-cpu"),
        module="tensorflow",
        repositories=(
            "tensorflow-training",
            "tensorflow-inference",
            "tensorflow-inference-graviton",
            "sagemaker-tensorflow-scriptmode",
        ),
        requirements=("tensorflow", "numpy", "pandas", "scikit-learn"),
        runtime="bare",
        training_module="sagemaker_tensorflow_container.training:main",
        handlers=f"{_HANDLERS}.tensorflow:TensorFlow",
    ),
    Framework(
        name="huggingface",
        distributions=("transformers",),
        module="transformers",
        repositories=(
            "huggingface-pytorch-training",
            "huggingface-pytorch-inference",
            "huggingface-tensorflow-training",
            "huggingface-tensorflow-inference",
        ),
        requirements=("transformers", "datasets", "torch", "numpy", "pandas"),
        runtime="torch",
        training_module="sagemaker_pytorch_container.training:main",
        handlers=f"{_HANDLERS}.huggingface:HuggingFace",
        version=re.compile(r"transformers(\d+(?:\.\d+)+)"),
    ),
    Framework(
        name=PLAIN,
        distributions=("Python",),
        module="sys",
        repositories=("sagemaker-base-python-310", "sagemaker-base-python-38", "sagemaker-base-python"),
        requirements=("pip",),
        runtime="bare",
        training_module="",
        handlers="",
        version=re.compile(r"$^"),  # a tag says nothing of Python, and there is the server's only
    ),
)

_DISCONTINUED = "is no longer developed and installs on none of the Pythons that Clary runs on; port the script to PyTorch"
_REFUSED = {
    r"(sagemaker-mxnet|mxnet-(training|inference)).*": f"MXNet {_DISCONTINUED}",
    r"sagemaker-chainer": f"Chainer {_DISCONTINUED}",
    r"sagemaker-rl-.*": (
        "the reinforcement learning images carry Coach, Ray and Vowpal Wabbit builds that cannot be installed here; "
        "train with the pytorch image and list the library in requirements.txt"
    ),
    r"sagemaker-tensorflow(-eia|-serving.*)?|tensorflow-inference-eia|pytorch-inference-eia": (
        "it carries TensorFlow 1 without script mode, or needs Elastic Inference, which AWS has ended; "
        "use tensorflow-training, tensorflow-inference or pytorch-inference"
    ),
    r".*-trcomp-training|smdistributed-modelparallel|.*-neuronx": (
        "it needs compilers and accelerators of AWS's own; use pytorch-training or huggingface-pytorch-training"
    ),
}
"""Repositories that will not run here, as expressions, and why."""


@functools.cache
def _by_repository() -> dict[str, Framework]:
    return {repository: framework for framework in FRAMEWORKS for repository in framework.repositories}


def named(name: str) -> Framework | None:
    """The framework of this name, or of a name such as `pytorch-2.1` that begins with it."""
    fitting = (framework for framework in FRAMEWORKS if name == framework.name or name.startswith(f"{framework.name}-"))
    return next(fitting, None)


def find(image: str) -> tuple[Framework, str] | None:
    """The framework that `image` names and the version that its tag asks for (`""`: any); None for any other image."""
    parsed = images.parse(image)
    framework = _by_repository().get(parsed.repository) if parsed else None
    if parsed is None or framework is None or _PYTHON_2.search(parsed.tag):
        return None
    return framework, framework.version_of(parsed.tag)


def refusal(image: str) -> str:
    """Why a framework's image will not run here; `""` when there is nothing known against it."""
    parsed = images.parse(image)
    if parsed is None:
        return ""
    if parsed.repository in _by_repository() and _PYTHON_2.search(parsed.tag):
        return "its scripts are Python 2, which does not run here; choose a py3 image"
    return next((why for pattern, why in _REFUSED.items() if re.fullmatch(pattern, parsed.repository)), "")


def brings_script(request: Mapping[str, Any]) -> bool:
    """Whether a CreateTrainingJob request names a program of the user's own."""
    scripts = {"sagemaker_program", "sagemaker_submit_directory"} & request.get("HyperParameters", {}).keys()
    commands = {"ContainerEntrypoint", "ContainerArguments"} & request["AlgorithmSpecification"].keys()
    return bool(scripts or commands or request.get("Environment", {}).get("SAGEMAKER_PROGRAM"))


_LAUNCHED = "sagemaker_torch_distributed_enabled"
_NOT_LAUNCHED = (
    "sagemaker_mpi_enabled",
    "sagemaker_parameter_server_enabled",
    "sagemaker_distributed_dataparallel_enabled",
    "sagemaker_pytorch_ddp_enabled",
    "sagemaker_pytorch_xla_multi_worker_enabled",
    "sagemaker_multi_worker_mirrored_strategy_enabled",
)


def distribution_refused(request: Mapping[str, Any]) -> str:
    """Why the `distribution` of an estimator cannot be had, as the hyperparameters say it; `""` when it can."""
    hyperparameters = request.get("HyperParameters", {})
    for name in _NOT_LAUNCHED:
        if hyperparameters.get(name) == "true":
            return f"HyperParameters.{name} asks for a distribution that Clary does not have; leave it out"
    if hyperparameters.get(_LAUNCHED) == "true" and request["ResourceConfig"].get("InstanceCount", 1) > 1:
        return f"HyperParameters.{_LAUNCHED}: Clary starts torchrun on one host only; set ResourceConfig.InstanceCount to 1"
    return ""


def for_training(request: Mapping[str, Any]) -> tuple[Framework, str] | None:
    """The framework that runs the script of a CreateTrainingJob request, and the version asked for.

    None when the image is no framework's, or a built-in algorithm's without a script.
    """
    found = find(request["AlgorithmSpecification"].get("TrainingImage", ""))
    if found is None or (found[0].name == "xgboost" and not brings_script(request)):
        return None
    return found


def for_serving(image: str, environment: Mapping[str, str]) -> tuple[Framework, str] | None:
    """The framework that serves a model of `image` whose container has `environment`; None as in `for_training`."""
    found = find(image)
    if found is None or not found[0].handlers or (found[0].name == "xgboost" and not environment.get("SAGEMAKER_PROGRAM")):
        return None
    return found
