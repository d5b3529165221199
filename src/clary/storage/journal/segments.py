"""One file of a stream: frames appended at the end, with a sparse index in memory that says which bytes to read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clary.storage.journal.frames import (
    BLOCK,
    STATE,
    Block,
    Record,
    Run,
    State,
    decode_block,
    decode_index,
    decode_state,
    encode_index,
    frame,
    frames,
    index_length,
    records_of,
)

RUN_BYTES = 32 * 1024
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Scan:
    """What reading a whole segment file found. `size` is where the sound part ends."""

    runs: list[Run]
    state: State
    end: int
    size: int


def scan(path: Path) -> Scan | None:
    """Read a segment file; None when not even its first frame is whole."""
    data = path.read_bytes()
    found: Scan | None = None
    for position, frame_end, body in frames(data):
        if found is None:
            state = decode_state(body)
            found = Scan([], state, state.base, 0)
        elif body[0] == BLOCK:
            block = decode_block(body)
            add_to_index(found.runs, position, block)
            found.end = block.end
            found.state.cursor = found.state.cursor if block.cursor is None else block.cursor
        elif body[0] == STATE:
            found.state.start = max(found.state.start, decode_state(body).start)
        found.size = frame_end
    if found and found.size < len(data):
        _log.warning("%s: %d bytes after the last whole record are ignored", path, len(data) - found.size)
    return found


def add_to_index(runs: list[Run], position: int, block: Block) -> None:
    """Take the block at `position` into the index: into the last run while that is short, else as a new one."""
    if not block.number:
        return
    if not runs or position - runs[-1].position >= RUN_BYTES:
        runs.append(Run(position, block.first, block.oldest, block.newest))
    else:
        last = runs[-1]
        last.oldest, last.newest = min(last.oldest, block.oldest), max(last.newest, block.newest)


class Segment:
    """A segment file up to `size`. The index of a sealed segment is read from the file when it is first needed."""

    __slots__ = ("_runs", "base", "path", "size")

    def __init__(self, path: Path, base: int, size: int = 0, runs: list[Run] | None = None):
        self.path = path
        self.base = base
        self.size = size
        self._runs = runs

    @property
    def runs(self) -> list[Run]:
        if self._runs is None:
            self._runs, self.size = self._find_runs()
        return self._runs

    def _find_runs(self) -> tuple[list[Run], int]:
        """The index at the end of the file, or, where a crash prevented it, what a scan finds."""
        size = self.path.stat().st_size
        length = index_length(self._bytes(max(0, size - 4), size))
        runs = decode_index(self._bytes(size - length, size)) if 0 < length < size else None
        if runs is not None:
            return runs, size
        found = scan(self.path)
        return (found.runs, found.size) if found else ([], 0)

    def seal(self) -> None:
        """Put the index at the end of the file; nothing is appended after this."""
        self.append(frame(encode_index(self.runs)))

    @property
    def newest(self) -> int | None:
        """The latest time of any record, None without records."""
        return max((run.newest for run in self.runs), default=None)

    def append(self, data: bytes | bytearray) -> None:
        """Write whole frames at the end. They are in the file, not yet on disk, when this returns."""
        with self.path.open("ab") as file:
            file.write(data)
        self.size += len(data)

    def index(self, position: int, block: Block) -> None:
        add_to_index(self.runs, position, block)

    def read(self, offset: int, oldest: int | None = None, newest: int | None = None) -> Iterator[Record]:
        """The records from `offset` on whose time is within `[oldest, newest]`, in offset order."""
        runs = self.runs
        for number, run in enumerate(runs):
            following = runs[number + 1] if number + 1 < len(runs) else None
            if following and following.first <= offset:
                continue
            if (oldest is not None and run.newest < oldest) or (newest is not None and run.oldest > newest):
                continue
            data = self._bytes(run.position, following.position if following else self.size)
            for record in _records(data, offset):
                if (oldest is None or record.timestamp >= oldest) and (newest is None or record.timestamp <= newest):
                    yield record

    def _bytes(self, position: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            file.seek(position)
            return file.read(end - position)


def _records(data: bytes, offset: int) -> Iterator[Record]:
    for _, _, body in frames(data):
        if body[0] == BLOCK and (block := decode_block(body)).end > offset:
            yield from records_of(body, block, offset)
