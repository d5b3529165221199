"""Folders mounted as public, read-only buckets: `clary bucket mount NAME DIR`.

A key names a file below the folder by its parts. Keys with empty, `.` or `..` parts name nothing, and neither does a path whose
symbolic links lead out of the folder.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clary.core.service import Platform
from clary.services.s3 import buckets, changes
from clary.services.s3.errors import S3Error, invalid_argument
from clary.services.s3.index import SCHEMA, Bucket, StoredObject


async def mount(platform: Platform, name: str, folder: str, account: str, region: str) -> dict[str, Any]:
    """Make the bucket `name` show the directory `folder`. Mounting the same folder again is fine.

    Raises InvalidBucketName, InvalidArgument when there is no such directory, or BucketAlreadyExists.
    """
    buckets.check_name(name)
    directory = Path(folder).expanduser()
    if not directory.is_absolute() or not directory.is_dir():
        raise invalid_argument(f"{folder} is not the absolute path of a directory", "Directory", folder)
    platform.resources.declare(*SCHEMA)  # this may be the first that S3 hears
    bucket = Bucket(name, account, region, int(platform.clock.now()), folder=str(directory.resolve()))
    existing = await platform.resources.write(lambda tx: changes.create_bucket(tx.connection, bucket))
    if existing is not None and (existing.account, existing.folder) != (bucket.account, bucket.folder):
        raise S3Error(409, "BucketAlreadyExists", f"A bucket named {name} exists; delete it first", BucketName=name)
    return {"Bucket": name, "Directory": bucket.folder}


class Folders:
    """Files as objects."""

    @staticmethod
    def path(folder: str, key: str) -> Path | None:
        """The file that `key` names, None when there is none inside the folder."""
        parts = key.split("/")
        if not _is_proper(parts):
            return None
        try:
            path = Path(folder, *parts).resolve(strict=True)
        except OSError:  # missing, unreadable, a loop of links, or a name longer than the file system takes
            return None
        return path if path.is_file() and path.is_relative_to(folder) else None

    @staticmethod
    def find(folder: str, key: str) -> StoredObject | None:
        path = Folders.path(folder, key)
        return _object(folder, key, path.stat()) if path else None

    @staticmethod
    def keys(folder: str, prefix: str) -> list[bytes]:
        """All keys that begin with `prefix`, in byte order. Walks the folder."""
        below = prefix.rpartition("/")[0]
        if below and not _is_proper(below.split("/")):
            return []
        wanted = prefix.encode()
        return sorted(key for key in _walk(Path(folder), Path(folder, below)) if key.startswith(wanted))


def _object(folder: str, key: str, status: os.stat_result) -> StoredObject:
    """The entity tag changes whenever the file does, but is no MD5: its form, with a dash, tells clients so."""
    kind, encoding = mimetypes.guess_type(key)
    headers = {"ContentType": kind} if kind and not encoding else {}
    etag = f"{status.st_ino:016x}{status.st_mtime_ns:016x}-{status.st_size}"
    return StoredObject(folder, key, status.st_size, int(status.st_mtime), etag, {"headers": headers})


def _walk(folder: Path, directory: Path) -> Iterator[bytes]:
    """Keys of the files below `directory`. Links to directories are not followed, because they may lead in circles."""
    for below, _, names in os.walk(directory):
        relative = Path(below).relative_to(folder)
        for name in names:
            key = os.fsencode(relative / name)
            if _is_utf8(key):
                yield key


def _is_proper(parts: list[str]) -> bool:
    return not any(part in ("", ".", "..") or "\0" in part or os.sep in part for part in parts)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
