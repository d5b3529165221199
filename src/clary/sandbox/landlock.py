"""Landlock: what of the file system a process, and all it will start, may use; no other process can be traced or signalled.

Source: the kernel's Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import stat
import struct
from collections.abc import Iterable

from clary.sandbox import kernel

_VERSION = 1
_KINDS_OF_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15}
"""Landlock version -> how many kinds of file access it knows; later versions know 16."""
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE, _IOCTL_DEV = (1 << bit for bit in (0, 1, 2, 3, 14, 15))
READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2
_PATH_BENEATH = 1


@functools.cache
def version() -> int:
    """The version of Landlock that this kernel has; 0 for none. Signals are kept in from version 6 on."""
    if not kernel.IS_LINUX:
        return 0
    try:
        return kernel.syscall("landlock", kernel.SYS_LANDLOCK_CREATE_RULESET, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Leave this process the files below `read` (to read and execute) and `write` (for everything), and nothing else.

    Needs no_new_privs. From version 6 on it can neither signal processes nor connect to abstract Unix sockets outside.
    """
    everything = (1 << _KINDS_OF_ACCESS.get(version(), 16)) - 1
    scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if version() >= 6 else 0
    attributes = struct.pack("=QQQ", everything, 0, scopes)
    ruleset = kernel.syscall("landlock", kernel.SYS_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    try:
        for path in read:
            _allow(ruleset, path, READ)
        for path in write:
            _allow(ruleset, path, everything)
        kernel.syscall("landlock", kernel.SYS_LANDLOCK_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, access: int) -> None:
    """A path that is not there allows nothing."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                access &= _OF_FILES
            rule = ctypes.create_string_buffer(struct.pack("=Qi", access, descriptor))
            kernel.syscall("landlock", kernel.SYS_LANDLOCK_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
        finally:
            os.close(descriptor)
