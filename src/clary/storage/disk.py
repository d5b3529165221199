"""What a file system asks of those who promise durability."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from clary.core.errors import InternalFailure


def fsync_directory(directory: Path) -> None:
    """Make the creation and removal of files in `directory` durable."""
    fsync_file(directory)


def fsync_file(path: Path) -> None:
    """Make the content of a file durable, also what other descriptors wrote."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full() -> InternalFailure:
    """What a client is told when there is no room left for its request."""
    return InternalFailure("the disk that holds the server's data directory is full; free some space and repeat the request")
