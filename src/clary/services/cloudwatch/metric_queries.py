"""GetMetricData: many metrics at a time, and expressions over them."""

from __future__ import annotations

import re
from typing import Any

from clary.core.service import Context, Platform, operation
from clary.languages.metric_math import MetricMathError, Series, evaluate, names_in
from clary.services.cloudwatch.errors import InvalidNextToken, ValidationError
from clary.services.cloudwatch.metric_statistics import metric_name
from clary.services.cloudwatch.statistics import per_period, period_is_valid, statistic, window, without_units
from clary.storage.metric_points import MetricPoints

_MOST_QUERIES = 500
_MOST_DATAPOINTS = 100_800
_ID = re.compile(r"[a-z]\w*", re.ASCII)
_TOKEN = re.compile(r"\d{1,12}")


class MetricQueries:
    def __init__(self, platform: Platform):
        self._points = MetricPoints(platform.resources, platform.journal, platform.clock)

    @operation("GetMetricData")
    async def get_metric_data(self, ctx: Context, request: dict) -> dict:
        queries = request["MetricDataQueries"]
        _check(queries)
        if request["StartTime"] >= request["EndTime"]:
            raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
        series = {
            query["Id"]: await self._measure(ctx, query["MetricStat"], request) for query in queries if "MetricStat" in query
        }
        for query in _in_order(queries):
            series[query["Id"]] = _computed(query, series)
        results = [_result(query, series[query["Id"]], request) for query in queries if query.get("ReturnData", True)]
        return _page(results, request)

    async def _measure(self, ctx: Context, stat: dict, request: dict) -> Series:
        """The statistic of one metric per period."""
        period, value_of = stat["Period"], statistic(stat["Stat"])
        if value_of is None:
            raise ValidationError(f"The statistic {stat['Stat']} is not supported; SampleCount, Sum, Average, ... and pNN are.")
        if not period_is_valid(period):
            raise ValidationError("Period must be 1, 5, 10, 20, 30 or a multiple of 60.")
        start, end = window(request["StartTime"], request["EndTime"], period)
        points = self._points.read(ctx.scope, metric_name(stat["Metric"]), start, end)
        aggregates = await per_period(points, start, period)
        counted = {place: found for place, found in aggregates.items() if stat.get("Unit", place[1]) == place[1]}
        values = {began: value_of(aggregate) for began, aggregate in without_units(counted).items()}
        return {began: value for began, value in values.items() if value is not None}


def _check(queries: list[dict]) -> None:
    """Raise ValidationError for queries that contradict themselves or each other."""
    if len(queries) > _MOST_QUERIES:
        raise ValidationError(f"MetricDataQueries must not have more than {_MOST_QUERIES} members.")
    ids = [query["Id"] for query in queries]
    if len(set(ids)) < len(ids):
        raise ValidationError("The values for parameter Id in MetricDataQueries are not unique.")
    for query in queries:
        if not _ID.fullmatch(query["Id"]):
            raise ValidationError(f"The Id {query['Id']!r} must begin with a lower-case letter and hold letters, digits and _.")
        if ("MetricStat" in query) == ("Expression" in query):
            raise ValidationError(f"The query {query['Id']!r} must have exactly one of MetricStat and Expression.")


def _in_order(queries: list[dict]) -> list[dict]:
    """The expressions, each after those it refers to. Raises ValidationError for a circle."""
    waiting = {query["Id"]: query for query in queries if "Expression" in query}
    ordered: list[dict] = []
    while waiting:
        ready = [query for query in waiting.values() if not _names(query) & waiting.keys()]
        if not ready:
            raise ValidationError(f"The expressions {', '.join(sorted(waiting))} refer to each other in a circle.")
        ordered += ready
        waiting = {query_id: query for query_id, query in waiting.items() if query not in ready}
    return ordered


def _names(query: dict) -> set[str]:
    try:
        return names_in(query["Expression"])
    except MetricMathError as error:
        raise ValidationError(str(error)) from error


def _computed(query: dict, series: dict[str, Series]) -> Series:
    try:
        value = evaluate(query["Expression"], series)
    except MetricMathError as error:
        raise ValidationError(f"{error} (query {query['Id']!r})") from error
    if not isinstance(value, dict):
        raise ValidationError(f"The expression of query {query['Id']!r} does not return a time series.")
    return value


def _result(query: dict, series: Series, request: dict) -> dict[str, Any]:
    descending = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    times = sorted(series, reverse=descending)
    label = query["MetricStat"]["Metric"].get("MetricName", "") if "MetricStat" in query else query["Id"]
    return {
        "Id": query["Id"],
        "Label": query.get("Label", label),
        "Timestamps": [time / 1000 for time in times],
        "Values": [series[time] for time in times],
        "StatusCode": "Complete",
    }


def _page(results: list[dict[str, Any]], request: dict) -> dict[str, Any]:
    """The datapoints of all results, counted through: `MaxDatapoints` of them from the token's on."""
    token = request.get("NextToken", "0")
    if not _TOKEN.fullmatch(token):
        raise InvalidNextToken("The NextToken is not valid.")
    skip, room = int(token), min(request.get("MaxDatapoints", _MOST_DATAPOINTS), _MOST_DATAPOINTS)
    if room < 1:
        raise ValidationError("MaxDatapoints must be at least 1.")
    end, total = skip + room, sum(len(result["Values"]) for result in results)
    page = []
    for result in results:
        size = len(result["Values"])
        page.append(_slice(result, max(0, skip), max(0, skip + room)))
        if skip + room < size:
            page[-1]["StatusCode"] = "PartialData"
        skip -= size
    return {"MetricDataResults": page} | ({"NextToken": str(end)} if end < total else {})


def _slice(result: dict[str, Any], first: int, end: int) -> dict[str, Any]:
    return result | {"Timestamps": result["Timestamps"][first:end], "Values": result["Values"][first:end]}
