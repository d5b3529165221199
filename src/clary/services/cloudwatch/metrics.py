"""ListMetrics: which metrics there are."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ValidationException
from clary.core.service import Context, operation
from clary.services.cloudwatch.errors import InvalidParameterValue
from clary.storage.metric_points import METRIC, MetricName, name_of, row_prefix
from clary.storage.resources import Resource

_PAGE = 500
_LISTED_SECONDS = 14 * 86_400
"""A metric without new points for two weeks is not listed any more; its points can still be read."""
_RECENT_SECONDS = 3 * 3600


class Metrics:
    @operation("ListMetrics")
    def list_metrics(self, ctx: Context, request: dict) -> dict:
        age = _RECENT_SECONDS if "RecentlyActive" in request else _LISTED_SECONDS
        found: list[Resource] = []
        token, more = request.get("NextToken"), True
        while more and len(found) < _PAGE:
            try:
                rows, token = ctx.platform.resources.page(
                    METRIC,
                    ctx.scope,
                    name_prefix=_prefix(request),
                    modified_after=ctx.platform.clock.now() - age,
                    sort_by="Name",
                    descending=False,
                    limit=_PAGE - len(found),
                    token=token,
                )
            except ValidationException as error:
                raise InvalidParameterValue("The value for parameter NextToken is invalid.") from error
            found += [row for row in rows if _matches(name_of(row), request)]
            more = token is not None
        return {"Metrics": [_described(name_of(row)) for row in found]} | ({"NextToken": token} if token else {})


def _prefix(request: dict) -> str | None:
    return row_prefix(request["Namespace"], request.get("MetricName")) if "Namespace" in request else None


def _matches(name: MetricName, request: dict) -> bool:
    dimensions = dict(name.dimensions)
    return request.get("MetricName", name.metric) == name.metric and all(
        wanted["Name"] in dimensions and wanted.get("Value", dimensions[wanted["Name"]]) == dimensions[wanted["Name"]]
        for wanted in request.get("Dimensions", [])
    )


def _described(name: MetricName) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in name.dimensions]
    return {"Namespace": name.namespace, "MetricName": name.metric, "Dimensions": dimensions}
