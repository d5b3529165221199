"""PutMetricData: points into metrics."""

from __future__ import annotations

import math
from typing import Any

from clary.core.errors import refuse_unenforced
from clary.core.service import Context, Platform, operation
from clary.services.cloudwatch.errors import InvalidParameterCombination, InvalidParameterValue, MissingParameter
from clary.storage.metric_points import MetricPoint, MetricPoints, StatisticSet

_MOST_METRICS = 1000
_MOST_VALUES = 150
_LARGEST = 2.0**360
_PAST_MS, _FUTURE_MS = 14 * 86_400_000, 2 * 3_600_000


class MetricData:
    def __init__(self, platform: Platform):
        self._points = MetricPoints(platform.resources, platform.journal, platform.clock)

    @operation("PutMetricData")
    async def put_metric_data(self, ctx: Context, request: dict) -> dict:
        refuse_unenforced(request, "EntityMetricData")
        namespace, data = request["Namespace"], request.get("MetricData", [])
        if namespace.startswith("AWS/"):
            raise InvalidParameterValue(f"The value {namespace} for parameter Namespace is invalid: AWS/ is reserved.")
        if not data:
            raise MissingParameter("The parameter MetricData is required.")
        if len(data) > _MOST_METRICS:
            raise InvalidParameterValue(f"The collection MetricData must not have a size greater than {_MOST_METRICS}.")
        now_ms = int(ctx.platform.clock.now() * 1000)
        points = [_point(datum, f"MetricData.member.{number}", now_ms) for number, datum in enumerate(data, 1)]
        await self._points.put(ctx.scope, namespace, points)
        return {}


def _point(datum: dict[str, Any], path: str, now_ms: int) -> MetricPoint:
    """A datum, checked. Raises errors that name the member below `path`."""
    timestamp = int(datum["Timestamp"].timestamp() * 1000) if "Timestamp" in datum else now_ms
    if not now_ms - _PAST_MS <= timestamp <= now_ms + _FUTURE_MS:
        raise InvalidParameterValue(
            f"The value {datum['Timestamp'].isoformat()} for parameter {path}.Timestamp is invalid: "
            "it must be within the past two weeks and the next two hours."
        )
    values, counts, statistics = _measured(datum, path)
    return MetricPoint(
        datum["MetricName"],
        _dimensions(datum, path),
        timestamp,
        values,
        counts,
        statistics,
        datum.get("Unit", "None"),
    )


def _dimensions(datum: dict[str, Any], path: str) -> dict[str, str]:
    pairs = [(dimension["Name"], dimension["Value"]) for dimension in datum.get("Dimensions", [])]
    dimensions = dict(pairs)
    if len(dimensions) < len(pairs):
        raise InvalidParameterValue(f"The parameter {path}.Dimensions names a dimension twice.")
    return dimensions


def _measured(datum: dict[str, Any], path: str) -> tuple[list[float], list[float], StatisticSet | None]:
    """Values, their counts, or a statistic set: exactly one way of saying what was measured."""
    ways = [member for member in ("Value", "Values", "StatisticValues") if member in datum]
    if not ways:
        raise MissingParameter(f"At least one of the parameters {path}.Value, Values or StatisticValues must be specified.")
    if len(ways) > 1:
        raise InvalidParameterCombination(
            f"The parameters {path}.{ways[0]} and {path}.{ways[1]} are mutually exclusive and you have specified both."
        )
    if ways == ["StatisticValues"]:
        return [], [], _statistic_set(datum["StatisticValues"], path)
    values = [datum["Value"]] if "Value" in datum else datum["Values"]
    counts = datum.get("Counts", [])
    if counts and len(counts) != len(values):
        raise InvalidParameterValue(f"The parameters {path}.Values and {path}.Counts must be of the same size.")
    if len(values) > _MOST_VALUES:
        raise InvalidParameterValue(f"The collection {path}.Values must not have a size greater than {_MOST_VALUES}.")
    for number in values:
        _check_number(number, f"{path}.{ways[0]}")
    for count in counts:
        _check_number(count, f"{path}.Counts", minimum=0.0)
    return [float(value) for value in values], [float(count) for count in counts], None


def _statistic_set(given: dict[str, float], path: str) -> StatisticSet:
    for member, number in given.items():
        _check_number(number, f"{path}.StatisticValues.{member}")
    total = StatisticSet(given["SampleCount"], given["Sum"], given["Minimum"], given["Maximum"])
    if total.number <= 0:
        raise InvalidParameterValue(f"The parameter {path}.StatisticValues.SampleCount must be greater than 0.")
    if total.minimum > total.maximum:
        raise InvalidParameterCombination(f"{path}.StatisticValues.Maximum must be greater than or equal to Minimum.")
    return total


def _check_number(number: float, path: str, minimum: float = -_LARGEST) -> None:
    if not math.isfinite(number) or not minimum <= number <= _LARGEST:
        raise InvalidParameterValue(f"The value {number} for parameter {path} is invalid.")
