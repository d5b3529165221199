"""The resource store: reads on the event loop, writes through the group-committing writer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, Table, bindparam, create_engine, event, inspect, select
from sqlalchemy.pool import NullPool

from clary.core.identifiers import Scope
from clary.storage.disk import sync_directory
from clary.storage.resources import paging
from clary.storage.resources.migrations import migrate
from clary.storage.resources.tables import Resource, from_row, metadata, resources
from clary.storage.resources.transaction import SELECT_ONE, SELECT_TAGS, Transaction, bound_key
from clary.storage.resources.writer import Writer

T = TypeVar("T")

_BUSY_TIMEOUT_SECONDS = 10
_SYNCHRONOUS = {"full": "FULL", "fast": "NORMAL"}
_BY_ARN = select(resources).where(resources.c.arn == bindparam("arn")).limit(1)


class ResourceStore:
    """All resources of a data directory, in the SQLite file `path`."""

    def __init__(self, engine: Engine, writer: Writer):
        self._engine = engine
        self._writer = writer
        self._reader = engine.connect()
        self._reader.exec_driver_sql("PRAGMA query_only = ON")

    @classmethod
    def open(cls, path: Path, *, durability: str = "full", wake: Callable[[str], None] = lambda topic: None) -> ResourceStore:
        """Open or create the store. `wake(topic)` is called on the event loop after a commit that asked for it.

        With durability `full` a finished `write` survives a power cut; with `fast` it survives the death of the process.
        Raises `NewerFormat` when a newer Clary wrote the file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        for_writing = _engine(path, durability)
        with for_writing.begin() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            migrate(connection)
        sync_directory(path.parent)
        return cls(_engine(path, durability), Writer(for_writing.connect(), wake))

    async def close(self) -> None:
        """Finish the writes that wait, then close."""
        await self._writer.close()
        self._reader.close()
        self._engine.dispose()

    def get(self, kind: str, scope: Scope, name: str) -> Resource | None:
        row = self._reader.execute(SELECT_ONE, bound_key(kind, scope, name)).first()
        return from_row(row) if row else None

    def by_arn(self, arn: str) -> Resource | None:
        row = self._reader.execute(_BY_ARN, {"arn": arn}).first()
        return from_row(row) if row else None

    def every(self, kind: str, *, status: Collection[str] | None = None) -> list[Resource]:
        """All resources of a kind in every account and region, oldest first."""
        statement = select(resources).where(resources.c.kind == kind).order_by(resources.c.created, resources.c.name)
        if status is not None:
            statement = statement.where(resources.c.status.in_(status))
        return [from_row(row) for row in self._reader.execute(statement)]

    def page(
        self,
        kind: str,
        scope: Scope,
        *,
        name_contains: str | None = None,
        status: str | None = None,
        created_after: float | None = None,
        created_before: float | None = None,
        modified_after: float | None = None,
        modified_before: float | None = None,
        name_prefix: str | None = None,
        sort_by: str = "CreationTime",
        descending: bool = True,
        limit: int = 10,
        token: str | None = None,
    ) -> tuple[list[Resource], str | None]:
        """One page and the token of the next, None at the end.

        Times are seconds since the epoch, exclusive; `name_contains` ignores case; `sort_by` is `Name`, `CreationTime`,
        `LastModifiedTime` or `Status`. Raises ValidationException for a token that does not fit.
        """
        statement = paging.query(
            kind,
            scope,
            sort_by=sort_by,
            descending=descending,
            limit=limit,
            token=token,
            name_contains=name_contains,
            name_prefix=name_prefix,
            status=status,
            created_after=created_after,
            created_before=created_before,
            modified_after=modified_after,
            modified_before=modified_before,
        )
        found = [from_row(row) for row in self._reader.execute(statement)]
        page = found[:limit]
        return page, paging.token_after(page[-1], sort_by) if len(found) > limit else None

    def tags(self, arn: str) -> dict[str, str]:
        return {row.key: row.value for row in self._reader.execute(SELECT_TAGS, {"b_arn": arn})}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The read connection, for tables that a service declares itself. On the event loop only; do not await inside."""
        yield self._reader

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the writer thread; returns when it is on disk. Its exception undoes it alone and is raised here."""
        return await self._writer.submit(work)

    def declare(self, *tables: Table) -> None:
        """Create a service's own tables if they are missing. Cheap when they are there; called when a service is mounted."""
        known = set(inspect(self._engine).get_table_names())
        if missing := [table for table in tables if table.name not in known]:
            with self._engine.connect() as connection:
                metadata.create_all(connection, tables=missing)


def _engine(path: Path, durability: str) -> Engine:
    """Connections in autocommit mode: a read sees the latest commit, and `BEGIN` is ours to say."""
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": _BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
        connection.execute("PRAGMA fullfsync = ON")  # only macOS knows the difference
        connection.execute("PRAGMA foreign_keys = ON")

    return engine
