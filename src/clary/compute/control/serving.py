"""What serves a model: the program of a built-in algorithm, or a framework with the user's functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from clary.catalog import algorithms, frameworks
from clary.compute.toolkit.environments import Environments
from clary.compute.toolkit.plan import VARIABLE, Plan
from clary.compute.toolkit.serving import SUBMIT_DIRECTORY

_TOOLKIT = "clary.compute.toolkit.serving"


class CannotServe(Exception):
    """Nothing here serves the image; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Serving:
    """`runtime` is where the process starts, `prepare` and `load` are `"module:function"`."""

    runtime: str
    load: str
    environment: dict[str, str]
    prepare: str = ""


def serving_of(data: Path, image: str, environment: Mapping[str, str]) -> Serving:
    """What serves a model of `image` whose container has `environment`; `data` is the server's directory.

    Raises `CannotServe` for an image that this version does not know, and for a framework that is not installed.
    """
    if found := frameworks.for_serving(image, environment):
        return _of_framework(data / "environments", image, environment, *found)
    if known := algorithms.find(image):
        algorithm, tag = known
        return Serving(algorithm.runtime, algorithm.serve, {**environment, "CLARY_IMAGE_TAG": tag})
    raise CannotServe(f"image {image} cannot be served")


def _of_framework(
    root: Path, image: str, environment: Mapping[str, str], framework: frameworks.Framework, asked: str
) -> Serving:
    choice = Environments(root).choose(framework, asked)
    if choice is None:
        raise CannotServe(
            f"{image} needs {framework.distributions[0]}, which is not installed here; install it with: "
            f"{framework.install_command}"
        )
    plan = Plan(framework.name, image, asked, str(root), asdict(choice))
    return Serving(
        runtime=framework.runtime if choice.is_own else "bare",
        load=f"{_TOOLKIT}:load",
        environment={**environment, VARIABLE: json.dumps(plan.document())},
        prepare=f"{_TOOLKIT}:prepare",
    )


def source_of(image: str, environment: Mapping[str, str]) -> dict[str, str] | None:
    """Where the user's source is in S3, in the form of a model's data; None when it is part of the model, or there is none."""
    uri = environment.get(SUBMIT_DIRECTORY, "")
    if not uri.startswith("s3://") or frameworks.for_serving(image, environment) is None:
        return None
    return {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}
