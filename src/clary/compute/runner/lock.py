"""The lock that says a supervisor lives: a POSIX record lock, which a process's children do not inherit.

The lock file appears already locked, by a hard link, and is never taken twice: a file without a holder means that the
supervisor of this attempt is gone. The kernel names the holder, so that a recycled process id cannot be mistaken for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import sys
from pathlib import Path

NAME = "supervisor.lock"

if sys.platform == "darwin":  # struct flock: start, length, pid, type, whence
    _LAYOUT, _TYPE, _PID = "qqihh", 3, 2
else:  # type, whence, start, length, pid
    _LAYOUT, _TYPE, _PID = "hhqqi", 0, 4


def take(directory: Path) -> bool:
    """Become the one supervisor that this directory ever has; False when another one is or was it.

    The lock is held until this process ends; the file must not be opened and closed again by it.
    """
    own = directory / f"{NAME}.{os.getpid()}"
    descriptor = os.open(own, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.link(own, directory / NAME)
    except FileExistsError:
        os.close(descriptor)
        return False
    finally:
        own.unlink()
    return True


def was_taken(directory: Path) -> bool:
    """Whether a supervisor has ever started here."""
    return (directory / NAME).exists()


def holder(directory: Path) -> int | None:
    """The process id of the living supervisor, or None."""
    question = [0] * 5
    question[_TYPE] = fcntl.F_WRLCK
    with contextlib.suppress(FileNotFoundError), (directory / NAME).open("rb") as file:
        answer = struct.unpack(_LAYOUT, fcntl.fcntl(file, fcntl.F_GETLK, struct.pack(_LAYOUT, *question)))
        if answer[_TYPE] != fcntl.F_UNLCK:
            return answer[_PID]
    return None
