"""Lists of resources: filters, sort orders, and tokens that stay true while rows come and go.

A token says after which row (sort value and name) the next page begins, so an insert or a delete in between neither
repeats nor skips a row that was there all along.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
from sqlalchemy import Select, func, select, tuple_

from clary.core.errors import ValidationException
from clary.core.identifiers import Scope
from clary.storage.resources.tables import Resource, has_prefix, resources

_columns = resources.c
SORT_COLUMNS = {
    "Name": _columns.name,
    "CreationTime": _columns.created,
    "LastModifiedTime": _columns.modified,
    "Status": _columns.status,
}


def query(kind: str, scope: Scope, *, sort_by: str, descending: bool, limit: int, token: str | None, **filters: Any) -> Select:
    """The rows of a page and one more, which tells whether there is another page."""
    statement = select(resources).where(
        _columns.kind == kind, _columns.account == scope.account, _columns.region == scope.region, *_conditions(filters)
    )
    column = SORT_COLUMNS[sort_by]
    position = tuple_(column, _columns.name)
    if token is not None:
        after = tuple_(*_read_token(token, sort_by))
        statement = statement.where(position < after if descending else position > after)
    order = (column.desc(), _columns.name.desc()) if descending else (column, _columns.name)
    return statement.order_by(*order).limit(limit + 1)


def _conditions(filters: dict[str, Any]) -> list[Any]:
    """SQL of the filters that are set."""
    name = _columns.name
    made = {
        "name_contains": lambda text: func.lower(name).contains(text.lower(), autoescape=True),
        "name_prefix": has_prefix,
        "status": lambda status: _columns.status == status,
        "created_after": lambda time: _columns.created > time,
        "created_before": lambda time: _columns.created < time,
        "modified_after": lambda time: _columns.modified > time,
        "modified_before": lambda time: _columns.modified < time,
    }
    return [made[filter_](value) for filter_, value in filters.items() if value is not None]


def token_after(resource: Resource, sort_by: str) -> str:
    """The token of the page that follows `resource`."""
    values = {
        "Name": resource.name,
        "CreationTime": resource.created,
        "LastModifiedTime": resource.modified,
        "Status": resource.status,
    }
    return base64.urlsafe_b64encode(orjson.dumps([sort_by, values[sort_by], resource.name])).decode()


def _read_token(token: str, sort_by: str) -> tuple[str | float, str]:
    """The position a token stands for. Raises ValidationException for one that was not made for this sort order."""
    try:
        sorted_by, value, name = orjson.loads(base64.b64decode(token, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValidationException("Invalid pagination token") from error
    expected = float if sort_by.endswith("Time") else str
    if sorted_by != sort_by or not isinstance(value, expected) or not isinstance(name, str):
        raise ValidationException("Invalid pagination token")
    return value, name
