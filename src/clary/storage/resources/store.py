"""The resource store: reads on the event loop, writes through the group-committing writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from clary.core.identifiers import Scope
from clary.storage.disk import sync_directory
from clary.storage.resources import paging
from clary.storage.resources.migrations import migrate
from clary.storage.resources.tables import COLUMNS, Connection, Resource, from_row
from clary.storage.resources.transaction import Transaction, select_one, select_tags
from clary.storage.resources.writer import Writer

T = TypeVar("T")

_BUSY_TIMEOUT_SECONDS = 10
_SYNCHRONOUS = {"full": "FULL", "fast": "NORMAL"}
_BY_ARN = f"SELECT {COLUMNS} FROM resources WHERE arn = :arn LIMIT 1"


class ResourceStore:
    """All resources of a data directory, in the SQLite file `path`."""

    def __init__(self, path: Path, reader: Connection, writer: Writer):
        self._path = path
        self._reader = reader
        self._writer = writer

    @classmethod
    def open(cls, path: Path, *, durability: str = "full", wake: Callable[[str], None] = lambda topic: None) -> ResourceStore:
        """Open or create the store. `wake(topic)` is called on the event loop after a commit that asked for it.

        With durability `full` a finished `write` survives a power cut; with `fast` it survives the death of the process.
        Raises `NewerFormat` when a newer Clary wrote the file.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        for_writing = _connect(path, durability)
        try:
            for_writing.execute("BEGIN IMMEDIATE")
            with for_writing:  # commits, or rolls back what failed
                migrate(for_writing)
        except BaseException:
            for_writing.close()
            raise
        sync_directory(path.parent)
        reader = _connect(path, durability)
        reader.execute("PRAGMA query_only = ON")
        return cls(path, reader, Writer(for_writing, wake))

    async def close(self) -> None:
        """Finish the writes that wait, then close."""
        await self._writer.close()
        self._reader.close()

    def get(self, kind: str, scope: Scope, name: str) -> Resource | None:
        return select_one(self._reader, kind, scope, name)

    def by_arn(self, arn: str) -> Resource | None:
        row = self._reader.execute(_BY_ARN, {"arn": arn}).fetchone()
        return from_row(row) if row else None

    def every(self, kind: str, *, status: Collection[str] | None = None) -> list[Resource]:
        """All resources of a kind in every account and region, oldest first."""
        among = {f"status_{number}": one for number, one in enumerate(status or ())}
        wanted = "" if status is None else f"AND status IN ({', '.join(f':{name}' for name in among)})"
        statement = f"SELECT {COLUMNS} FROM resources WHERE kind = :kind {wanted} ORDER BY created, name"
        return [from_row(row) for row in self._reader.execute(statement, {"kind": kind} | among)]

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
        statement, values = paging.query(
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
        found = [from_row(row) for row in self._reader.execute(statement, values)]
        page = found[:limit]
        return page, paging.token_after(page[-1], sort_by) if len(found) > limit else None

    def tags(self, arn: str) -> dict[str, str]:
        return select_tags(self._reader, arn)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """The read connection, for tables that a service declares itself. On the event loop only; do not await inside.

        Take all rows of a result: one that is left half read keeps its snapshot of the database.
        """
        yield self._reader

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the writer thread; returns when it is on disk. Its exception undoes it alone and is raised here."""
        return await self._writer.submit(work)

    def declare(self, *statements: str) -> None:
        """Create a service's own tables and indexes with `CREATE ... IF NOT EXISTS`; called when the service is mounted.

        Cheap when they are there.
        """
        with closing(sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)


def _connect(path: Path, durability: str) -> Connection:
    """A connection in autocommit mode: a read sees the latest commit, and `BEGIN` is ours to say."""
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS[durability]}")
    connection.execute("PRAGMA fullfsync = ON")  # only macOS knows the difference
    return connection
