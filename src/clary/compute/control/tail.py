"""Reading what supervisors write while they write it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import orjson

MOST = 4 << 20
"""Bytes read at a time, so that a chatty job cannot fill the server's memory; more than the longest line (256 KiB of text,
each byte of which JSON may write as six)."""


def read(path: Path, offset: int) -> list[tuple[int, dict[str, Any]]]:
    """The JSON lines of `path` that are complete after byte `offset`, each with the offset of what follows it.

    A missing file has no lines. Half a line stays for the next time.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(MOST)
    except FileNotFoundError:
        return []
    complete = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
    ends = itertools.accumulate((len(line) for line in complete), initial=offset)
    return [(end, orjson.loads(line)) for end, line in zip(itertools.islice(ends, 1, None), complete, strict=True)]
