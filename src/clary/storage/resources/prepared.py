"""Statements of the busiest paths: compiled once, then run by the driver itself.

SQLAlchemy takes 50 to 100 us to run what SQLite answers in five. What runs several times per request is written with it all
the same, and turned into text and the order of its parameters here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects import sqlite


class Prepared:
    """A statement over columns of plain types; values are given by the names of its parameters or columns."""

    def __init__(self, statement: ClauseElement):
        compiled: Any = statement.compile(dialect=sqlite.dialect())
        self._sql = str(compiled)
        self._order: tuple[str, ...] = tuple(compiled.positiontup)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run it, and all rows that it finds: a cursor that is left half read would keep its snapshot of the database."""
        return driver(connection).execute(self._sql, [values[name] for name in self._order]).fetchall()

    def first(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        rows = self.rows(connection, values)
        return rows[0] if rows else None


def driver(connection: Connection) -> sqlite3.Connection:
    """The connection beneath SQLAlchemy's."""
    return connection.connection.dbapi_connection  # type: ignore[return-value]
