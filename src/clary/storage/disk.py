"""What a file system asks of those who promise that files and directory entries survive a power cut."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from clary.core.errors import ServiceUnavailable

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


def sync_path(path: Path) -> None:
    """Flush a file, also what other descriptors wrote to it, or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if path.is_dir():
            os.fsync(descriptor)
        else:
            sync_file(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Flush a directory's entries: the creation, renaming or removal of a file is durable only after this."""
    sync_path(directory)


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full() -> ServiceUnavailable:
    """What a client is told when there is no room left for its request."""
    return ServiceUnavailable("the disk that holds the server's data directory is full; free some space and repeat the request")
