"""What CloudWatch is told about a variant, gathered per minute without touching storage."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Counters:
    """One variant's invocations since the last `take`."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._invocations = 0
        self._client_errors = 0
        self._server_errors = 0
        self._model_microseconds: Counter[int] = Counter()
        self._overhead_microseconds: Counter[int] = Counter()

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

    def take(self, instance_count: int) -> list[dict[str, Any]]:
        """CloudWatch `MetricData` members (without dimensions and time) for what was counted; starts anew.

        As SageMaker does, the counts are per call (so that `Average` is a rate) and the latencies are in microseconds.
        """
        if not self._invocations:
            return []
        calls, each = self._invocations, 1.0 / max(instance_count, 1)
        data = [
            {"MetricName": "Invocations", "Unit": "None", "Values": [1.0], "Counts": [calls]},
            {"MetricName": "InvocationsPerInstance", "Unit": "None", "Values": [each], "Counts": [calls]},
            _rate("Invocation4XXErrors", self._client_errors, calls),
            _rate("Invocation5XXErrors", self._server_errors, calls),
            *_latency("ModelLatency", self._model_microseconds),
            *_latency("OverheadLatency", self._overhead_microseconds),
        ]
        self._clear()
        return data


def _rate(name: str, errors: int, calls: int) -> dict[str, Any]:
    both = {1.0: errors, 0.0: calls - errors}
    present = {value: count for value, count in both.items() if count}
    return {"MetricName": name, "Unit": "None", "Values": list(present), "Counts": list(present.values())}


def _rounded(microseconds: float) -> int:
    """Two significant digits: at most 90 different values per factor of ten, enough for percentiles."""
    step = 1
    while microseconds >= 100 * step:
        step *= 10
    return round(microseconds / step) * step


def _latency(name: str, counts: Counter[int]) -> list[dict[str, Any]]:
    """PutMetricData takes at most 150 different values at a time."""
    pairs = sorted(counts.items())
    pages = [pairs[start : start + 150] for start in range(0, len(pairs), 150)]
    return [
        {"MetricName": name, "Unit": "Microseconds", "Values": [float(v) for v, _ in page], "Counts": [n for _, n in page]}
        for page in pages
    ]
