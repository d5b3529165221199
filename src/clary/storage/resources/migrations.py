"""The format of the database, and the steps from each format to the next."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, select, update

from clary.storage.resources.tables import format_version, metadata

MIGRATIONS: list[Callable[[Connection], None]] = []
"""`MIGRATIONS[n]` turns format n+1 into format n+2. Append only."""


class NewerFormat(Exception):
    """The database was written by a newer Clary."""


def migrate(connection: Connection) -> None:
    """Bring the database to this version's format, or raise `NewerFormat`. Runs in one transaction of the caller."""
    newest = len(MIGRATIONS) + 1
    found = newest
    if inspect(connection).has_table(format_version.name):
        found = connection.execute(select(format_version.c.version)).scalar_one()
    if found > newest:
        raise NewerFormat(
            f"the data directory has format {found}, this version of Clary reads up to {newest}: use the Clary that wrote it"
        )
    metadata.create_all(connection)
    if connection.execute(select(format_version.c.version)).first() is None:
        connection.execute(insert(format_version).values(version=newest))
    for step in MIGRATIONS[found - 1 :]:
        step(connection)
    connection.execute(update(format_version).values(version=newest))
