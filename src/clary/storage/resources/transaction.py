"""What `work` may do inside `ResourceStore.write`. Runs on the writer thread, in a savepoint of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from clary.core.identifiers import Scope
from clary.storage.resources.tables import (
    COLUMNS,
    HOME,
    WITH_PREFIX,
    Connection,
    Duplicate,
    Missing,
    Resource,
    from_row,
    home,
    key,
    prefix,
    to_json,
)

_THIS = f"{HOME} AND name = :name"
_SELECT_ONE = f"SELECT {COLUMNS} FROM resources WHERE {_THIS}"
_SELECT_NAMED = f"SELECT {COLUMNS} FROM resources WHERE {HOME} AND {WITH_PREFIX} ORDER BY name"
_SELECT_TAGS = "SELECT key, value FROM tags WHERE arn = :arn ORDER BY key"
_INSERT = f"""INSERT INTO resources ({COLUMNS})
    VALUES (:kind, :account, :region, :name, :arn, :status, :created, :modified, :document, :state)"""
_UPDATE = f"""UPDATE resources SET modified = :modified, status = COALESCE(:status, status),
    document = COALESCE(:document, document), state = COALESCE(:state, state) WHERE {_THIS}"""
_INSERT_TAG = "INSERT INTO tags (arn, key, value) VALUES (:arn, :key, :value)"


def select_one(connection: Connection, kind: str, scope: Scope, name: str) -> Resource | None:
    row = connection.execute(_SELECT_ONE, key(kind, scope, name)).fetchone()
    return from_row(row) if row else None


def select_tags(connection: Connection, arn: str) -> dict[str, str]:
    return dict(connection.execute(_SELECT_TAGS, {"arn": arn}).fetchall())


class Transaction:
    """Reads and writes that are kept together or not at all."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.topics: list[str] = []

    def get(self, kind: str, scope: Scope, name: str) -> Resource | None:
        return select_one(self.connection, kind, scope, name)

    def named(self, kind: str, scope: Scope, start: str) -> list[Resource]:
        """The resources whose names begin with `start`, by name."""
        return [from_row(row) for row in self.connection.execute(_SELECT_NAMED, home(kind, scope) | prefix(start))]

    def insert(
        self,
        kind: str,
        scope: Scope,
        name: str,
        *,
        arn: str,
        document: dict[str, Any],
        created: float,
        status: str = "",
        state: dict[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Resource:
        """A new resource. Raises `Duplicate` when the name is taken."""
        if existing := self.get(kind, scope, name):
            raise Duplicate(existing)
        values = key(kind, scope, name) | {"arn": arn, "status": status, "created": created, "modified": created}
        values |= {"document": to_json(document), "state": to_json(state or {})}
        self.connection.execute(_INSERT, values)
        if tags:
            self.set_tags(arn, tags)
        return from_row(values.values())

    def update(
        self,
        resource: Resource,
        *,
        modified: float,
        status: str | None = None,
        document: dict[str, Any] | None = None,
        state: dict[str, Any] | None = None,
    ) -> Resource:
        """Replace what is given; the rest stays as it is in the database now. Raises `Missing`."""
        current = self.get(resource.kind, resource.scope, resource.name)
        if current is None:
            raise Missing(f"{resource.kind} {resource.name!r} is gone")
        values = key(resource.kind, resource.scope, resource.name) | {"modified": modified, "status": status}
        texts = {"document": _to_json(document), "state": _to_json(state)}
        self.connection.execute(_UPDATE, values | texts)
        return replace(
            current,
            modified=modified,
            status=current.status if status is None else status,
            document=current.document if document is None else document,
            state=current.state if state is None else state,
        )

    def delete(self, resource: Resource) -> None:
        """Remove the resource and its tags; nothing happens when it is gone already."""
        self.connection.execute(f"DELETE FROM resources WHERE {_THIS}", key(resource.kind, resource.scope, resource.name))
        self.connection.execute("DELETE FROM tags WHERE arn = :arn", {"arn": resource.arn})

    def tags(self, arn: str) -> dict[str, str]:
        return select_tags(self.connection, arn)

    def set_tags(self, arn: str, values: Mapping[str, str]) -> None:
        """Add tags; a key that is there gets the new value."""
        self.remove_tags(arn, values)
        self.connection.executemany(_INSERT_TAG, [{"arn": arn, "key": name, "value": value} for name, value in values.items()])

    def remove_tags(self, arn: str, keys: Iterable[str]) -> None:
        rows = [{"arn": arn, "key": name} for name in keys]
        self.connection.executemany("DELETE FROM tags WHERE arn = :arn AND key = :key", rows)

    def wake(self, topic: str) -> None:
        """Tell the control loop of `topic` to look again, once this is committed."""
        self.topics.append(topic)


def _to_json(document: dict[str, Any] | None) -> str | None:
    return None if document is None else to_json(document)
