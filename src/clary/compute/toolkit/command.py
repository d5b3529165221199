"""The command that a job gives instead of its image's own program (ContainerEntrypoint, ContainerArguments)."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

_PYTHON = re.compile(r"python(3(\.\d+)?)?")


def script_of(command: Sequence[str]) -> list[str]:
    """Script and arguments of `python3 script.py …`, which a process that is Python already can run itself; else nothing.

    `-u` says nothing new: what a job prints is never held back.
    """
    program, *rest = command
    if rest[:1] == ["-u"]:
        del rest[0]
    return rest if rest and is_python(program) and rest[0].endswith(".py") and not rest[0].startswith("-") else []


def runs_in_process(command: Sequence[str]) -> bool:
    """Whether a job with this command (none: the toolkit's own) needs no other program than Python."""
    return not command or bool(script_of(command))


def is_python(program: str) -> bool:
    """Whether `program` is Python: by its name, or by the path that it has in an image, which is no path here."""
    return bool(_PYTHON.fullmatch(os.path.basename(program)))


def at_hand(command: Sequence[str], python: str) -> list[str]:
    """`command` with the job's own `python` for whichever Python it names."""
    program, *arguments = command
    return [python if is_python(program) else program, *arguments]
