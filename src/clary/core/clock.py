"""Time as services see it: a value that tests can turn. Signatures, leases and timeouts keep wall and monotonic time."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since the epoch, plus an offset that `advance` grows."""

    def __init__(self) -> None:
        self._offset_seconds = 0.0

    def now(self) -> float:
        """Seconds since the epoch, with a fraction."""
        return time.time() + self._offset_seconds

    def utc(self) -> datetime:
        """`now()` as an aware UTC datetime."""
        return datetime.fromtimestamp(self.now(), UTC)

    def advance(self, seconds: float) -> None:
        """Turn the clock forward, for retention and schedules under test."""
        self._offset_seconds += seconds
