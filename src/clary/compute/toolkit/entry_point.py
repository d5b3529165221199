"""Entry points: what kind of program the user named, and the command that runs it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from clary.compute.toolkit.errors import CustomerError

_NAME = re.compile(r"[A-Za-z0-9._][A-Za-z0-9._+-]*(/[A-Za-z0-9._+-]+)*")


class Kind(Enum):
    """A Python file, the project of a `setup.py`, or anything else, which the shell runs."""

    SCRIPT = "script"
    PACKAGE = "package"
    COMMAND = "command"


def check(name: str) -> None:
    """Raise `CustomerError` unless `name` is a plain path below the source directory: no option, no way out of it."""
    if not name:
        raise CustomerError(
            "the job names no entry point; set the hyperparameter sagemaker_program to a script of the source bundle, "
            "such as train.py"
        )
    if not _NAME.fullmatch(name) or {".", ".."} & set(name.split("/")):
        raise CustomerError(
            f"the entry point {name!r} is not a path below the source directory; sagemaker_program takes letters, digits "
            "and . _ + - /, such as train.py or bin/train.sh"
        )


def kind_of(code: Path, name: str) -> Kind:
    """What the entry point `name` below the directory `code` is. A `setup.py` makes a package of whatever is no `.sh`."""
    if name.endswith(".sh"):
        return Kind.COMMAND
    if (code / "setup.py").is_file():
        return Kind.PACKAGE
    return Kind.SCRIPT if name.endswith(".py") else Kind.COMMAND


def locate(code: Path, name: str) -> Path:
    """The entry point's file. Raises `CustomerError` when it is not there or lies outside `code`."""
    path = (code / name).resolve()
    if not path.is_relative_to(code.resolve()):
        raise CustomerError(f"the entry point {name!r} leads out of the source directory")
    if not path.is_file():
        there = ", ".join(sorted(entry.name for entry in code.iterdir())[:20]) or "nothing"
        raise CustomerError(f"the entry point {name!r} is not in the source bundle, which holds {there}")
    return path


def command(kind: Kind, name: str, arguments: Sequence[str], python: str, launcher: Sequence[str] = ()) -> list[str]:
    """The command, to be run in the source directory. `launcher`: arguments of Python that start a script in another way."""
    if kind is Kind.PACKAGE:
        return [python, "-m", name.removesuffix(".py").replace("/", "."), *arguments]
    if kind is Kind.SCRIPT:
        return [python, *launcher, name, *arguments]
    return ["/bin/sh", "-c", shlex.join([f"./{name}", *arguments])]
