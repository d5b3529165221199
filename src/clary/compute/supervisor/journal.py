"""The job's own record of itself, as JSON lines that the server tails: log, metrics, secondary status."""

from __future__ import annotations

import os
import re
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from clary.compute.runner import job_directory

LONGEST_LINE = 256 * 1024 - 26
"""Bytes: the longest event CloudWatch Logs takes. Longer lines continue in the next event."""
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LINES_KEPT = 40


class LineFile:
    """Appends JSON lines; each batch is one write, so that only a crash can leave half a line."""

    def __init__(self, path: Path):
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def append(self, entries: list[dict[str, Any]]) -> None:
        view = memoryview(b"".join(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE) for entry in entries))
        while view:
            view = view[os.write(self._descriptor, view) :]


class Lines:
    """Bytes as they come -> whole lines. A carriage return ends a line too, so that progress bars are seen as they move."""

    def __init__(self) -> None:
        self._rest = b""
        self._after_return = False

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that `data` completes; empty ones are not events."""
        if self._after_return and data.startswith(b"\n"):
            data = data[1:]  # the second half of a line end
        self._after_return = data.endswith(b"\r")
        *lines, self._rest = _LINE_END.split(self._rest + data)
        for line in lines:
            yield from _decode(line)
        while len(self._rest) > LONGEST_LINE:
            head, self._rest = self._rest[:LONGEST_LINE], self._rest[LONGEST_LINE:]
            yield head.decode(errors="replace")

    def end(self) -> Iterator[str]:
        """What came after the last line end."""
        rest, self._rest = self._rest, b""
        return _decode(rest)


def _decode(line: bytes) -> Iterator[str]:
    for start in range(0, len(line), LONGEST_LINE):
        yield line[start : start + LONGEST_LINE].decode(errors="replace")


class JobJournal:
    """What the supervisor records about one run. Times are milliseconds since the epoch and never go back."""

    def __init__(self, directory: Path, metrics: tuple[tuple[str, str], ...]):
        self._log = LineFile(directory / job_directory.LOG)
        self._metrics = LineFile(directory / job_directory.METRICS)
        self._status = LineFile(directory / job_directory.STATUS)
        self._patterns = [(name, re.compile(regex)) for name, regex in metrics]
        self._last = 0
        self.final_metrics: dict[str, tuple[float, int]] = {}
        """Name -> last value and its time."""
        self.last_lines: deque[str] = deque(maxlen=_LINES_KEPT)

    def now(self) -> int:
        self._last = max(self._last, int(time.time() * 1000))
        return self._last

    def log(self, lines: list[str]) -> None:
        """Record lines of output, and the metrics in them."""
        if not lines:
            return
        now = self.now()
        self._log.append([{"t": now, "m": line} for line in lines])
        self.last_lines.extend(lines)
        found = [(name, value) for line in lines for name, value in self._values(line)]
        self.final_metrics.update({name: (value, now) for name, value in found})
        self._metrics.append([{"t": now, "n": name, "v": value} for name, value in found])

    def status(self, secondary: str) -> None:
        """Record that the job enters this secondary status (`catalog.training_status`)."""
        self._status.append([{"t": self.now(), "s": secondary}])

    def _values(self, line: str) -> Iterator[tuple[str, float]]:
        for name, pattern in self._patterns:
            for match in pattern.finditer(line):
                value = _number(match[1] if pattern.groups else match[0])
                if value is not None:
                    yield name, value


def _number(text: str | None) -> float | None:
    """A metric's value; None for what is no finite number, which CloudWatch would not take either."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
