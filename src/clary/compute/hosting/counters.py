"""What CloudWatch is told about a variant, gathered per minute without touching storage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from clary.storage.metric_points import MetricPoint


class Counters:
    """One variant's invocations since the last `take`."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._invocations = 0
        self._client_errors = 0
        self._server_errors = 0
        self._model_microseconds: Counter[float] = Counter()
        self._overhead_microseconds: Counter[float] = Counter()

    def answered(self, status: int, model_seconds: float, overhead_seconds: float) -> None:
        """Count one call; `status` is what its caller got."""
        self._invocations += 1
        if status >= 400:
            self._failed(status)
        self._model_microseconds[_rounded(model_seconds * 1e6)] += 1
        self._overhead_microseconds[_rounded(overhead_seconds * 1e6)] += 1

    def refused(self, status: int) -> None:
        """Count one call that no model saw, or that no model answered."""
        self._invocations += 1
        self._failed(status)

    def _failed(self, status: int) -> None:
        if status < 500:
            self._client_errors += 1
        else:
            self._server_errors += 1

    def take(self, dimensions: dict[str, str], timestamp: int, instance_count: int) -> list[MetricPoint]:
        """What was counted, as points of the moment `timestamp` (ms); counting starts anew.

        As SageMaker does, the counts are per call (so that `Average` is a rate) and the latencies are in microseconds.
        """
        if not self._invocations:
            return []
        calls, errors = self._invocations, (self._client_errors, self._server_errors)
        seen: list[tuple[str, str, Mapping[float, int]]] = [
            ("Invocations", "None", {1.0: calls}),
            ("InvocationsPerInstance", "None", {1.0 / max(instance_count, 1): calls}),
            ("Invocation4XXErrors", "None", {1.0: errors[0], 0.0: calls - errors[0]}),
            ("Invocation5XXErrors", "None", {1.0: errors[1], 0.0: calls - errors[1]}),
            ("ModelLatency", "Microseconds", self._model_microseconds),
            ("OverheadLatency", "Microseconds", self._overhead_microseconds),
        ]
        self._clear()
        return [_point(name, unit, counts, dimensions, timestamp) for name, unit, counts in seen if any(counts.values())]


def _point(name: str, unit: str, counts: Mapping[float, int], dimensions: dict[str, str], timestamp: int) -> MetricPoint:
    present = {float(value): float(count) for value, count in sorted(counts.items()) if count}
    return MetricPoint(name, dimensions, timestamp, tuple(present), tuple(present.values()), unit=unit)


def _rounded(microseconds: float) -> int:
    """Two significant digits: at most 90 different values per factor of ten, enough for percentiles."""
    step = 1
    while microseconds >= 100 * step:
        step *= 10
    return round(microseconds / step) * step
