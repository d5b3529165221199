"""`clary backup`: a data directory that a server can be started on, copied while another one is in use.

Rows are a snapshot of SQLite's own. Blobs are never changed, only removed, and removals wait until the copy is done, so every
object of the snapshot has its bytes. Whatever the journal has acknowledged is in its segment files, so its commit log stays
behind: applied to segments that have changed since it was copied it would do harm. Working directories of jobs are left out:
jobs that run are started again from the copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from clary.core.service import Platform

_PLAIN_FILES = ("format.json", "clary.toml")


async def backup(platform: Platform, target: Path) -> int:
    """Copy the data directory to `target`, which must be empty or absent; returns the bytes that were copied.

    Raises `ValueError` when the target cannot take it.
    """
    source = platform.config.data
    if target.is_relative_to(source):
        raise ValueError(f"{target} lies inside the data directory {source}; choose a place outside")
    if target.exists() and any(target.iterdir()):
        raise ValueError(f"{target} is not empty; choose a new directory")
    with platform.blobs.keeping():
        return await asyncio.to_thread(_copy, source, target)


def _copy(source: Path, target: Path) -> int:
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    _copy_rows(source / "resources.db", target / "resources.db")
    _copy_files(source, target, (source / "journal").glob("*/*.seg"))
    _copy_files(source, target, (source / "blobs").glob("[0-9a-f][0-9a-f]/*"))
    _copy_files(source, target, (source / name for name in _PLAIN_FILES))
    os.sync()
    return sum(file.stat().st_size for file in target.rglob("*") if file.is_file())


def _copy_rows(source: Path, target: Path) -> None:
    with contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as original:
        with contextlib.closing(sqlite3.connect(target)) as copy:
            original.backup(copy)


def _copy_files(source: Path, target: Path, files: Iterable[Path]) -> None:
    """Files that go away meanwhile (a trimmed log, a finished commit log) are not part of the copy."""
    for file in files:
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(file, place)
