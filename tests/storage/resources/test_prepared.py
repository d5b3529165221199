"""Statements that the driver runs itself: the same transactions, the same rows as through SQLAlchemy."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table, bindparam, insert, select, update

from clary.storage.resources import Prepared, ResourceStore, Transaction

things = Table(
    "things",
    MetaData(),
    Column("name", String(10), primary_key=True),
    Column("size", Integer, nullable=True),
    Column("data", LargeBinary, nullable=True),
)
ADD = Prepared(insert(things))
SET = Prepared(update(things).where(things.c.name == bindparam("b_name")))
FIND = Prepared(select(things.c.size, things.c.data).where(things.c.name == bindparam("name")))


def thing(name: str, size: int | None, data: bytes | None = None) -> dict:
    return {"name": name, "size": size, "data": data}


def test_prepared_statements_are_part_of_their_transaction(tmp_path: Path) -> None:
    asyncio.run(_use(tmp_path))


async def _use(tmp_path: Path) -> None:
    store = ResourceStore.open(tmp_path / "resources.db")

    def fails(transaction: Transaction) -> None:
        ADD.rows(transaction.connection, thing("b", 2))
        raise ValueError("undone")

    await store.write(lambda transaction: things.create(transaction.connection))
    await store.write(lambda transaction: ADD.rows(transaction.connection, thing("a", 1, b"\x00\xff")))
    with pytest.raises(ValueError, match="undone"):
        await store.write(fails)
    await store.write(lambda transaction: SET.rows(transaction.connection, thing("a", None, b"new") | {"b_name": "a"}))
    with store.reading() as connection:
        assert FIND.first(connection, {"name": "a"}) == (None, b"new")
        assert FIND.first(connection, {"name": "b"}) is None
        assert connection.execute(select(things)).all() == [("a", None, b"new")]
    await store.close()
