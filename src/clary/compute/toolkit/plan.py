"""What a script's process is told beside `/opt/ml`: one JSON document in the environment, gone before the script runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from clary.catalog import frameworks
from clary.catalog.frameworks import Framework
from clary.compute.toolkit.environments import Choice

VARIABLE = "CLARY_SCRIPT"


@dataclass(frozen=True, slots=True)
class Plan:
    """A script, and where it runs."""

    framework: str
    image: str
    asked: str
    """The version in the image's tag."""
    environments: str
    """The directory of `Environments`."""
    environment: dict[str, Any] | None
    """A `Choice`; None when the framework is installed nowhere."""
    command: tuple[str, ...] = ()
    """ContainerEntrypoint and ContainerArguments: what runs instead of the toolkit."""
    in_process: bool = True
    """Whether the script may run in the process that has its framework imported already."""

    @property
    def declared(self) -> Framework:
        found = frameworks.named(self.framework)
        assert found is not None, "the server made the plan of this catalog"
        return found

    @property
    def choice(self) -> Choice | None:
        chosen = self.environment
        return Choice(**chosen | {"layers": tuple(chosen["layers"])}) if chosen else None

    def document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def parse(cls, document: Mapping[str, Any]) -> Plan:
        return cls(**{**document, "command": tuple(document["command"])})

    @classmethod
    def take(cls) -> Plan:
        """The plan of this process; the script does not see it."""
        return cls.parse(json.loads(os.environ.pop(VARIABLE)))


_READ_AT_START = ("PYTHON", "OMP_", "MKL_", "KMP_", "GOMP_", "OPENBLAS_", "BLIS_", "NUMEXPR_", "NUMBA_", "LD_", "MALLOC_")
"""Beginnings of variables that Python or a library reads when it is loaded: too early for a process that has it loaded."""


def needs_a_fresh_process(environment: Mapping[str, str]) -> bool:
    """Whether the variables that a user set say something that a warm process has decided already."""
    return any(name.startswith(_READ_AT_START) for name in environment)
