from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from clary.compute.hosting import instance_log
from clary.compute.hosting.instance_log import InstanceLog
from clary.core.identifiers import Scope

SCOPE = Scope("000000000000", "us-east-1")


class KeptLines:
    """A sink that keeps what it is given, and its cursor."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.saved: str | None = None

    def cursor(self, scope: Scope, group: str, stream: str) -> str | None:
        assert (group, stream) == ("/aws/sagemaker/Endpoints/e", "v/i-1")
        return self.saved

    async def append(self, scope: Scope, group: str, stream: str, lines: list[tuple[int, str]], *, cursor: str) -> None:
        self.lines += [line for _, line in lines]
        self.saved = cursor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "i-1").mkdir()
    return tmp_path / "i-1" / "log"


def ship(file: Path, sink: KeptLines, *, ended: bool = False) -> None:
    """By a shipper that knows nothing but the sink's cursor, as after a crash."""
    asyncio.run(InstanceLog(file, sink, SCOPE, "e", "v").ship(ended=ended))


def test_each_line_is_shipped_once_whoever_ships_it_and_half_a_line_waits(file):
    sink = KeptLines()
    ship(file, sink)
    file.write_bytes(b"one\r\n\ntwo\nhalf")
    ship(file, sink)
    assert sink.lines == ["one", "two"]
    with file.open("ab") as more:
        more.write(b" and half\nnot ended \xff")
    ship(file, sink)
    assert sink.lines == ["one", "two", "half and half"]
    ship(file, sink, ended=True)
    ship(file, sink, ended=True)
    assert sink.lines == ["one", "two", "half and half", "not ended \N{REPLACEMENT CHARACTER}"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fallocate(2)")
def test_what_was_shipped_takes_no_disk_space_for_long(file, monkeypatch):
    monkeypatch.setattr(instance_log, "FREE_BYTES", 1_000_000)
    sink = KeptLines()
    file.write_bytes((b"x" * 99 + b"\n") * 40_000)
    ship(file, sink)
    assert len(sink.lines) == 40_000
    assert file.stat().st_size == 4_000_000
    assert file.stat().st_blocks * 512 < 1_500_000
