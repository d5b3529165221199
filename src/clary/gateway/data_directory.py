"""A server's claim on its data directory: one server at a time, a format version, and where the server can be found."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

FORMAT = 1
"""Version of the layout on disk. A server refuses a directory that a newer one has written."""


class DataDirectoryError(Exception):
    """The directory cannot be used; the message says why and what to do."""


class DataDirectory:
    """Claimed on construction, until `release` or the end of the process.

    The lock is a POSIX record lock on `server.lock`: children of the server do not inherit it, and the kernel drops it
    however the process ends. Raises `DataDirectoryError`.
    """

    def __init__(self, path: Path):
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = (path / "server.lock").open("a+")
        self._take_lock()
        self._check_format()
        self._announcement().unlink(missing_ok=True)

    def _take_lock(self) -> None:
        try:
            fcntl.lockf(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.seek(0)
            owner = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise DataDirectoryError(
                f"{self.path} is in use by another Clary server (pid {owner}); stop it with `clary down --data {self.path}` "
                "or give this server a directory of its own with --data"
            ) from None
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def _check_format(self) -> None:
        file = self.path / "format.json"
        if not file.exists():
            write_atomically(file, json.dumps({"format": FORMAT}))
            return
        found = _format(file)
        if found != FORMAT:
            raise DataDirectoryError(
                f"{self.path} has format {found}; this version of Clary reads format {FORMAT}. "
                "Use the version that wrote it, or another directory with --data"
            )

    def _announcement(self) -> Path:
        return self.path / "server.json"

    def announce(self, facts: dict[str, Any]) -> None:
        """Write `server.json`: the server listens now, and this is where."""
        write_atomically(self._announcement(), json.dumps(facts))

    def release(self) -> None:
        self._announcement().unlink(missing_ok=True)
        self._lock.close()


def _format(file: Path) -> int:
    try:
        return json.loads(file.read_text())["format"]
    except (ValueError, TypeError, KeyError):
        raise DataDirectoryError(
            f"{file} is damaged: it should read {json.dumps({'format': FORMAT})}. If this is a data directory of Clary, "
            "write that into it; if it is not, choose another directory with --data"
        ) from None


def write_atomically(file: Path, text: str, mode: int = 0o600) -> None:
    """Replace `file` so that a reader sees the old text or the new one, also after a power cut."""
    temporary = file.with_name(file.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    directory = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
