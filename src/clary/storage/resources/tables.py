"""The tables of the resource store, and the value a row becomes.

The SQL of this house is what SQLite and PostgreSQL have in common, with named parameters (`:name`): another engine needs
another driver, not other statements. It goes to the driver as it is: a layer that builds statements from expressions took
more time per statement than SQLite takes to answer, and half of the server's start.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import orjson

from clary.core.identifiers import Scope

Connection: TypeAlias = sqlite3.Connection

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS resources (
        kind VARCHAR(64) NOT NULL,
        account VARCHAR(12) NOT NULL,
        region VARCHAR(32) NOT NULL,
        name VARCHAR(1024) NOT NULL,
        arn VARCHAR(2048) NOT NULL,
        status VARCHAR(64) NOT NULL,
        created FLOAT NOT NULL,
        modified FLOAT NOT NULL,
        document TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (kind, account, region, name)
    )""",
    "CREATE INDEX IF NOT EXISTS ix_resources_arn ON resources (arn)",
    "CREATE INDEX IF NOT EXISTS resources_by_status ON resources (kind, status)",
    "CREATE INDEX IF NOT EXISTS resources_by_creation ON resources (kind, account, region, created, name)",
    "CREATE INDEX IF NOT EXISTS resources_by_modification ON resources (kind, account, region, modified, name)",
    """CREATE TABLE IF NOT EXISTS tags (
        arn VARCHAR(2048) NOT NULL,
        key VARCHAR(128) NOT NULL,
        value VARCHAR(256) NOT NULL,
        PRIMARY KEY (arn, key)
    )""",
    "CREATE TABLE IF NOT EXISTS format (version INTEGER NOT NULL PRIMARY KEY)",
)
COLUMNS = "kind, account, region, name, arn, status, created, modified, document, state"
HOME = "kind = :kind AND account = :account AND region = :region"
WITH_PREFIX = "name >= :prefix AND name < :beyond"
"""Names that begin with `prefix`, as a range, which the primary key's index answers; see `prefix`."""


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


def home(kind: str, scope: Scope) -> dict[str, Any]:
    """The parameters of `HOME`."""
    return {"kind": kind, "account": scope.account, "region": scope.region}


def key(kind: str, scope: Scope, name: str) -> dict[str, Any]:
    """The primary key of a resource, by column."""
    return {"kind": kind, "account": scope.account, "region": scope.region, "name": name}


def prefix(text: str) -> dict[str, str]:
    """The parameters of `WITH_PREFIX`."""
    return {"prefix": text, "beyond": text + "\U0010ffff"}


def to_json(document: dict[str, Any]) -> str:
    """JSON with timestamps as epoch numbers; raises TypeError for what JSON cannot hold."""
    return orjson.dumps(document, default=_timestamp, option=orjson.OPT_PASSTHROUGH_DATETIME).decode()


def _timestamp(value: Any) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} does not belong in a resource's document")


def table_names(connection: Connection) -> list[str]:
    """Every table, of the store and of services."""
    return [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
