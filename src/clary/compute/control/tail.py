"""Reading what supervisors write while they write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MOST = 1 << 20
"""Bytes read at a time, so that a chatty job cannot fill the server's memory."""


def read(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """The JSON lines of `path` that are complete after byte `offset`, and the offset after them.

    A missing file has no lines. Half a line stays for the next time.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(MOST)
    except FileNotFoundError:
        return [], offset
    complete = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in complete.splitlines()], offset + len(complete)
