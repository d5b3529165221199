"""The job's own record of itself, as JSON lines that the server tails: log, metrics, secondary status."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
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
_PATIENCE_SECONDS = 1.0
"""Processor time that a metric's expression may take over lines that come together: the watch has a deadline to keep."""
_CHANCES = 3
"""An expression that took too long so often is not searched for again."""


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
        if b"\n" in data or b"\r" in data:
            first, *lines, rest = _LINE_END.split(data)
            for line in (self._rest + first, *lines):
                yield from _decode(line)
            self._rest = rest
        else:
            self._rest += data
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


class _TooSlow(Exception):
    """An expression has had its time."""


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Raises `_TooSlow` in the middle of a search, which gives way to signals, though not to threads."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise _TooSlow

    previous = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, _PATIENCE_SECONDS)
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)


class JobJournal:
    """What the supervisor records about one run. Times are milliseconds since the epoch and never go back."""

    def __init__(self, directory: Path, metrics: tuple[tuple[str, str], ...]):
        self._log = LineFile(directory / job_directory.LOG)
        self._metrics = LineFile(directory / job_directory.METRICS)
        self._status = LineFile(directory / job_directory.STATUS)
        self._patterns = [(name, re.compile(regex)) for name, regex in metrics]
        self._chances = dict.fromkeys(range(len(metrics)), _CHANCES)
        """Index of an expression -> how often it may still take too long."""
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
        found = [pair for index in list(self._chances) for pair in self._search(index, lines)]
        self.final_metrics.update({name: (value, now) for name, value in found})
        self._metrics.append([{"t": now, "n": name, "v": value} for name, value in found])

    def status(self, secondary: str) -> None:
        """Record that the job enters this secondary status (`catalog.training_status`)."""
        self._status.append([{"t": self.now(), "s": secondary}])

    def _search(self, index: int, lines: list[str]) -> list[tuple[str, float]]:
        """The values of one metric in `lines`: those before the line that takes its expression too long."""
        name, pattern = self._patterns[index]
        found: list[tuple[str, float]] = []
        try:
            with _patience():
                found.extend((name, value) for line in lines for value in _values(pattern, line))
        except _TooSlow:
            self._chances[index] -= 1
            if self._chances[index] == 0:
                del self._chances[index]
                told = f"Metric {name}: its regular expression takes too long and is not searched for any more"
                self._log.append([{"t": self.now(), "m": told}])
        return found


def _values(pattern: re.Pattern[str], line: str) -> Iterator[float]:
    for match in pattern.finditer(line):
        value = _number(match[1] if pattern.groups else match[0])
        if value is not None:
            yield value


def _number(text: str | None) -> float | None:
    """A metric's value; None for what is no finite number, which CloudWatch would not take either."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
