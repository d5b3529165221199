"""One stream: its segment files in order, where it begins and ends, and its cursor.

A stream's name is data, never a path: files are named by the name's hash. `ab/<hash>-<offset of the first record>.seg`
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from clary.storage.journal.frames import Record, Run, State, decode_block, encode_state, frame
from clary.storage.journal.segments import Segment, scan

SEGMENT_BYTES = 1024 * 1024
"""Of the last segment everything is read when a stream is opened, so this bounds how long that takes (about 2 ms)."""


class Stream:
    """Read and changed under the journal's lock only."""

    __slots__ = ("_prefix", "cursor", "end", "name", "segments", "start")

    def __init__(self, root: Path, name: str):
        """Find the stream's files, if it has any; whatever was torn by a crash is cut off."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        self.name = name
        self._prefix = root / digest[:2] / digest[:40]
        self.segments: list[Segment] = []
        self.start = self.end = 0
        self.cursor: str | None = None
        self._recover()

    @property
    def directory(self) -> Path:
        return self._prefix.parent

    @property
    def exists(self) -> bool:
        return bool(self.segments)

    def _recover(self) -> None:
        paths = segment_files(self.directory, self._prefix.name)
        while paths:
            found = scan(paths[-1])
            if found is not None:
                break
            torn = paths.pop()  # while it was begun, so it holds nothing; kept aside in case the disk is to blame
            torn.rename(torn.with_suffix(".torn"))
        else:
            return
        os.truncate(paths[-1], found.size)
        self.segments = [Segment(path, base_of(path)) for path in paths[:-1]]
        self.segments.append(Segment(paths[-1], base_of(paths[-1]), found.size, found.runs))
        self.start = max(found.state.start, self.segments[0].base)
        self.end, self.cursor = found.end, found.state.cursor
        self.drop_before_start()

    def append(self, bodies: list[bytes]) -> list[Path]:
        """Write blocks; returns the paths that changed. Blocks that are there already (a replay) are left out."""
        changed: list[Path] = []
        segment = self._writable(changed)
        written = bytearray()
        for body in bodies:
            block = decode_block(body)
            if block.first < self.end:
                continue  # a replay of what the file has
            segment.index(segment.size + len(written), block)
            written += frame(body)
            self.end = block.end
            self.cursor = self.cursor if block.cursor is None else block.cursor
        segment.append(written)
        return [*changed, segment.path]

    def set_start(self, start: int) -> list[Path]:
        """Forget the records before `start`; returns the paths that changed."""
        self.start = max(self.start, min(start, self.end))
        changed: list[Path] = []
        if self.segments and self.start == self.end > self.segments[-1].base:
            changed += self._roll()
        else:
            self.segments[-1].append(frame(encode_state(self._state(self.segments[-1].base))))
        self.drop_before_start()
        return [*changed, self.segments[-1].path, self.directory]

    def first_since(self, time_ms: int) -> int:
        """The offset after the leading records that are all older than `time_ms`."""
        for segment in self.segments:
            if segment.newest is not None and segment.newest >= time_ms:
                young = (record.offset for record in segment.read(self.start, time_ms))
                return next(young, self.end)
        return self.end

    def read(self, offset: int, oldest: int | None, newest: int | None) -> Iterator[Record]:
        offset = max(offset, self.start)
        for number, segment in enumerate(self.segments):
            is_past = number + 1 < len(self.segments) and self.segments[number + 1].base <= offset
            if not is_past:
                yield from segment.read(offset, oldest, newest)

    def delete(self) -> None:
        for segment in self.segments:
            segment.path.unlink(missing_ok=True)
        self.segments, self.start, self.end, self.cursor = [], 0, 0, None

    def mark(self) -> tuple[int, int]:
        """What `restore` goes back to: the base and the size of the last segment; before the first segment (-1, 0)."""
        return (self.segments[-1].base, self.segments[-1].size) if self.segments else (-1, 0)

    def restore(self, mark: tuple[int, int]) -> None:
        """Cut off what was written to the files after `mark`. This object is of no use afterwards."""
        base, size = mark
        for segment in self.segments:
            if segment.base > base:
                segment.path.unlink(missing_ok=True)
            elif segment.base == base:
                os.truncate(segment.path, size)

    def drop_before_start(self) -> None:
        """Remove the segments that hold nothing but what was trimmed."""
        while len(self.segments) > 1 and self.segments[1].base <= self.start:
            self.segments.pop(0).path.unlink(missing_ok=True)

    def _writable(self, changed: list[Path]) -> Segment:
        if not self.segments or self.segments[-1].size >= SEGMENT_BYTES:
            changed += self._roll()
        return self.segments[-1]

    def _roll(self) -> list[Path]:
        """Seal the last segment and begin a new one at the end of the stream."""
        self.directory.mkdir(exist_ok=True)
        changed = [segment.path for segment in self.segments[-1:]]
        for segment in self.segments[-1:]:
            segment.seal()
        path = self._prefix.with_name(f"{self._prefix.name}-{self.end:020d}.seg")
        runs: list[Run] = []
        segment = Segment(path, self.end, 0, runs)
        segment.append(frame(encode_state(self._state(self.end))))
        self.segments.append(segment)
        return [*changed, path, self.directory]

    def _state(self, base: int) -> State:
        return State(self.name, base, self.start, self.cursor)


def segment_files(directory: Path, prefix: str) -> list[Path]:
    """The segment files of a stream, in order."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return [directory / name for name in sorted(names) if name.startswith(prefix + "-") and name.endswith(".seg")]


def base_of(path: Path) -> int:
    return int(path.stem.rsplit("-", 1)[1])
