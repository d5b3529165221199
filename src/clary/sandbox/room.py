"""A root directory of a program's own: the system read-only, its own directories under names of their own, nothing else."""

from __future__ import annotations

import os

from clary.sandbox import kernel
from clary.sandbox.profile import Profile, devices, system_files

_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}
_FLAGS = kernel.MS_NOSUID | kernel.MS_NODEV


def enter(profile: Profile) -> None:
    """Make the room and move in. For a process in mount and PID namespaces of its own, with the right to mount in them."""
    os.umask(0o022)  # the directories of the room are for the program's user, too
    own = {name: os.open(path, os.O_PATH) for name, path in sorted((profile.write | profile.read).items())}
    root = str(profile.hidden)  # what it holds is reached by its descriptor from here on
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("tmpfs", root, "tmpfs", _FLAGS, "mode=755")
    for path in [*system_files(profile.hidden), "/sys"]:
        _show(path, root + path)
    for name, descriptor in own.items():
        _prepare(root + name, os.path.isdir(_held(descriptor)))
    for name in ("/proc", "/dev"):
        os.mkdir(root + name)
    kernel.make_read_only(root)
    kernel.mount("proc", root + "/proc", "proc", _FLAGS | kernel.MS_NOEXEC)
    _make_devices(root + "/dev")
    for name, descriptor in own.items():
        if not os.path.exists(root + name):  # it lies below one that was mounted just now
            _prepare(root + name, os.path.isdir(_held(descriptor)))
        kernel.mount(_held(descriptor), root + name, flags=kernel.MS_BIND | kernel.MS_REC)
        if name in profile.read:
            kernel.make_read_only(root + name)
        os.close(descriptor)
    kernel.change_root(root)


def _held(descriptor: int) -> str:
    """A name of an open file or directory that stays good when something is mounted over it."""
    return f"/proc/self/fd/{descriptor}"


def _prepare(target: str, is_directory: bool) -> None:
    """Something to mount on."""
    if is_directory:
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        open(target, "a").close()


def _show(source: str, target: str) -> None:
    """Let `target` be what `source` is."""
    if os.path.islink(source):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.symlink(os.readlink(source), target)
    else:
        _prepare(target, os.path.isdir(source))
        kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)


def _make_devices(target: str) -> None:
    """`/dev` with nothing of the machine's but harmless devices and accelerators; shared memory and terminals of its own."""
    kernel.mount("tmpfs", target, "tmpfs", kernel.MS_NOSUID, "mode=755")
    for name in devices():
        _prepare(f"{target}/{name}", os.path.isdir(f"/dev/{name}"))
        kernel.mount(f"/dev/{name}", f"{target}/{name}", flags=kernel.MS_BIND | kernel.MS_REC)
    os.mkdir(f"{target}/shm")
    kernel.mount("tmpfs", f"{target}/shm", "tmpfs", _FLAGS, "mode=1777")
    os.mkdir(f"{target}/pts")
    kernel.mount(
        "devpts", f"{target}/pts", "devpts", kernel.MS_NOSUID | kernel.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"
    )
    for name, leads_to in _LINKS.items():
        os.symlink(leads_to, f"{target}/{name}")
