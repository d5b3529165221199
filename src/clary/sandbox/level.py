"""What this machine lets a server do to confine programs: found by trying it, not by asking for versions."""

from __future__ import annotations

import functools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import clary
from clary.sandbox import kernel, landlock, namespaces, privileges, system_calls
from clary.sandbox.profile import Profile

Name = Literal["full", "partial", "none"]
_ENOUGH_LANDLOCK = 6
"""From this version on signals and abstract Unix sockets are kept in."""


@dataclass(frozen=True, slots=True)
class Level:
    """How far programs can be confined.

    measures : what is in force
    gaps : what a program can do all the same, each in words that follow "a program can still"
    refused : why there are no namespaces; empty when there are
    """

    name: Name
    measures: tuple[str, ...]
    gaps: tuple[str, ...]
    refused: str = ""

    @property
    def namespaces(self) -> bool:
        return "namespaces" in self.measures

    @property
    def owner(self) -> int | None:
        """The user id that the program's own files must have, when it is not the server's."""
        return privileges.owner() if self.namespaces else None

    @property
    def warning(self) -> str:
        """A line for the log of a job; empty when nothing is missing."""
        if not self.gaps:
            return ""
        return f"sandbox: {self.name}: this program can still {'; '.join(self.gaps)} (docs/security.md)"


@functools.cache
def level() -> Level:
    """The level of this machine. Tried once per process, in a child: a few milliseconds. For a process with one thread."""
    if not kernel.IS_LINUX:
        return Level("none", (), ("read and write whatever the server's user can, and signal its processes",), "not Linux")
    refused = _try_namespaces()
    rest = [f"Landlock {landlock.version()}"] * bool(landlock.version()) + ["system call filter"] * system_calls.available()
    measures = (*(["namespaces"] if not refused else []), "no new privileges", *rest)
    gaps = tuple(_gaps(not refused))
    name: Name = "full" if not gaps else "partial" if not refused or landlock.version() else "none"
    return Level(name, measures, gaps, refused)


def preload() -> None:
    """Try it in the warm process: all that it forks know."""
    level()


def _gaps(in_namespaces: bool) -> list[str]:
    gaps = []
    if not in_namespaces and not landlock.version():
        gaps.append("read and write whatever the server's user can")
    if not in_namespaces:
        gaps += ["connect to Unix sockets of the server's user", "read other processes' command lines and shared memory"]
    if not in_namespaces and landlock.version() < _ENOUGH_LANDLOCK:
        gaps.append("signal other processes of the server's user")
    if landlock.version() < _ENOUGH_LANDLOCK:
        gaps.append("connect to abstract Unix sockets")
    return gaps


def _try_namespaces() -> str:
    """Why a program cannot have a room of its own; empty when one was there and a program in it could read Clary's code."""
    with tempfile.TemporaryDirectory() as directory:
        report, reporting = os.pipe()
        if (pid := os.fork()) == 0:
            os.close(report)
            _report_on_a_room(Path(directory), reporting)
        os.close(reporting)
        with open(report, "rb") as said:
            answer = said.read().decode()
        os.waitpid(pid, 0)
    return answer if answer != "ok" else ""


def _report_on_a_room(directory: Path, reporting: int) -> None:
    """In a child that never returns."""
    try:
        own = directory / "tmp"
        own.mkdir()
        namespaces.enter(Profile({"/tmp": own}, {}, directory))
        Path(clary.__file__).read_bytes()
        os.write(reporting, b"ok")
    except BaseException as error:
        os.write(reporting, (str(error) or type(error).__name__).encode())
    finally:
        os._exit(0)
