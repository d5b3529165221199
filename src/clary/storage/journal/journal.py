"""The journal: many append-only streams of records, durable when an append returns.

Reads run on the caller's thread and take microseconds to a few milliseconds; writes go through one thread that commits
in groups. See `commit_log` for how a group becomes durable, `streams` for the files.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from threading import Lock

from clary.storage.disk import disk_full, is_full, sync_path
from clary.storage.group_commit import GroupCommit, Outcome
from clary.storage.journal.commit_log import CommitLog, entries, entry
from clary.storage.journal.frames import (
    BLOCK,
    Record,
    Records,
    State,
    decode_state,
    encode_blocks,
    encode_records,
    encode_state,
    frames,
)
from clary.storage.journal.streams import Stream

CHECKPOINT_BYTES = 16 * 1024 * 1024
"""A commit log file of this size is retired."""
OPEN_STREAMS = 1000
"""How many streams are kept in memory (about 2 KB each)."""

LONGEST_NAME = 4096
"""Bytes of a stream's name in UTF-8."""
_STATE_BYTES = 8 * LONGEST_NAME
"""What is read of a file to find its stream's name, which JSON may make six times as long."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Append:
    stream: str
    records: list[Records]
    cursor: str | None


@dataclass(slots=True)
class _Trim:
    stream: str
    before_ms: int


@dataclass(slots=True)
class _Delete:
    stream: str


class Journal:
    """Streams of records. A stream exists from its first append on; asking one that does not exist finds it empty."""

    def __init__(self, root: Path, commit_log: CommitLog):
        self._root = root
        self._commit_log = commit_log
        self._lock = Lock()
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._in_use: set[str] = set()
        self._names: set[str] | None = None
        self._unsynced: set[Path] = set()
        self._checkpoints = ThreadPoolExecutor(1, thread_name_prefix="clary-journal-checkpoint")
        self._replay()
        self._group: GroupCommit[_Append | _Trim | _Delete] = GroupCommit("clary-journal-writer", self._commit)

    @classmethod
    def open(cls, path: Path, *, durability: str = "full") -> Journal:
        """Open or create the journal in the directory `path`; applies what a crash left in the commit log.

        With durability `full` an append that returned survives a power cut; with `fast` it survives the death of the process.
        """
        path.mkdir(parents=True, exist_ok=True)
        return cls(path, CommitLog(path, durable=durability == "full"))

    async def close(self) -> None:
        """Finish the writes that wait, sync the segments, and remove the commit log."""
        await self._group.close()
        self._retire_commit_log()
        self._checkpoints.shutdown()

    async def append(self, stream: str, records: Sequence[tuple[int, bytes]], *, cursor: str | None = None) -> int:
        """Append `(timestamp ms, payload)` records; returns the offset of the first one, when they are on disk.

        `cursor` replaces the stream's cursor, atomically with the records: a reader of some source stores how far it
        has read, and after a crash goes on from `cursor(stream)` with nothing lost and nothing twice.
        """
        if len(stream.encode()) > LONGEST_NAME:
            raise ValueError(f"the name of a stream may have {LONGEST_NAME} bytes; this one has {len(stream.encode())}")
        return await self._group.submit(_Append(stream, encode_records(records), cursor))

    def read(
        self,
        stream: str,
        offset: int,
        limit: int,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit_bytes: int | None = None,
    ) -> list[Record]:
        """At most `limit` records from `offset` on, of those whose time is within `[since_ms, until_ms]`.

        Stops early once the payloads reach `limit_bytes`. Fewer records than either limit means the end of the stream.
        """
        found: list[Record] = []
        with self._lock:
            for record in self._stream(stream).read(offset, since_ms, until_ms):
                if len(found) >= limit:
                    break
                found.append(record)
                if limit_bytes is not None:
                    limit_bytes -= len(record.payload)
                    if limit_bytes <= 0:
                        break
        return found

    def start(self, stream: str) -> int:
        """The offset of the oldest record that is kept."""
        with self._lock:
            return self._stream(stream).start

    def end(self, stream: str) -> int:
        """The offset that the next record will get."""
        with self._lock:
            return self._stream(stream).end

    def cursor(self, stream: str) -> str | None:
        with self._lock:
            return self._stream(stream).cursor

    def streams(self, prefix: str = "") -> list[str]:
        """The names of the streams that begin with `prefix`, in order."""
        with self._lock:
            return sorted(name for name in self._all_names() if name.startswith(prefix))

    async def trim(self, stream: str, before_ms: int) -> None:
        """Forget the leading records that are older than `before_ms`. The stream and its cursor stay."""
        await self._group.submit(_Trim(stream, before_ms))

    async def delete(self, stream: str) -> None:
        """Remove the stream; a later append begins again at offset 0."""
        await self._group.submit(_Delete(stream))

    def _stream(self, name: str) -> Stream:
        """The stream, from memory or from its files. Under the lock."""
        stream = self._streams.pop(name, None) or Stream(self._root, name)
        self._streams[name] = stream
        if len(self._streams) > OPEN_STREAMS:
            idle = next((other for other in self._streams if other != name and other not in self._in_use), None)
            if idle is not None:
                del self._streams[idle]
        return stream

    def _all_names(self) -> set[str]:
        """The names of all streams, read from the files on the first use."""
        if self._names is None:
            of_stream = {path.name.split("-")[0]: path for path in self._root.glob("??/*.seg")}
            self._names = {_name_in(path) for path in of_stream.values()} - {""}
        return self._names

    def _commit(self, jobs: list[_Append | _Trim | _Delete]) -> list[Outcome]:
        """Runs on the writer thread. Neighbours of one kind share a trip to the disk; kinds keep their order."""
        outcomes: list[Outcome] = []
        for kind, group in groupby(jobs, key=type):
            alike = list(group)
            try:
                outcomes += [Outcome(result) for result in self._handlers[kind](self, alike)]
            except OSError as error:
                outcomes += [Outcome(error=disk_full() if is_full(error) else error)] * len(alike)
        if self._commit_log.size >= CHECKPOINT_BYTES:
            self._retire_commit_log()
        return outcomes

    def _append_all(self, jobs: list[_Append]) -> list[int]:
        with self._lock:
            self._in_use = {job.stream for job in jobs}
            streams = {job.stream: self._stream(job.stream) for job in jobs}
        ends = {name: stream.end for name, stream in streams.items()}
        bodies: dict[str, list[bytes]] = {name: [] for name in streams}
        firsts, log = [], bytearray()
        for job in jobs:
            first = ends[job.stream]
            blocks = encode_blocks(first, job.records, job.cursor)
            firsts.append(first)
            ends[job.stream] = first + sum(part.number for part in job.records)
            bodies[job.stream] += blocks
            log += entry(job.stream, blocks)
        self._log_and_apply(log, lambda: [streams[name].append(bodies[name]) for name in streams], list(streams))
        with self._lock:
            if self._names is not None:
                self._names.update(streams)
        return firsts

    def _trim_all(self, jobs: list[_Trim]) -> list[None]:
        starts: dict[str, State] = {}
        with self._lock:
            self._in_use = {job.stream for job in jobs}
            streams = {job.stream: self._stream(job.stream) for job in jobs}
        for job in jobs:  # outside the lock: only this thread changes streams, and looking for the place may take a while
            stream = streams[job.stream]
            if stream.exists and (start := stream.first_since(job.before_ms)) > stream.start:
                starts[job.stream] = State(job.stream, 0, start, None)
        log = b"".join(entry(name, [encode_state(state)]) for name, state in starts.items())
        if log:
            self._log_and_apply(
                log, lambda: [self._stream(name).set_start(state.start) for name, state in starts.items()], list(starts)
            )
        return [None] * len(jobs)

    def _delete_all(self, jobs: list[_Delete]) -> list[None]:
        names = list(dict.fromkeys(job.stream for job in jobs))
        self._log_and_apply(b"".join(map(entry, names)), lambda: [self._remove(name) for name in names], names)
        return [None] * len(jobs)

    _handlers: dict[type, Callable] = {_Append: _append_all, _Trim: _trim_all, _Delete: _delete_all}  # noqa: RUF012

    def _log_and_apply(self, log: bytes | bytearray, apply: Callable[[], list[list[Path]]], names: list[str]) -> None:
        """Make a change durable in the commit log, then apply it to the segments; on an OSError both are as before."""
        before = self._commit_log.size
        self._commit_log.write(log)
        with self._lock:
            marks = {name: self._stream(name).mark() for name in names}
            try:
                for changed in apply():
                    self._unsynced.update(changed)
            except OSError:
                self._commit_log.truncate(before)
                for name in names:
                    self._streams.pop(name).restore(marks[name])
                raise
            finally:
                self._in_use = set()

    def _remove(self, name: str) -> list[Path]:
        stream = self._stream(name)
        stream.delete()
        del self._streams[name]
        if self._names is not None:
            self._names.discard(name)
        return [stream.directory]

    def _retire_commit_log(self) -> None:
        """Sync what the commit log stands for, in the background, then remove it."""
        retired = self._commit_log.finish()
        if retired is not None:
            unsynced, self._unsynced = self._unsynced, set()
            self._checkpoints.submit(_checkpoint, unsynced, retired)

    def _replay(self) -> None:
        """Apply what the commit log holds and the segments lack."""
        logs = self._commit_log.files()
        changed: set[Path] = set()
        for path in logs:
            for name, bodies in entries(path):
                changed.update(self._apply_again(name, bodies))
        for path in logs:
            self._checkpoints.submit(_checkpoint, changed, path)
            changed = set()

    def _apply_again(self, name: str, bodies: list[bytes]) -> list[Path]:
        if not bodies:
            return self._remove(name)
        if bodies[0][0] == BLOCK:
            return self._stream(name).append(bodies)
        stream, start = self._stream(name), decode_state(bodies[0]).start
        return stream.set_start(start) if stream.exists and start > stream.start else []


def _checkpoint(paths: set[Path], commit_log: Path) -> None:
    """Sync the segments, then remove the log file that stood for them. When that fails the file stays, for the next start."""
    try:
        for path in paths:
            if path.exists():
                sync_path(path)
    except OSError:
        _log.exception("the journal's segments could not be synced; %s is kept", commit_log)
        return
    if min(commit_log.parent.glob("commit-*.log")) == commit_log:  # applying an old log without its successors would undo them
        commit_log.unlink()


def _name_in(path: Path) -> str:
    """The stream a segment file belongs to, from its first frame; empty when that is torn."""
    with path.open("rb") as file:
        head = file.read(_STATE_BYTES)
    return next((decode_state(body).stream for _, _, body in frames(head)), "")
