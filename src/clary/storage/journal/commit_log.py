"""The journal's commit log: a batch that touches a thousand streams costs one fsync, not a thousand.

An append is first written and synced here, then written to its segment files without waiting for the disk. When a log
file has grown, the segments it stands for are synced in the background and the file is removed. At open, what the
remaining files hold and the segments lack is applied again.

    entry   a frame whose body is: u16 length of the stream's name, name, the frames that the change appends; none for a delete
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from clary.storage.disk import sync_directory, sync_file
from clary.storage.journal.frames import frame, frames

_NAME = struct.Struct("<H")


def entry(stream: str, bodies: Sequence[bytes] = ()) -> bytes:
    """A framed entry: `bodies` are appended to `stream`, together or not at all; without any the stream is deleted."""
    name = stream.encode()
    return frame(_NAME.pack(len(name)) + name + b"".join(map(frame, bodies)))


def entries(path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """`(stream, bodies)` of each whole entry of a log file."""
    for _, _, data in frames(path.read_bytes()):
        (length,) = _NAME.unpack_from(data)
        names_end = _NAME.size + length
        yield str(data[_NAME.size : names_end], "utf-8"), [bytes(body) for _, _, body in frames(bytes(data[names_end:]))]


class CommitLog:
    """The log files in `directory`; only the newest is written."""

    def __init__(self, directory: Path, *, durable: bool):
        self._directory = directory
        self._durable = durable
        self._number = 0
        self._descriptor = -1
        self.size = 0

    def files(self) -> list[Path]:
        """The log files that are there, oldest first."""
        return sorted(self._directory.glob("commit-*.log"))

    def write(self, data: bytes | bytearray) -> None:
        """Append whole entries; they are on disk on return. Raises OSError, and then nothing was appended."""
        if self._descriptor < 0:
            self._begin()
        before = self.size
        try:
            _write_all(self._descriptor, data)
            if self._durable:
                sync_file(self._descriptor)
        except OSError:
            self.truncate(before)
            raise
        self.size = before + len(data)

    def truncate(self, size: int) -> None:
        """Take back what was written after `size`."""
        os.ftruncate(self._descriptor, size)
        self.size = size

    def finish(self) -> Path | None:
        """Stop writing the present file and return it; the next write begins another."""
        if self._descriptor < 0:
            return None
        os.close(self._descriptor)
        self._descriptor, self.size = -1, 0
        return self._path()

    def _begin(self) -> None:
        self._number = max([self._number, *(int(path.stem[len("commit-") :]) for path in self.files())]) + 1
        self._descriptor = os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        sync_directory(self._directory)

    def _path(self) -> Path:
        return self._directory / f"commit-{self._number:012d}.log"


def _write_all(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
