"""Lists of resources: filters, sort orders, and tokens that stay true while rows come and go.

A token says after which row (sort value and name) the next page begins, so an insert or a delete in between neither
repeats nor skips a row that was there all along.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from clary.core.errors import ValidationException
from clary.core.identifiers import Scope
from clary.storage.resources.tables import COLUMNS, HOME, WITH_PREFIX, Resource, home, prefix

SORT_COLUMNS = {"Name": "name", "CreationTime": "created", "LastModifiedTime": "modified", "Status": "status"}
_FILTERS = {
    "name_contains": "lower(name) LIKE :name_contains ESCAPE '/'",
    "name_prefix": WITH_PREFIX,
    "status": "status = :status",
    "created_after": "created > :created_after",
    "created_before": "created < :created_before",
    "modified_after": "modified > :modified_after",
    "modified_before": "modified < :modified_before",
}


def query(
    kind: str, scope: Scope, *, sort_by: str, descending: bool, limit: int, token: str | None, **filters: Any
) -> tuple[str, dict[str, Any]]:
    """The statement that finds the rows of a page and one more, which tells whether there is another, and its parameters."""
    wanted = {name: value for name, value in filters.items() if value is not None}
    conditions = [HOME, *(_FILTERS[name] for name in wanted)]
    values = home(kind, scope) | _parameters(wanted) | {"limit": limit + 1}
    column, order = SORT_COLUMNS[sort_by], "DESC" if descending else "ASC"
    if token is not None:
        conditions.append(f"({column}, name) {'<' if descending else '>'} (:after, :after_name)")
        values["after"], values["after_name"] = _read_token(token, sort_by)
    where = " AND ".join(conditions)
    return f"SELECT {COLUMNS} FROM resources WHERE {where} ORDER BY {column} {order}, name {order} LIMIT :limit", values


def _parameters(filters: dict[str, Any]) -> dict[str, Any]:
    values = dict(filters)
    if "name_prefix" in filters:
        values |= prefix(filters["name_prefix"])
    if "name_contains" in filters:
        values["name_contains"] = f"%{_literal(filters['name_contains'].lower())}%"
    return values


def _literal(text: str) -> str:
    """`text` as a pattern of LIKE that stands for itself."""
    for character in "/%_":
        text = text.replace(character, f"/{character}")
    return text


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
