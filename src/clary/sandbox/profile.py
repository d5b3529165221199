"""What a program may use: the answer is the same whatever the kernel can enforce of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clary

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/nix/store", "/gnu/store")
_RESOLVER = "/etc/resolv.conf"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_ACCELERATORS = ("nvidia", "dri", "kfd")


@dataclass(frozen=True, slots=True)
class Profile:
    """The least that a program needs.

    write : name it has for the program -> directory of its own; `/tmp` is always among them
    read : the same, files too; names may lie below those of `write`
    hidden : the server's data directory, of which it sees nothing but these
    internet : whether it may use the network of this machine, which includes the server's own port
    demand : what to do when this machine cannot enforce all of it: `auto` goes on with a warning, `required`
        refuses; `off` confines nothing anywhere
    """

    write: dict[str, Path]
    read: dict[str, Path]
    hidden: Path
    internet: bool = True
    demand: str = "auto"

    def document(self) -> dict[str, Any]:
        """JSON."""
        paths = {kind: {name: str(path) for name, path in getattr(self, kind).items()} for kind in ("write", "read")}
        return paths | {"hidden": str(self.hidden), "internet": self.internet, "demand": self.demand}

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Profile:
        """The inverse of `document`."""
        paths = {kind: {name: Path(path) for name, path in document[kind].items()} for kind in ("write", "read")}
        return cls(**document | paths | {"hidden": Path(document["hidden"])})


def system_files(hidden: Path) -> list[str]:
    """Directories and files that any program may read: the system, the interpreter and its libraries.

    Of a directory that holds `hidden`, say the source tree that a data directory lies in, everything else is kept; one that
    holds the home directory is none of these, whoever put it on the import path.
    """
    home = os.path.expanduser("~")
    interpreter = {sys.prefix, sys.exec_prefix, sys.base_prefix, *_import_path(), *clary.__path__}
    wanted = {*_SYSTEM, os.path.realpath(_RESOLVER), *(os.path.realpath(path) for path in interpreter), *interpreter}
    kept: list[str] = []
    for path in sorted(filter(os.path.exists, wanted)):
        if not _is_below(home, path) and not any(_is_below(path, above) for above in kept):
            kept += _without(path, os.path.realpath(hidden))
    return kept


def _import_path() -> Iterator[str]:
    """`sys.path` without the current directory, which `python -m` puts there and which may be anything."""
    meant = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    for path in sys.path:
        if path and (path in meant or os.path.realpath(path) != os.getcwd()):
            yield os.path.abspath(path)


def _is_below(path: str, above: str) -> bool:
    return os.path.commonpath((path, above)) == above


def _without(path: str, hole: str) -> list[str]:
    """`path`, or what is needed of it to have all but the `hole`."""
    if path == hole:
        return []
    if not _is_below(hole, path):
        return [path]
    return [part for name in sorted(os.listdir(path)) for part in _without(os.path.join(path, name), hole)]


def devices() -> list[str]:
    """Names in `/dev` of what every program may use, accelerators included."""
    return [name for name in sorted(os.listdir("/dev")) if name in _DEVICES or name.startswith(_ACCELERATORS)]
