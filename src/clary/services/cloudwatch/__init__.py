"""CloudWatch metrics: put, get, list. Alarms, dashboards, streams and insights are not built."""

from __future__ import annotations

from clary.core.service import Platform
from clary.services.cloudwatch.metric_data import MetricData
from clary.services.cloudwatch.metric_queries import MetricQueries
from clary.services.cloudwatch.metric_statistics import MetricStatistics
from clary.services.cloudwatch.metrics import Metrics


def resources(platform: Platform) -> list[object]:
    return [MetricData(platform), MetricQueries(platform), MetricStatistics(platform), Metrics()]
