"""What `work` may do inside `ResourceStore.write`. Runs on the writer thread, in a savepoint of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from clary.core.identifiers import Scope
from clary.storage.resources.tables import Duplicate, Missing, Resource, from_row, has_prefix, key, resources, tags, to_json

_columns = resources.c
_ONE = (
    (_columns.kind == bindparam("b_kind"))
    & (_columns.account == bindparam("b_account"))
    & (_columns.region == bindparam("b_region"))
    & (_columns.name == bindparam("b_name"))
)
SELECT_ONE = select(resources).where(_ONE)
_DELETE_ONE = delete(resources).where(_ONE)
_UPDATE_ONE = update(resources).where(_ONE)
_DELETE_TAG = delete(tags).where(tags.c.arn == bindparam("b_arn"), tags.c.key == bindparam("b_key"))
_DELETE_TAGS = delete(tags).where(tags.c.arn == bindparam("b_arn"))
SELECT_TAGS = select(tags.c.key, tags.c.value).where(tags.c.arn == bindparam("b_arn")).order_by(tags.c.key)


class Transaction:
    """Reads and writes that are kept together or not at all."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.topics: list[str] = []

    def get(self, kind: str, scope: Scope, name: str) -> Resource | None:
        row = self.connection.execute(SELECT_ONE, bound_key(kind, scope, name)).first()
        return from_row(row) if row else None

    def named(self, kind: str, scope: Scope, prefix: str) -> list[Resource]:
        """The resources whose names begin with `prefix`."""
        statement = select(resources).where(
            _columns.kind == kind, _columns.account == scope.account, _columns.region == scope.region, has_prefix(prefix)
        )
        return [from_row(row) for row in self.connection.execute(statement)]

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
        texts = {"document": to_json(document), "state": to_json(state or {})}
        self.connection.execute(insert(resources), values | texts)
        if tags:
            self.set_tags(arn, tags)
        return from_row((*values.values(), *texts.values()))

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
        values: dict[str, Any] = {"modified": modified}
        values |= {} if status is None else {"status": status}
        values |= {} if document is None else {"document": to_json(document)}
        values |= {} if state is None else {"state": to_json(state)}
        self.connection.execute(_UPDATE_ONE, bound_key(resource.kind, resource.scope, resource.name) | values)
        return replace(
            current,
            modified=modified,
            status=current.status if status is None else status,
            document=current.document if document is None else document,
            state=current.state if state is None else state,
        )

    def delete(self, resource: Resource) -> None:
        """Remove the resource and its tags; nothing happens when it is gone already."""
        self.connection.execute(_DELETE_ONE, bound_key(resource.kind, resource.scope, resource.name))
        self.connection.execute(_DELETE_TAGS, {"b_arn": resource.arn})

    def tags(self, arn: str) -> dict[str, str]:
        return {row.key: row.value for row in self.connection.execute(SELECT_TAGS, {"b_arn": arn})}

    def set_tags(self, arn: str, values: Mapping[str, str]) -> None:
        """Add tags; a key that is there gets the new value."""
        self.remove_tags(arn, values)
        if values:
            rows = [{"arn": arn, "key": name, "value": value} for name, value in values.items()]
            self.connection.execute(insert(tags), rows)

    def remove_tags(self, arn: str, keys: Iterable[str]) -> None:
        rows = [{"b_arn": arn, "b_key": name} for name in keys]
        if rows:
            self.connection.execute(_DELETE_TAG, rows)

    def wake(self, topic: str) -> None:
        """Tell the control loop of `topic` to look again, once this is committed."""
        self.topics.append(topic)


def bound_key(kind: str, scope: Scope, name: str) -> dict[str, str]:
    """The parameters of `SELECT_ONE`."""
    return {"b_kind": kind, "b_account": scope.account, "b_region": scope.region, "b_name": name}
