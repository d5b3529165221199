"""Storing metric points directly, as the loops of jobs and endpoints do."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from clary.core.clock import Clock
from clary.core.identifiers import Scope
from clary.storage.journal import Journal
from clary.storage.metric_points import MetricName, MetricPoint, MetricPoints, StatisticSet
from clary.storage.resources import ResourceStore

SCOPE = Scope("000000000000", "us-east-1")
SPACE = "/aws/sagemaker/TrainingJobs"


def with_metrics(tmp_path, body):
    async def run():
        resources, journal, clock = ResourceStore.open(tmp_path / "clary.db"), Journal.open(tmp_path / "journal"), Clock()
        try:
            await body(MetricPoints(resources, journal, clock), resources, journal, clock)
        finally:
            await resources.close()
            await journal.close()

    asyncio.run(run())


def test_points_come_back_as_they_were_put(tmp_path):
    points = [
        MetricPoint("m", {"a": "1", "b": "2"}, 1000, values=[1.5, 2.0], counts=[3.0, 1.0], unit="Count"),
        MetricPoint("m", {"b": "2", "a": "1"}, 2000, statistics=StatisticSet(3.0, 6.0, 1.0, 3.0)),
    ]

    async def body(metrics, resources, journal, clock):
        await metrics.put(SCOPE, SPACE, points)
        name = MetricName.of(SPACE, "m", {"b": "2", "a": "1"})
        assert [point async for point in metrics.read(SCOPE, name, 0, 2001)] == points
        assert [point async for point in metrics.read(SCOPE, name, 1000, 2000)] == points[:1]
        assert len(resources.every("metric")) == 1

    with_metrics(tmp_path, body)


@settings(max_examples=30, deadline=None)
@given(ends=st.lists(st.integers(0, 12), max_size=6))
def test_a_source_that_is_read_again_is_stored_once(tmp_path_factory, ends):
    """Every round reads from the known position up to some end; the position is lost in every other round."""
    source = [(at, MetricPoint(f"m{at % 3}", {"TrainingJobName": "j"}, at, values=[float(at)])) for at in range(12)]

    async def body(metrics, resources, journal, clock):
        reached = 0
        for number, end in enumerate(ends):
            begin = metrics.position("job")
            await metrics.put_from("job", SCOPE, SPACE, source[begin:end], max(begin, end))
            reached = max(reached, end)
            if number % 2:
                await journal.delete("metric-sources/job")
        stored = [
            point.values[0]
            for metric in range(3)
            async for point in metrics.read(SCOPE, MetricName.of(SPACE, f"m{metric}", {"TrainingJobName": "j"}), 0, 100)
        ]
        assert sorted(stored) == [float(at) for at in range(reached)]

    with_metrics(tmp_path_factory.mktemp("metrics"), body)


def test_retention_forgets_points_and_then_the_metric(tmp_path):
    async def body(metrics, resources, journal, clock):
        point = MetricPoint("m", {}, int(clock.now() * 1000), values=[1.0])
        await metrics.put_from("job", SCOPE, SPACE, [(5, point)], 5)
        await metrics.enforce_retention(455)
        assert len(resources.every("metric")) == 1
        assert metrics.position("job") == 5
        clock.advance(456 * 86400)
        await metrics.enforce_retention(455)
        assert resources.every("metric") == []
        assert journal.streams() == []

    with_metrics(tmp_path, body)
