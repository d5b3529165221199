"""GetMetricStatistics: the datapoints of one metric."""

from __future__ import annotations

from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.cloudwatch.errors import InvalidParameterCombination, InvalidParameterValue, MissingParameter
from clary.services.cloudwatch.statistics import STATISTICS, Aggregate, per_period, period_is_valid, statistic, window
from clary.storage.metric_points import MetricName, MetricPoints

_MOST_DATAPOINTS = 1440


class MetricStatistics:
    def __init__(self, platform: Platform):
        self._points = MetricPoints(platform.resources, platform.journal, platform.clock)

    @operation("GetMetricStatistics")
    async def get_metric_statistics(self, ctx: Context, request: dict) -> dict:
        """One datapoint per period and unit that has points, oldest first."""
        start, end = window(request["StartTime"], request["EndTime"], request["Period"])
        _check(request, start, end)
        name = metric_name(request)
        aggregates = await per_period(self._points.read(ctx.scope, name, start, end), start, request["Period"])
        datapoints = [
            _datapoint(began, unit, aggregate, request)
            for (began, unit), aggregate in aggregates.items()
            if request.get("Unit", unit) == unit
        ]
        return {"Label": name.metric, "Datapoints": datapoints}


def metric_name(metric: dict[str, Any]) -> MetricName:
    """The metric that `Namespace`, `MetricName` and `Dimensions` name."""
    dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric.get("Dimensions", [])}
    return MetricName.of(metric.get("Namespace", ""), metric.get("MetricName", ""), dimensions)


def _check(request: dict, start: int, end: int) -> None:
    if not request.get("Statistics") and not request.get("ExtendedStatistics"):
        raise MissingParameter("Must specify either Statistics or ExtendedStatistics")
    for name in request.get("ExtendedStatistics", []):
        if name in STATISTICS or statistic(name) is None:
            raise InvalidParameterValue(f"The value {name} for parameter ExtendedStatistics is not supported; pNN is.")
    if request["StartTime"] >= request["EndTime"]:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    period = request["Period"]
    if not period_is_valid(period):
        raise InvalidParameterValue("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
    asked = -(-(end - start) // (period * 1000))
    if asked > _MOST_DATAPOINTS:
        raise InvalidParameterCombination(
            f"You have requested up to {asked} datapoints, which exceeds the limit of {_MOST_DATAPOINTS}. "
            "You may reduce the datapoints requested by increasing Period, or decreasing the time range."
        )


def _datapoint(began: int, unit: str, aggregate: Aggregate, request: dict) -> dict[str, Any]:
    """A datapoint; a percentile that cannot be known is left out."""
    datapoint: dict[str, Any] = {"Timestamp": began / 1000, "Unit": unit}
    datapoint |= {name: STATISTICS[name](aggregate) for name in request.get("Statistics", [])}
    extended = {name: statistic(name)(aggregate) for name in request.get("ExtendedStatistics", [])}  # type: ignore[misc]
    known = {name: value for name, value in extended.items() if value is not None}
    return datapoint | ({"ExtendedStatistics": known} if known else {})
