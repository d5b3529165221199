"""An `/opt/ml` of a process's own: scripts name the paths of the container that they are written for.

The process moves into a mount namespace (Linux only), in a user namespace too where it may not mount otherwise. Whatever it
starts is there with it; nobody else sees a difference.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

OPT_ML = "/opt/ml"
_NEW_MOUNTS, _NEW_USER = 0x00020000, 0x10000000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000


def show(directory: Path) -> Path:
    """Let `directory` be `/opt/ml` for this process, which has one thread. Raises `OSError` when the kernel refuses."""
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", _NEW_MOUNTS)
    except PermissionError:
        _call("unshare", _NEW_MOUNTS | _NEW_USER)
        _stay_who_we_are(user, group)
    _mount("none", "/", _RECURSIVE | _PRIVATE)
    held = os.open(directory, os.O_PATH)  # it may lie below what `_make_place` covers
    _make_place()
    _mount(_name_of(held), OPT_ML, _BIND | _RECURSIVE)
    os.close(held)
    return Path(OPT_ML)


def _stay_who_we_are(user: int, group: int) -> None:
    for file, content in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        Path("/proc/self", file).write_text(content)


def _make_place() -> None:
    """`/opt/ml` itself, where this machine has none: in a new `/opt` that holds what the old one does."""
    if os.path.isdir(OPT_ML):
        return
    parent = os.path.dirname(OPT_ML)
    if not os.path.isdir(parent):
        raise OSError(f"{parent} is missing")
    kept = dict(_opened(parent))
    _mount("tmpfs", parent, 0, "tmpfs")
    for path, held in kept.items():
        _show_again(path, held)
    os.mkdir(OPT_ML)


def _opened(directory: str) -> Iterator[tuple[str, int]]:
    for entry in os.scandir(directory):
        yield entry.path, os.open(entry.path, os.O_PATH | os.O_NOFOLLOW)


def _show_again(path: str, held: int) -> None:
    name = _name_of(held)
    if os.path.isdir(name):
        os.mkdir(path)
    elif os.path.isfile(name):
        open(path, "w").close()
    else:  # a link: no program is to find its way by what is neither file nor directory
        os.symlink(os.readlink("", dir_fd=held), path)
        os.close(held)
        return
    _mount(name, path, _BIND | _RECURSIVE)
    os.close(held)


def _name_of(descriptor: int) -> str:
    """A path that leads to an open file or directory, whatever is mounted over its own."""
    return f"/proc/self/fd/{descriptor}"


def _mount(source: str, target: str, flags: int, kind: str = "") -> None:
    _call("mount", source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), None)


def _call(name: str, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, name):
        raise OSError(f"{name} is not there: this is not Linux")
    if getattr(libc, name)(*arguments) == -1:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
