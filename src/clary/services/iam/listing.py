"""Paging as all of IAM's lists do it: MaxItems and Marker in, IsTruncated and Marker out."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from clary.core.errors import ServiceError
from clary.core.service import Context
from clary.services.iam.rows import home
from clary.storage.resources import Resource

Item = TypeVar("Item")
DEFAULT_ITEMS = 100
_ALL = 1_000_000


def rows(ctx: Context, kind: str) -> list[Resource]:
    """Every row of a kind in the caller's account, by name."""
    found, _ = ctx.platform.resources.page(kind, home(ctx.account), sort_by="Name", descending=False, limit=_ALL)
    return found


def under(resources: Iterable[Resource], request: dict[str, Any]) -> list[Resource]:
    """Those whose path begins with the request's PathPrefix."""
    prefix = request.get("PathPrefix", "/")
    return [one for one in resources if one.document["Path"].startswith(prefix)]


def page(items: Iterable[Item], request: dict[str, Any], name_of: Callable[[Item], str]) -> tuple[list[Item], dict[str, Any]]:
    """The page of `items` that the request asks for, and the answer's paging members. Raises InvalidInput for a bad Marker."""
    ordered = sorted(items, key=name_of)
    if marker := request.get("Marker"):
        last = _decode(marker)
        ordered = [item for item in ordered if name_of(item) > last]
    limit = request.get("MaxItems", DEFAULT_ITEMS)
    if len(ordered) <= limit:
        return ordered, {"IsTruncated": False}
    shown = ordered[:limit]
    return shown, {"IsTruncated": True, "Marker": base64.urlsafe_b64encode(name_of(shown[-1]).encode()).decode()}


def _decode(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except ValueError:
        raise ServiceError("Marker is not one that this server gave out", code="InvalidInput", status=400) from None
