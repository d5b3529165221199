"""From a program's output to the job's record of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.compute.supervisor import journal as journal_module
from clary.compute.supervisor.journal import LONGEST_LINE, JobJournal, Lines


def lines_of(*pieces: bytes) -> list[str]:
    lines = Lines()
    return [line for piece in pieces for line in lines.feed(piece)] + list(lines.end())


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([b"a\nb\n"], ["a", "b"]),
        ([b"a", b"b\nc"], ["ab", "c"]),
        ([b"10%\r20%\r", b"done\r\nnext"], ["10%", "20%", "done", "next"]),
        ([b"a\r", b"\nb"], ["a", "b"]),
        ([b"\n\n\n"], []),
        ([b"\xff\n"], ["�"]),
        ([b"x" * (LONGEST_LINE + 3)], ["x" * LONGEST_LINE, "xxx"]),
    ],
)
def test_output_becomes_lines(pieces: list[bytes], expected: list[str]) -> None:
    assert lines_of(*pieces) == expected


@given(st.binary(max_size=200), st.integers(1, 20))
def test_where_the_bytes_are_cut_does_not_matter(data: bytes, size: int) -> None:
    assert lines_of(*(data[n : n + size] for n in range(0, len(data), size))) == lines_of(data)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_metrics_are_found_in_lines_and_the_last_value_is_final(tmp_path: Path) -> None:
    journal = JobJournal(tmp_path, (("loss", r"loss=(\S+)"), ("any", r"never")))
    journal.log(["epoch 1 loss=0.5", "epoch 2 loss=0.25", "loss=nan", "loss=what"])
    assert [(entry["n"], entry["v"]) for entry in read(tmp_path / "metrics.jsonl")] == [("loss", 0.5), ("loss", 0.25)]
    assert journal.final_metrics["loss"][0] == 0.25
    assert [entry["m"] for entry in read(tmp_path / "log.jsonl")][:1] == ["epoch 1 loss=0.5"]
    times = [entry["t"] for entry in read(tmp_path / "log.jsonl")]
    assert times == sorted(times)


def test_an_expression_that_takes_for_ever_does_not_keep_the_supervisor(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(journal_module, "_PATIENCE_SECONDS", 0.05)
    journal = JobJournal(tmp_path, (("slow", r"v=(\d+)|(a+)+$"), ("loss", r"loss=(\S+)")))
    for step in range(4):
        journal.log([f"v={step}", "a" * 64 + "b", f"loss={step}"])
    assert [entry["v"] for entry in read(tmp_path / "metrics.jsonl") if entry["n"] == "slow"] == [0, 1, 2]
    assert [entry["v"] for entry in read(tmp_path / "metrics.jsonl") if entry["n"] == "loss"] == [0, 1, 2, 3]
    assert sum("Metric slow" in entry["m"] for entry in read(tmp_path / "log.jsonl")) == 1
