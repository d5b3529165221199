"""Beside the running program: records its output, and ends it on a stop request, at its deadline, or when its data fail."""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from clary.compute.supervisor.child import Child
from clary.compute.supervisor.journal import JobJournal, Lines

GRACE_SECONDS = 120.0
"""Between SIGTERM and SIGKILL, as the service gives a container to save its model."""
_PIECE = 1 << 16
_PIECES_AT_A_TIME = 16
"""Recorded before the deadline is looked at again: a program may print faster than this can be recorded."""
Cause = Literal["exited", "stopped", "deadline", "failed"]


@dataclass(slots=True)
class Signals:
    """What may happen while the program runs, with a descriptor that wakes whoever waits in `select`."""

    stopping: threading.Event
    failure: BaseException | None
    wakeup: int
    _wake: int

    @classmethod
    def install(cls) -> Signals:
        """Take over SIGTERM and SIGCHLD of this process."""
        wakeup, wake = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(wake, False)
        signals = cls(threading.Event(), None, wakeup, wake)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: signals.stopping.set())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return signals

    def failed(self, error: BaseException) -> None:
        """From a thread that feeds a channel: the program cannot have its data."""
        self.failure = self.failure or error
        os.write(self._wake, b"f")

    def drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self.wakeup, 1024):
                pass


@dataclass(frozen=True, slots=True)
class Ending:
    """How the program ended: why, and its exit code (negative: the signal)."""

    cause: Cause
    code: int


def watch(child: Child, journal: JobJournal, signals: Signals, seconds: float) -> Ending:
    """Record `child`'s output until it ends; ask it to end after `seconds`, on a stop request or when a channel fails."""
    lines = Lines()
    deadline = time.monotonic() + seconds
    kill_at: float | None = None
    cause: Cause = "exited"
    with selectors.DefaultSelector() as selector:
        selector.register(child.output, selectors.EVENT_READ)
        selector.register(signals.wakeup, selectors.EVENT_READ)
        while (code := child.status()) is None:
            # asked right after it was seen alive: a program that ended by itself was not stopped
            if kill_at is None and (reason := _reason_to_end(signals, deadline)):
                cause, kill_at = reason, time.monotonic() + GRACE_SECONDS
                child.signal(signal.SIGTERM)
            elif kill_at is not None and time.monotonic() >= kill_at:
                child.signal(signal.SIGKILL)
                kill_at = time.monotonic() + GRACE_SECONDS
            selector.select(max(0.0, (kill_at or deadline) - time.monotonic()))
            signals.drain()
            if not _record(child.output, lines, journal, _PIECES_AT_A_TIME):
                with contextlib.suppress(KeyError):
                    selector.unregister(child.output)
    child.signal(signal.SIGKILL)  # whatever it started and left behind
    _record(child.output, lines, journal)
    journal.log(list(lines.end()))
    if cause == "exited" and signals.failure is not None:
        cause = "failed"  # the program took the end of half its data for the end of all
    return Ending(cause, code)


def _reason_to_end(signals: Signals, deadline: float) -> Cause | None:
    if signals.stopping.is_set():
        return "stopped"
    if signals.failure is not None:
        return "failed"
    return "deadline" if time.monotonic() >= deadline else None


def _record(output: int, lines: Lines, journal: JobJournal, most: int | None = None) -> bool:
    """Record what can be read now, in at most so many pieces; False at the end of the output."""
    for piece in itertools.islice(_pieces(output), most):
        if not piece:
            return False
        journal.log(list(lines.feed(piece)))
    return True


def _pieces(output: int) -> Iterator[bytes]:
    with contextlib.suppress(BlockingIOError):
        while True:
            piece = os.read(output, _PIECE)
            yield piece
            if not piece:
                return
