"""Giving up the rights of the server's user: capabilities, the user id when that is root's, and getting them back."""

from __future__ import annotations

import os
import resource

from clary.sandbox import kernel, landlock, system_calls

NOBODY = 65534
"""The user and group that programs of a server that root started run as; it owns nothing."""


def owner() -> int | None:
    """The user id that programs get, where it is another than the server's."""
    return NOBODY if os.geteuid() == 0 and kernel.has_capability(kernel.CAP_SYS_ADMIN) else None


def drop(read: list[str], write: list[str], internet: bool, become: int | None = None) -> None:
    """For good, and for all that this process will start: no capability, no other file, no system call that is not needed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what a program holds in memory is not left on the disk
    kernel.bound_capabilities()
    if become is not None:
        os.setgroups([])
        os.setresgid(become, become, become)
        os.setresuid(become, become, become)
    kernel.drop_capabilities()
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    if landlock.version():
        landlock.restrict(read, write)
    if system_calls.available():
        system_calls.restrict(internet)
    if become is not None:
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # a change of user hides a process's own files in /proc from it
