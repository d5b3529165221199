"""Making files and directory entries survive a power cut."""

from __future__ import annotations

import os
from pathlib import Path

try:
    from fcntl import F_FULLFSYNC, fcntl  # type: ignore[attr-defined,unused-ignore]
except ImportError:
    F_FULLFSYNC = None


def sync_file(file: int) -> None:
    """Flush an open file to the medium. On macOS plain fsync stops at the drive's cache."""
    if F_FULLFSYNC is not None:
        fcntl(file, F_FULLFSYNC)
    else:
        os.fsync(file)


def sync_directory(directory: Path) -> None:
    """Flush a directory's entries: a rename is durable only after this."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
