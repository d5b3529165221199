"""The tables of the resource store, and the value a row becomes. Plain SQL types, so that another engine can hold them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Float, Index, Integer, MetaData, String, Table, Text

from clary.core.identifiers import Scope

metadata = MetaData()
"""Every table of the database. A service declares its own tables here and names them to `ResourceStore.declare`."""

resources = Table(
    "resources",
    metadata,
    Column("kind", String(64), primary_key=True),
    Column("account", String(12), primary_key=True),
    Column("region", String(32), primary_key=True),
    Column("name", String(1024), primary_key=True),
    Column("arn", String(2048), nullable=False, index=True),
    Column("status", String(64), nullable=False),
    Column("created", Float(53), nullable=False),
    Column("modified", Float(53), nullable=False),
    Column("document", Text, nullable=False),
    Column("state", Text, nullable=False),
    Index("resources_by_status", "kind", "status"),
    Index("resources_by_creation", "kind", "account", "region", "created", "name"),
    Index("resources_by_modification", "kind", "account", "region", "modified", "name"),
)

tags = Table(
    "tags",
    metadata,
    Column("arn", String(2048), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", String(256), nullable=False),
)

format_version = Table("format", metadata, Column("version", Integer, primary_key=True))


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource. `created` and `modified` are seconds since the epoch.

    `document` is the request as it came (timestamps as epoch numbers), `state` what the server adds.
    """

    kind: str
    scope: Scope
    name: str
    arn: str
    status: str
    created: float
    modified: float
    document: dict[str, Any]
    state: dict[str, Any]


class Duplicate(Exception):
    """The name is taken, by `existing`."""

    def __init__(self, existing: Resource):
        super().__init__(f"{existing.kind} {existing.name!r} exists")
        self.existing = existing


class Missing(Exception):
    """The resource to change is not there (any more)."""


def from_row(row: Any) -> Resource:
    """A row of `resources` as a value."""
    kind, account, region, name, arn, status, created, modified, document, state = row
    scope = Scope(account, region)
    return Resource(kind, scope, name, arn, status, created, modified, orjson.loads(document), orjson.loads(state))


def key(kind: str, scope: Scope, name: str) -> dict[str, str]:
    """The primary key of a resource, by column."""
    return {"kind": kind, "account": scope.account, "region": scope.region, "name": name}


def has_prefix(prefix: str) -> ColumnElement[bool]:
    """Names that begin with `prefix`, as a range, which the primary key's index answers."""
    return (resources.c.name >= prefix) & (resources.c.name < prefix + "\U0010ffff")


def to_json(document: dict[str, Any]) -> str:
    """JSON with timestamps as epoch numbers; raises TypeError for what JSON cannot hold."""
    return orjson.dumps(document, default=_timestamp, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _timestamp(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} does not belong in a resource's document")
