"""Reading files that are being written."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from clary.compute.control import tail

LINES = st.lists(st.dictionaries(st.just("m"), st.text(), min_size=1), max_size=20)


@given(lines=LINES, data=st.data())
@settings(deadline=None, max_examples=50)
def test_every_line_comes_once_wherever_reading_stops(
    lines: list[dict[str, str]], data: st.DataObject, tmp_path_factory
) -> None:
    path: Path = tmp_path_factory.getbasetemp() / "tail.jsonl"
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    seen, offset = [], 0
    while offset < len(content):
        path.write_bytes(content[: data.draw(st.integers(offset, len(content)))])
        for after, entry in tail.read(path, offset):
            seen.append(entry)
            assert content[after - 1 : after] == b"\n"
            offset = after
    assert seen == lines


def test_half_a_line_waits_and_a_missing_file_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert tail.read(path, 0) == []
    path.write_bytes(b'{"m": "a"}\n{"m": ')
    assert tail.read(path, 0) == [(11, {"m": "a"})]
    assert tail.read(path, 11) == []
