from __future__ import annotations

from clary.compute.hosting.counters import Counters

DIMENSIONS = {"EndpointName": "e", "VariantName": "v"}


def test_counts_are_per_call_and_latencies_in_microseconds():
    counters = Counters()
    counters.answered(200, 0.0012345, 0.00005)
    counters.answered(200, 0.0012345, 0.00005)
    counters.answered(415, 0.1, 0.00005)
    counters.refused(500)
    points = {point.metric: dict(zip(point.values, point.counts, strict=True)) for point in counters.take(DIMENSIONS, 1, 2)}
    assert points == {
        "Invocations": {1: 4},
        "InvocationsPerInstance": {0.5: 4},
        "Invocation4XXErrors": {1: 1, 0: 3},
        "Invocation5XXErrors": {1: 1, 0: 3},
        "ModelLatency": {1200: 2, 100_000: 1},
        "OverheadLatency": {50: 3},
    }


def test_taking_starts_anew_and_no_calls_are_no_points():
    counters = Counters()
    assert counters.take(DIMENSIONS, 1, 1) == []
    counters.answered(200, 0.001, 0.001)
    assert len(counters.take(DIMENSIONS, 1, 1)) == 6
    assert counters.take(DIMENSIONS, 1, 1) == []
