"""What a worker prints, line by line, on its way to CloudWatch Logs."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import time
from pathlib import Path
from typing import Protocol

from clary.core.identifiers import Scope

READ_BYTES = 1024 * 1024
LONGEST_LINE = 256 * 1024
"""CloudWatch's limit for one event."""

FREE_BYTES = 16 * 1024 * 1024
_PUNCH_HOLE = 0x02 | 0x01
"""FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE of `fallocate(2)`. A file system that cannot do it keeps the bytes."""


class Sink(Protocol):
    """Where log lines go."""

    def cursor(self, scope: Scope, group: str, stream: str) -> str | None:
        """What the last `append` to this stream saved."""

    async def append(self, scope: Scope, group: str, stream: str, lines: list[tuple[int, str]], *, cursor: str) -> None:
        """Append `(milliseconds since the epoch, text)` and save `cursor` with them; makes group and stream when needed."""


def group_of(endpoint: str) -> str:
    return f"/aws/sagemaker/Endpoints/{endpoint}"


class InstanceLog:
    """The log file of an instance and how much of it has been shipped.

    The offset is the stream's cursor, saved with the lines, so that a server killed in between neither loses nor repeats any.
    """

    def __init__(self, file: Path, sink: Sink, scope: Scope, endpoint: str, variant: str) -> None:
        self.file = file
        self.stream = f"{variant}/{file.parent.name}"
        self._sink = sink
        self._where = (scope, group_of(endpoint), self.stream)
        self._offset = int(sink.cursor(*self._where) or 0)
        self._freed = 0
        self._lock = asyncio.Lock()

    async def ship(self, *, ended: bool = False) -> None:
        """Ship the complete lines that are new; `ended`: the last line too, complete or not."""
        if not self._grown():
            return
        async with self._lock:
            while lines := await asyncio.to_thread(self._read, ended):
                now = int(time.time() * 1000)
                size = sum(map(len, lines))
                texts = [(now, line.rstrip(b"\r\n").decode(errors="replace")) for line in lines]
                await self._sink.append(*self._where, [one for one in texts if one[1]], cursor=str(self._offset + size))
                self._offset += size
                await asyncio.to_thread(self._free)

    def _grown(self) -> bool:
        try:
            return self.file.stat().st_size > self._offset
        except FileNotFoundError:
            return False

    def _read(self, ended: bool) -> list[bytes]:
        with self.file.open("rb") as file:
            file.seek(self._offset)
            data = file.read(READ_BYTES)
        lines = data.splitlines(keepends=True)
        if lines and not lines[-1].endswith(b"\n") and not ended and len(lines[-1]) < LONGEST_LINE:
            lines.pop()
        return lines

    def _free(self) -> None:
        """Give the disk space of what was shipped back, now and then; offsets stay as they are. Linux only."""
        if self._offset - self._freed < FREE_BYTES or not sys.platform.startswith("linux"):
            return
        self._freed = self._offset
        with self.file.open("r+b") as file:
            ctypes.CDLL(None).fallocate(file.fileno(), _PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(self._freed))
