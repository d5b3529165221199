"""Give up what a process does not need before it touches bytes from strangers.

Resource limits work everywhere; no new privileges, empty namespaces and Landlock where the kernel has them. Each measure
that cannot be taken is left out: the caller must not depend on one of them alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys

MEMORY_BYTES = 8 << 30
CPU_SECONDS = 60

_PR_SET_NO_NEW_PRIVS, _PR_SET_DUMPABLE = 38, 4
_NEW_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x04000000  # user, network, IPC, host name
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446  # the same number on every architecture
_LANDLOCK_GET_VERSION = 1
_LANDLOCK_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""Landlock version -> how many kinds of file access it knows; later versions know 16."""


def confine() -> list[str]:
    """Confine this process for good and return the measures taken: no new files, no network, bounded memory and time."""
    taken = ["resource limits"]
    _limit_resources()
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            taken.append("no new privileges")
        if libc.unshare(_NEW_NAMESPACES) == 0:
            taken.append("namespaces")
        if _forbid_files(libc):
            taken.append("landlock")
    # last, because the measures above need descriptors
    _lower(resource.RLIMIT_NOFILE, 0)
    return taken


def _limit_resources() -> None:
    _lower(resource.RLIMIT_AS, MEMORY_BYTES)
    _lower(resource.RLIMIT_CPU, CPU_SECONDS)
    _lower(resource.RLIMIT_FSIZE, 0)
    _lower(resource.RLIMIT_CORE, 0)
    if hasattr(resource, "RLIMIT_NPROC"):
        _lower(resource.RLIMIT_NPROC, 0)


def _lower(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(OSError, ValueError):  # macOS knows some limits by name only
        resource.setrlimit(limit, (value, value))


def _forbid_files(libc: ctypes.CDLL) -> bool:
    """Landlock with no rule at all: no path can be opened, made or removed any more."""
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), _LANDLOCK_GET_VERSION)
    if version < 1:
        return False
    attributes = struct.pack("=Q", (1 << _LANDLOCK_RIGHTS.get(version, 16)) - 1)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return False
    done = libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0
    os.close(ruleset)
    return done
