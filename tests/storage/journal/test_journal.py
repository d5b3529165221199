"""The journal against a plain list, through restarts, torn files, a full disk and `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.core.errors import ServiceUnavailable
from clary.storage.journal import Journal, commit_log, journal, streams
from clary.storage.journal.segments import Segment


def with_journal(root: Path, body, **options) -> Any:
    """Run the coroutine function `body(journal)` on the journal in `root`."""

    async def run() -> Any:
        opened = Journal.open(root, **options)
        try:
            return await body(opened)
        finally:
            await opened.close()

    return asyncio.run(run())


def payloads(opened: Journal, stream: str, offset: int = 0, limit: int = 10_000, **options) -> list[bytes]:
    return [record.payload for record in opened.read(stream, offset, limit, **options)]


def test_records_have_consecutive_offsets_and_survive_a_restart(tmp_path):
    async def write(opened):
        assert await opened.append("s", [(1, b"a"), (2, b"b")]) == 0
        assert await opened.append("s", [(3, b"c")], cursor="17") == 2

    async def read(opened):
        assert opened.read("s", 1, 10) == [(1, 2, b"b"), (2, 3, b"c")]
        assert (opened.start("s"), opened.end("s"), opened.cursor("s")) == (0, 3, "17")
        assert await opened.append("s", [(4, b"d")]) == 3
        assert opened.cursor("s") == "17"

    with_journal(tmp_path, write)
    with_journal(tmp_path, read)


def test_a_stream_that_does_not_exist_is_empty(tmp_path):
    async def body(opened):
        assert (opened.read("s", 0, 1), opened.start("s"), opened.end("s"), opened.cursor("s")) == ([], 0, 0, None)
        await opened.trim("s", 5)
        await opened.delete("s")
        assert opened.streams() == []

    with_journal(tmp_path, body)


def test_a_name_is_never_a_path(tmp_path):
    names = ["../../etc/passwd", "a/b", "a\0b", "ünïcode" * 100, "x" * 2000, " "]

    async def body(opened):
        for name in names:
            await opened.append(name, [(0, name.encode())])
        assert [payloads(opened, name) for name in names] == [[name.encode()] for name in names]

    async def listed(opened):
        assert opened.streams() == sorted(names)
        assert opened.streams("a/") == ["a/b"]

    with_journal(tmp_path / "journal", body)
    with_journal(tmp_path / "journal", listed)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_limits_by_number_and_by_bytes(tmp_path):
    async def body(opened):
        await opened.append("s", [(n, b"12345") for n in range(10)])
        assert len(payloads(opened, "s", limit=3)) == 3
        assert len(payloads(opened, "s", limit_bytes=11)) == 3
        assert len(payloads(opened, "s", limit_bytes=10)) == 2

    with_journal(tmp_path, body)


@pytest.fixture
def small_segments(monkeypatch):
    """Many segments, runs and commit log files with little data."""
    monkeypatch.setattr(streams, "SEGMENT_BYTES", 200)
    monkeypatch.setattr("clary.storage.journal.segments.RUN_BYTES", 60)
    monkeypatch.setattr("clary.storage.journal.frames.BLOCK_BYTES", 40)
    monkeypatch.setattr(journal, "CHECKPOINT_BYTES", 500)
    monkeypatch.setattr(journal, "OPEN_STREAMS", 2)


STREAM = st.sampled_from(["a", "b", "c"])
TIME = st.integers(0, 30)
STEP = st.one_of(
    st.tuples(st.just("append"), STREAM, st.lists(st.tuples(TIME, st.binary(max_size=30)), max_size=6), st.none() | TIME),
    st.tuples(st.just("trim"), STREAM, TIME),
    st.tuples(st.just("delete"), STREAM),
    st.tuples(st.just("restart")),
    st.tuples(st.just("crash")),
)


class Model:
    """What a stream should be: all records ever appended, where it begins, its cursor."""

    def __init__(self) -> None:
        self.records: list[tuple[int, bytes]] = []
        self.start = 0
        self.cursor: str | None = None

    def trim(self, before: int) -> None:
        while self.start < len(self.records) and self.records[self.start][0] < before:
            self.start += 1


@settings(max_examples=120, deadline=None)
@given(steps=st.lists(STEP, max_size=25))
@pytest.mark.usefixtures("small_segments")
def test_a_journal_is_a_list_that_survives(tmp_path_factory, steps):
    root = tmp_path_factory.mktemp("journal")

    async def run() -> None:
        models: dict[str, Model] = {}
        opened, directory = Journal.open(root / "0"), root / "0"
        for number, step in enumerate(steps, 1):
            if step[0] == "restart":
                await opened.close()
                opened = Journal.open(directory)
            elif step[0] == "crash":
                directory = _as_after_a_kill(directory, root / str(number))
                await opened.close()
                opened = Journal.open(directory)
            else:
                await _apply(step, opened, models)
            _check(opened, models)
        await opened.close()

    asyncio.run(run())


def _as_after_a_kill(directory: Path, copy: Path) -> Path:
    """The files as they are while the journal is open, which is what `kill -9` leaves."""

    def copy_file(source: str, target: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # a commit log that was retired just now
            shutil.copyfile(source, target)

    shutil.copytree(directory, copy, copy_function=copy_file)
    return copy


async def _apply(step, opened: Journal, models: dict[str, Model]) -> None:
    stream = step[1]
    if step[0] == "append":
        model = models.setdefault(stream, Model())
        cursor = None if step[3] is None else str(step[3])
        assert await opened.append(stream, step[2], cursor=cursor) == len(model.records)
        model.records += step[2]
        model.cursor = model.cursor if cursor is None else cursor
    elif step[0] == "trim":
        await opened.trim(stream, step[2])
        models.get(stream, Model()).trim(step[2])
    else:
        await opened.delete(stream)
        models.pop(stream, None)


def _check(opened: Journal, models: dict[str, Model]) -> None:
    assert opened.streams() == sorted(models)
    for stream, model in models.items():
        expected = [(n, *record) for n, record in enumerate(model.records)][model.start :]
        assert opened.read(stream, 0, 1000) == expected
        assert (opened.start(stream), opened.end(stream), opened.cursor(stream)) == (
            model.start,
            len(model.records),
            model.cursor,
        )
        assert opened.read(stream, 3, 2) == [record for record in expected if record[0] >= 3][:2]
        within = [record for record in expected if 10 <= record[1] <= 20]
        assert opened.read(stream, 0, 1000, since_ms=10, until_ms=20) == within


@pytest.mark.usefixtures("small_segments")
def test_trimmed_segments_leave_the_disk(tmp_path):
    async def body(opened):
        for time in range(40):
            await opened.append("s", [(time, b"x" * 50)])
        before = len(list(tmp_path.glob("*/*.seg")))
        await opened.trim("s", 100)
        assert len(list(tmp_path.glob("*/*.seg"))) == 1 < before
        assert opened.read("s", 0, 100) == []
        assert await opened.append("s", [(100, b"y")]) == 40

    with_journal(tmp_path, body)


@pytest.mark.parametrize("lost", [1, 5, 30])
def test_a_torn_tail_is_cut_and_the_stream_goes_on(tmp_path, lost):
    async def write(opened):
        for time in range(3):
            await opened.append("s", [(time, b"payload")])

    async def go_on(opened):
        assert payloads(opened, "s") == [b"payload"] * 2
        assert await opened.append("s", [(9, b"new")]) == 2
        assert payloads(opened, "s") == [b"payload"] * 2 + [b"new"]

    with_journal(tmp_path, write)
    (segment,) = tmp_path.glob("*/*.seg")
    os.truncate(segment, segment.stat().st_size - lost)
    with_journal(tmp_path, go_on)


@pytest.mark.usefixtures("small_segments")
def test_a_segment_that_was_torn_while_it_was_begun_is_put_aside(tmp_path):
    async def write(opened):
        for time in range(12):
            await opened.append("s", [(time, b"x" * 30)])

    async def go_on(opened):
        kept = opened.end("s")
        assert 0 < kept < 12
        assert await opened.append("s", [(20, b"new")]) == kept
        assert len(opened.read("s", 0, 100)) == kept + 1

    with_journal(tmp_path, write)
    last = max(tmp_path.glob("*/*.seg"))
    os.truncate(last, 3)
    with_journal(tmp_path, go_on)
    assert last.with_suffix(".torn").exists()


def test_streams_do_not_use_up_descriptors(tmp_path):
    """A descriptor per stream would fail at the limit of 1024 that many systems set."""

    async def body(opened):
        await asyncio.gather(*[opened.append(f"s{n}", [(n, b"x")]) for n in range(2000)])
        descriptors = Path("/proc/self/fd")
        assert not descriptors.exists() or len(list(descriptors.iterdir())) < 200
        assert [payloads(opened, f"s{n}") for n in range(2000)] == [[b"x"]] * 2000
        assert len(opened.streams("s")) == 2000

    with_journal(tmp_path, body, durability="fast")


FULL_DISK = """
    import asyncio, resource, signal, sys
    from pathlib import Path
    from clary.storage.journal import Journal

    async def main():
        journal = Journal.open(Path(sys.argv[1]))
        await journal.append("s", [(0, b"before")])
        limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
        try:
            await journal.append("s", [(1, b"x" * 5000)])
        except OSError:
            print("refused")
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        assert await journal.append("s", [(2, b"after")]) == 1
        print([record.payload for record in journal.read("s", 0, 9)])
        import os; os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(main())
