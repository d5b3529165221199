"""The format of the database, and the steps from each format to the next."""

from __future__ import annotations

from collections.abc import Callable

from clary.storage.resources.tables import SCHEMA, Connection, table_names

MIGRATIONS: list[Callable[[Connection], None]] = []
"""`MIGRATIONS[n]` turns format n+1 into format n+2. Append only."""


class NewerFormat(Exception):
    """The database was written by a newer Clary."""


def migrate(connection: Connection) -> None:
    """Bring the database to this version's format, or raise `NewerFormat`. Runs in one transaction of the caller."""
    newest = len(MIGRATIONS) + 1
    found = _format(connection) or newest
    if found > newest:
        raise NewerFormat(
            f"the data directory has format {found}, this version of Clary reads up to {newest}: use the Clary that wrote it"
        )
    for statement in SCHEMA:
        connection.execute(statement)
    for step in MIGRATIONS[found - 1 :]:
        step(connection)
    connection.execute("DELETE FROM format")
    connection.execute("INSERT INTO format (version) VALUES (:version)", {"version": newest})


def _format(connection: Connection) -> int | None:
    """The format that the database has, None for a new one."""
    if "format" not in table_names(connection):
        return None
    return connection.execute("SELECT version FROM format").fetchone()[0]
