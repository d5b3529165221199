"""From points to statistics per period. Pure."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from clary.storage.metric_points import MetricPoint

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{0,10})?|100)")


class Aggregate:
    """What the points of one period amount to."""

    def __init__(self) -> None:
        self.number = self.total = 0.0
        self.minimum, self.maximum = float("inf"), float("-inf")
        self._weights: dict[float, float] = {}
        self._values_known = True

    def add(self, point: MetricPoint) -> None:
        if point.statistics is not None:
            total = point.statistics
            self._add(total.number, total.total, total.minimum, total.maximum)
            # The values behind a statistic set are only known when they are all the same.
            self._values_known &= total.minimum == total.maximum
            self._weigh(total.minimum, total.number)
            return
        counts = point.counts or [1.0] * len(point.values)
        for value, count in zip(point.values, counts, strict=True):
            self._add(count, value * count, value, value)
            self._weigh(value, count)

    def join(self, other: Aggregate) -> None:
        self._add(other.number, other.total, other.minimum, other.maximum)
        self._values_known &= other._values_known
        for value, count in other._weights.items():
            self._weigh(value, count)

    def _add(self, number: float, total: float, minimum: float, maximum: float) -> None:
        self.number += number
        self.total += total
        self.minimum, self.maximum = min(self.minimum, minimum), max(self.maximum, maximum)

    def _weigh(self, value: float, count: float) -> None:
        self._weights[value] = self._weights.get(value, 0.0) + count

    def percentile(self, percent: float) -> float | None:
        """Linear interpolation between the closest ranks; None when the values are not known."""
        if not self._values_known:
            return None
        rank = (self.number - 1) * percent / 100
        low = self._value_at(int(rank))
        return low + (self._value_at(int(rank) + 1) - low) * (rank - int(rank))

    def _value_at(self, rank: int) -> float:
        seen = 0.0
        for value, count in sorted(self._weights.items()):
            seen += count
            if seen > rank:
                return value
        return self.maximum


STATISTICS: dict[str, Callable[[Aggregate], float]] = {
    "SampleCount": lambda of: of.number,
    "Sum": lambda of: of.total,
    "Average": lambda of: of.total / of.number,
    "Minimum": lambda of: of.minimum,
    "Maximum": lambda of: of.maximum,
}


def statistic(name: str) -> Callable[[Aggregate], float | None] | None:
    """The function behind `Average`, `p99.9`, ...; None for a name that is not one of these."""
    if name in STATISTICS:
        return STATISTICS[name]
    percentile = _PERCENTILE.fullmatch(name)
    if percentile is None:
        return None
    percent = float(percentile[1])
    return lambda of: of.percentile(percent)


def window(start: datetime, end: datetime, period: int) -> tuple[int, int]:
    """`[start, end)` in ms; the start is rounded down to the minute, or to the period when that is shorter (seconds)."""
    step = min(period, 60)
    return int(start.timestamp() // step * step * 1000), int(end.timestamp() * 1000)


async def per_period(points: AsyncIterator[MetricPoint], start_ms: int, period: int) -> dict[tuple[int, str], Aggregate]:
    """Aggregates by the beginning of their period (ms) and unit, in order; `period` is in seconds, counted from `start_ms`."""
    found: dict[tuple[int, str], Aggregate] = {}
    async for point in points:
        if point.values or point.statistics:
            began = start_ms + (point.timestamp - start_ms) // (period * 1000) * period * 1000
            found.setdefault((began, point.unit), Aggregate()).add(point)
    return {place: found[place] for place in sorted(found) if found[place].number}


def without_units(aggregates: dict[tuple[int, str], Aggregate]) -> dict[int, Aggregate]:
    """The same by the beginning of the period alone."""
    found: dict[int, Aggregate] = {}
    for (began, _), aggregate in aggregates.items():
        found.setdefault(began, Aggregate()).join(aggregate)
    return found


def period_is_valid(period: int) -> bool:
    return period in (1, 5, 10, 20, 30) or period % 60 == 0