"""


def test_a_write_that_does_not_fit_is_refused_and_nothing_else_is_lost(tmp_path):
    script = [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(tmp_path)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["refused", "[b'before', b'after']"], done.stderr

    async def body(opened):
        assert payloads(opened, "s") == [b"before", b"after"]

    with_journal(tmp_path, body)


def test_a_full_disk_is_told_to_the_client(tmp_path, monkeypatch):
    def no_room(descriptor, data):
        raise OSError(28, "No space left on device")

    async def body(opened):
        with monkeypatch.context() as patched:
            patched.setattr(commit_log, "_write_all", no_room)
            with pytest.raises(ServiceUnavailable, match="full"):
                await opened.append("s", [(0, b"x")])
        assert await opened.append("s", [(0, b"y")]) == 0

    with_journal(tmp_path, body)


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("writes_before_it_is_full", range(5))
def test_an_append_that_fails_halfway_harms_no_earlier_segment(tmp_path, monkeypatch, writes_before_it_is_full):
    records = [(time, b"x" * 30) for time in range(30)]
    expected = [(offset, *record) for offset, record in enumerate(records)]

    async def write(opened):
        for record in records:
            await opened.append("s", [record])

    async def fail(opened):
        write_to_segment, room = Segment.append, writes_before_it_is_full

        def append(segment, data):
            nonlocal room
            room -= 1
            if room < 0:
                with segment.path.open("ab") as file:
                    file.write(data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            write_to_segment(segment, data)

        with monkeypatch.context() as patched:
            patched.setattr(Segment, "append", append)
            outcomes = [await _outcome(opened.append("s", [(90, b"y" * 50)] * 4)) for _ in range(3)]
        assert any(isinstance(outcome, ServiceUnavailable) for outcome in outcomes)
        appended = [(90, b"y" * 50)] * 4 * sum(isinstance(outcome, int) for outcome in outcomes)
        expected.extend((len(records) + offset, *record) for offset, record in enumerate(appended))
        assert opened.read("s", 0, 1000) == expected

    async def check(opened):
        assert opened.read("s", 0, 1000) == expected

    for step in (write, fail, check):
        with_journal(tmp_path, step)


async def _outcome(awaitable) -> Any:
    try:
        return await awaitable
    except ServiceUnavailable as error:
        return error


APPEND_FOREVER = """
    import asyncio, itertools, os, sys
    from pathlib import Path
    from clary.storage.journal import Journal

    async def writer(journal, name):
        for number in itertools.count():
            offset = await journal.append(name, [(number, f"{name}-{number}".encode())], cursor=str(number))
            os.write(1, f"{name} {offset}\\n".encode())

    async def main():
        journal = Journal.open(Path(sys.argv[1]), durability=sys.argv[2])
        await asyncio.gather(*[writer(journal, f"s{n}") for n in range(8)])

    asyncio.run(main())
"""


@pytest.mark.parametrize("durability", ["full", "fast"])
def test_what_was_acknowledged_is_there_after_kill_9(tmp_path, durability):
    acknowledged: dict[str, int] = {}
    for round_ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(APPEND_FOREVER), str(tmp_path), durability],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        for _ in range(200 + 150 * round_):
            stream, offset = process.stdout.readline().split()
            acknowledged[stream] = int(offset)
        process.send_signal(signal.SIGKILL)
        for line in process.stdout.read().splitlines():
            stream, offset = line.split()
            acknowledged[stream] = int(offset)
        process.wait()

        async def body(opened):
            for stream, offset in acknowledged.items():
                records = opened.read(stream, 0, 1_000_000)
                assert [record.offset for record in records] == list(range(len(records)))
                assert len(records) > offset
                assert records[-1].payload.decode() == f"{stream}-{opened.cursor(stream)}"

        with_journal(tmp_path, body)
