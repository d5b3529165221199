"""Opening what a program left, without being led out of its directory: the program made every name and link below it."""

from __future__ import annotations

import os
from pathlib import Path

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def open_directory(root: Path, directory: Path) -> int:
    """A descriptor of `directory`, at or below `root`, no step to which is a link. Raises `OSError`."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in directory.relative_to(root).parts:
        above, descriptor = descriptor, -1
        try:
            descriptor = os.open(part, _STEP, dir_fd=above)
        finally:
            os.close(above)
    return descriptor


def open_file(root: Path, path: Path) -> int:
    """A descriptor to read the file `path` below `root`; links count when they lead to a place below it.

    What was a link a moment ago and leads elsewhere now is not followed. Raises `OSError`, also for what leads out.
    """
    real_root, real = root.resolve(), path.resolve()
    if not real.is_relative_to(real_root):
        raise FileNotFoundError(f"{path} leads out of {root}")
    directory = open_directory(real_root, real.parent)
    try:
        return os.open(real.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    finally:
        os.close(directory)


def read_text(root: Path, path: Path, length: int) -> str:
    """The first characters of a regular file; nothing when it is not there, no file, or led to by a link out of `root`."""
    try:
        with open(open_file(root, path), errors="replace") as file:
            return file.read(length) if path.is_file() else ""
    except OSError:
        return ""
