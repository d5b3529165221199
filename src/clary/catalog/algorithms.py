"""Built-in algorithms as declarations, and the way from an image URI to one.

To add an algorithm, add a module with an `ALGORITHM` to `catalog/builtin/`. Entry points are text, so that nothing heavy
is imported here.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from clary.catalog import images
from clary.catalog.hyperparameters import Schema, Version

InputMode = Literal["File", "FastFile", "Pipe"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that the training log carries: `regex` has one group, the value."""

    name: str
    regex: str
    direction: Literal["Maximize", "Minimize"]


@dataclass(frozen=True, slots=True)
class Channel:
    """An input channel that the algorithm reads."""

    name: str
    required: bool
    content_types: tuple[str, ...]
    input_modes: tuple[InputMode, ...] = ("File", "FastFile", "Pipe")


@dataclass(frozen=True, slots=True)
class Algorithm:
    """What a built-in image is: names, hyperparameters, formats, and which programs train and serve it.

    `train` and `serve` are `"module:function"`, run in processes of the fork server `runtime`:
    `train(opt_ml: Path) -> None` and `load(model_dir: Path, environment: dict) -> core.inference.Model`.
    """

    name: str
    repositories: Mapping[str, Mapping[str, Version]]
    """Repository -> its tags -> the version each stands for. The last tag is meant where a client sends none."""
    runtime: str
    train: str
    serve: str
    hyperparameters: Schema
    metrics: tuple[Metric, ...]
    channels: tuple[Channel, ...]
    inference_content_types: tuple[str, ...]
    distributed: bool = False
    """Whether several hosts are supported."""
    gpu: bool = False
    """Whether its train program uses one where the instance type has it."""
    ignored_tag_suffixes: tuple[str, ...] = field(default=("-cpu-py3",))

    def tag(self, repository: str, tag: str) -> str | None:
        """`tag` without a suffix that means nothing; the last one for `""`; None when the repository has no such tag."""
        tags = self.repositories[repository]
        if not tag:
            return list(tags)[-1]
        for suffix in self.ignored_tag_suffixes:
            tag = tag.removesuffix(suffix)
        return tag if tag in tags else None

    def version(self, tag: str) -> Version:
        """The version that a tag of any repository of this algorithm stands for."""
        return next(tags[tag] for tags in self.repositories.values() if tag in tags)


@functools.cache
def every() -> tuple[Algorithm, ...]:
    """All built-in algorithms."""
    from clary.catalog import builtin

    names = sorted(module.name for module in pkgutil.iter_modules(builtin.__path__))
    return tuple(importlib.import_module(f"{builtin.__name__}.{name}").ALGORITHM for name in names)


@functools.cache
def _by_repository() -> dict[str, Algorithm]:
    return {repository: algorithm for algorithm in every() for repository in algorithm.repositories}


def find(image: str) -> tuple[Algorithm, str] | None:
    """The built-in algorithm that `image` names and the tag to run it as; None for any other image or an unknown tag."""
    parsed = images.parse(image)
    algorithm = _by_repository().get(parsed.repository) if parsed else None
    if parsed is None or algorithm is None:
        return None
    tag = algorithm.tag(parsed.repository, parsed.tag)
    return (algorithm, tag) if tag else None
