"""The resource store: names, tags, filters, paging, transactions and group commit."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.core.errors import ServiceUnavailable, ValidationException
from clary.core.identifiers import Scope
from clary.storage.resources import Duplicate, Missing, NewerFormat, ResourceStore

HOME = Scope("000000000000", "us-east-1")
ELSEWHERE = Scope("111111111111", "us-east-1")


def opened(directory: Path, **options) -> ResourceStore:
    return ResourceStore.open(directory / "clary.db", **options)


def inserted(name: str, *, scope: Scope = HOME, created: float = 1.0, status: str = "InProgress", **more):
    return lambda tx: tx.insert(
        "job", scope, name, arn=f"arn:{scope.account}:{name}", document={"Name": name}, created=created, status=status, **more
    )


def with_store(tmp_path: Path, body, **options):
    """Run the coroutine function `body(store)` on a fresh store."""

    async def run():
        store = opened(tmp_path, **options)
        try:
            return await body(store)
        finally:
            await store.close()

    return asyncio.run(run())


def test_a_written_resource_is_read_back_and_survives_a_restart(tmp_path):
    async def write(store):
        await store.write(inserted("a", state={"Step": 1}, tags={"team": "x"}))

    async def read(store):
        resource = store.get("job", HOME, "a")
        assert (resource.document, resource.state, resource.created) == ({"Name": "a"}, {"Step": 1}, 1.0)
        assert store.by_arn(resource.arn) == resource
        assert store.tags(resource.arn) == {"team": "x"}
        assert store.get("job", ELSEWHERE, "a") is None

    with_store(tmp_path, write)
    with_store(tmp_path, read)


def test_timestamps_in_documents_become_epoch_numbers(tmp_path):
    async def body(store):
        when = datetime(2026, 1, 1, tzinfo=UTC)
        job = await store.write(lambda tx: tx.insert("job", HOME, "a", arn="a", document={"When": when}, created=1))
        assert job.document == {"When": when.timestamp()}

    with_store(tmp_path, body)


def test_a_taken_name_raises_duplicate_with_the_resource_that_has_it(tmp_path):
    async def body(store):
        first = await store.write(inserted("a"))
        with pytest.raises(Duplicate) as error:
            await store.write(inserted("a"))
        assert error.value.existing == first
        await store.write(inserted("a", scope=ELSEWHERE))

    with_store(tmp_path, body)


def test_an_update_replaces_what_it_names_and_a_delete_takes_the_tags_along(tmp_path):
    async def body(store):
        job = await store.write(inserted("a", tags={"k": "v"}))
        done = await store.write(lambda tx: tx.update(job, status="Completed", modified=5.0))
        assert (done.status, done.modified, done.document) == ("Completed", 5.0, job.document)
        assert store.get("job", HOME, "a") == done
        await store.write(lambda tx: tx.delete(done))
        assert store.get("job", HOME, "a") is None
        assert store.tags(job.arn) == {}
        with pytest.raises(Missing):
            await store.write(lambda tx: tx.update(job, status="Failed", modified=6.0))

    with_store(tmp_path, body)


def test_a_failing_write_undoes_itself_and_leaves_its_neighbours(tmp_path):
    woken = []

    async def body(store):
        def fail(tx):
            inserted("bad")(tx)
            tx.wake("bad")
            raise RuntimeError("no")

        def succeed(tx):
            tx.wake("good")
            return inserted("good")(tx)

        results = await asyncio.gather(*[store.write(w) for w in (succeed, fail, inserted("c"))], return_exceptions=True)
        assert isinstance(results[1], RuntimeError)
        assert {job.name for job in store.every("job")} == {"good", "c"}

    with_store(tmp_path, body, wake=woken.append)
    assert woken == ["good"]


def test_a_cancelled_caller_does_not_disturb_the_others(tmp_path):
    async def body(store):
        impatient = asyncio.create_task(store.write(inserted("a")))
        await asyncio.sleep(0)
        impatient.cancel()
        await store.write(inserted("b"))
        assert store.get("job", HOME, "b")

    with_store(tmp_path, body)


def test_tags_are_added_replaced_and_removed(tmp_path):
    async def body(store):
        await store.write(lambda tx: tx.set_tags("arn", {"a": "1", "b": "2"}))
        await store.write(lambda tx: tx.set_tags("arn", {"b": "3"}))
        await store.write(lambda tx: tx.remove_tags("arn", ["a", "never"]))
        assert store.tags("arn") == {"b": "3"}

    with_store(tmp_path, body)


def test_filters(tmp_path):
    async def body(store):
        for number, name in enumerate(["Alpha-1", "beta_1", "alpha%2"]):
            await store.write(inserted(name, created=float(number), status="Done" if number else "InProgress"))

        def names(**filters):
            return [job.name for job in store.page("job", HOME, **filters)[0]]

        assert names() == ["alpha%2", "beta_1", "Alpha-1"]
        assert names(name_contains="ALPHA") == ["alpha%2", "Alpha-1"]
        assert names(name_contains="%") == ["alpha%2"]
        assert names(name_contains="_") == ["beta_1"]
        assert names(name_prefix="alpha") == ["alpha%2"]
        assert names(status="InProgress") == ["Alpha-1"]
        assert names(created_after=0.0, created_before=2.0) == ["beta_1"]
        assert names(modified_after=1.0) == ["alpha%2"]
        assert names(sort_by="Name", descending=False) == ["Alpha-1", "alpha%2", "beta_1"]
        assert names(sort_by="Status", descending=False) == ["alpha%2", "beta_1", "Alpha-1"]
        assert [job.name for job in store.every("job", status=["Done"])] == ["beta_1", "alpha%2"]

    with_store(tmp_path, body)


@settings(max_examples=25, deadline=None)
@given(
    created=st.lists(st.sampled_from([1.0, 2.0, 3.5]), max_size=12),
    limit=st.integers(1, 5),
    sort_by=st.sampled_from(["Name", "CreationTime", "LastModifiedTime", "Status"]),
    descending=st.booleans(),
)
def test_pages_put_together_are_the_whole_list(tmp_path_factory, created, limit, sort_by, descending):
    async def body(store):
        for number, time in enumerate(created):
            await store.write(inserted(f"n{number}", created=time, status=f"s{number % 2}"))
        whole, _ = store.page("job", HOME, sort_by=sort_by, descending=descending, limit=100)
        pages, token = store.page("job", HOME, sort_by=sort_by, descending=descending, limit=limit)
        while token:
            page, token = store.page("job", HOME, sort_by=sort_by, descending=descending, limit=limit, token=token)
            assert page
            pages += page
        assert pages == whole
        assert len(whole) == len(created)

    with_store(tmp_path_factory.mktemp("store"), body, durability="fast")


def test_a_token_keeps_its_place_while_rows_are_added(tmp_path):
    async def body(store):
        for number in range(4):
            await store.write(inserted(f"n{number}", created=float(number)))
        first, token = store.page("job", HOME, limit=2)
        await store.write(inserted("newest", created=99.0))
        second, end = store.page("job", HOME, limit=2, token=token)
        assert [job.name for job in first + second] == ["n3", "n2", "n1", "n0"]
        assert end is None

    with_store(tmp_path, body)


@pytest.mark.parametrize("token", ["", "x", "W10=", "WyJOYW1lIiwgMSwgMV0=", "ÿ", "a" * 9000])
def test_a_made_up_token_is_refused(tmp_path, token):
    async def body(store):
        with pytest.raises(ValidationException, match="Invalid pagination token"):
            store.page("job", HOME, token=token)

    with_store(tmp_path, body)


def test_a_service_declares_tables_of_its_own(tmp_path):
    table = "CREATE TABLE IF NOT EXISTS declared (n INTEGER NOT NULL PRIMARY KEY)"

    async def body(store):
        store.declare(table)
        await store.write(lambda tx: tx.connection.execute("INSERT INTO declared (n) VALUES (:n)", {"n": 7}))
        store.declare(table)
        with store.reading() as connection:
            assert connection.execute("SELECT n FROM declared").fetchall() == [(7,)]

    with_store(tmp_path, body)


def test_statements_of_a_service_are_part_of_their_transaction(tmp_path):
    def fails(tx):
        tx.connection.execute("INSERT INTO declared (n) VALUES (8)")
        raise ValueError("undone")

    async def body(store):
        store.declare("CREATE TABLE IF NOT EXISTS declared (n INTEGER NOT NULL PRIMARY KEY)")
        with pytest.raises(ValueError, match="undone"):
            await store.write(fails)
        with store.reading() as connection:
            assert connection.execute("SELECT n FROM declared").fetchall() == []

    with_store(tmp_path, body)


def test_the_read_connection_cannot_write(tmp_path):
    async def body(store):
        with store.reading() as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
            connection.execute("DELETE FROM resources")

    with_store(tmp_path, body)


def test_the_database_of_a_newer_version_is_not_touched(tmp_path):
    async def age(store):
        await store.write(lambda tx: tx.connection.execute("UPDATE format SET version = 1000"))

    with_store(tmp_path, age)
    with pytest.raises(NewerFormat, match="format 1000"):
        opened(tmp_path)


def test_a_full_disk_fails_the_writes_that_do_not_fit_and_harms_nothing_else(tmp_path):
    async def body(store):
        await store.write(inserted("before"))
        pages = await store.write(lambda tx: tx.connection.execute("PRAGMA page_count").fetchone()[0])
        await store.write(lambda tx: tx.connection.execute(f"PRAGMA max_page_count = {pages + 2}"))
        writes = [
            store.write(lambda tx, n=n: tx.insert("job", HOME, f"n{n}", arn="", document={"x": "x" * 20_000}, created=1.0))
            for n in range(3)
        ]
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            assert isinstance(outcome, ServiceUnavailable)
            assert "full" in outcome.message
        await store.write(lambda tx: tx.connection.execute("PRAGMA max_page_count = 1000000"))
        await store.write(inserted("after"))
        assert [job.name for job in store.every("job")] == ["after", "before"]

    with_store(tmp_path, body)
