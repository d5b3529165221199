"""Blobs: what is written is what is read, by range, sealed or not; nothing half-written shows; readers keep what they read."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clary.storage.blobs import BlobStore, ChunkCipher, DamagedBlob
from clary.storage.blobs.cipher import CHUNK_BYTES, SEALED_BYTES

KEY = bytes(range(32))
SIZES = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 8 * CHUNK_BYTES, 1_500_000)


async def put(store: BlobStore, data: bytes, key: bytes | None, step: int = 100_000) -> str:
    writer = store.create(key)
    for start in range(0, len(data), step):
        await writer.write(data[start : start + step])
    await writer.end()
    blob = await writer.finish()
    assert blob.size == len(data)
    return blob.id


async def read(store: BlobStore, blob_id: str, start: int, length: int, key: bytes | None = None) -> bytes:
    return b"".join([piece async for piece in store.read(blob_id, start, length, key)])


def files(store: BlobStore) -> list[str]:
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "sealed"])
@pytest.mark.parametrize("size", SIZES)
def test_what_is_written_is_what_is_read(tmp_path, size, key):
    async def scenario():
        store, data = BlobStore(tmp_path / "blobs"), os.urandom(size)
        assert await read(store, await put(store, data, key), 0, size, key) == data

    asyncio.run(scenario())


@given(data=st.data(), size=st.integers(0, 3 * CHUNK_BYTES))
@settings(max_examples=30, deadline=None)
def test_a_sealed_range_is_that_range_of_the_data(tmp_path_factory, data, size):
    start = data.draw(st.integers(0, size))
    length = data.draw(st.integers(0, size - start))

    async def scenario():
        store, content = BlobStore(tmp_path_factory.mktemp("b") / "blobs"), os.urandom(size)
        blob_id = await put(store, content, KEY, step=70_001)
        assert await read(store, blob_id, start, length, KEY) == content[start : start + length]

    asyncio.run(scenario())


def test_sealed_bytes_on_disk_are_not_the_plain_bytes(tmp_path):
    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        await put(store, b"attack at dawn " * 10_000, KEY)
        stored = b"".join((store.root / name).read_bytes() for name in files(store))
        assert b"attack at dawn" not in stored

    asyncio.run(scenario())


@pytest.mark.parametrize("damage", ["cut a chunk", "cut a byte", "flip a bit", "swap chunks", "another key"])
def test_damage_is_noticed(tmp_path, damage):
    async def scenario():
        store, size = BlobStore(tmp_path / "blobs"), 3 * CHUNK_BYTES
        blob_id = await put(store, os.urandom(size), KEY)
        path = store.root / blob_id[:2] / blob_id
        sealed = bytearray(path.read_bytes())
        if damage == "cut a chunk":
            del sealed[-SEALED_BYTES:]
        elif damage == "cut a byte":
            del sealed[-1:]
        elif damage == "flip a bit":
            sealed[CHUNK_BYTES // 2] ^= 1
        elif damage == "swap chunks":
            first, second = sealed[:SEALED_BYTES], sealed[SEALED_BYTES : 2 * SEALED_BYTES]
            sealed[: 2 * SEALED_BYTES] = second + first
        path.write_bytes(sealed)
        with pytest.raises(DamagedBlob):
            await read(store, blob_id, 0, size, bytes(32) if damage == "another key" else KEY)

    asyncio.run(scenario())


def test_a_short_plain_file_and_a_missing_one_are_noticed(tmp_path):
    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        blob_id = await put(store, b"x" * 100, None)
        with pytest.raises(DamagedBlob):
            await read(store, blob_id, 0, 101)
        with pytest.raises(DamagedBlob):
            await read(store, "0" * 32, 0, 1)

    asyncio.run(scenario())


@given(st.binary(max_size=200_000))
@settings(max_examples=20, deadline=None)
def test_sealing_in_memory_is_the_same_format(data):
    cipher = ChunkCipher(KEY)
    sealed = cipher.seal_all(data)
    assert cipher.open_all(sealed) == data
    if sealed[SEALED_BYTES:]:
        with pytest.raises(DamagedBlob):
            cipher.open_all(sealed[:SEALED_BYTES])


def test_an_aborted_blob_leaves_nothing(tmp_path):
    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        for finished in (False, True):
            writer = store.create(KEY)
            await writer.write(os.urandom(2_000_000))
            if finished:
                await writer.finish()
            await writer.abort()
        assert files(store) == []

    asyncio.run(scenario())


def test_a_cancelled_write_can_be_aborted(tmp_path):
    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        writer = store.create(KEY)
        await writer.write(os.urandom(5_000_000))
        finishing = asyncio.create_task(writer.finish())
        await asyncio.sleep(0)
        finishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await finishing
        await writer.abort()
        assert files(store) == []

    asyncio.run(scenario())


def test_observe_sees_every_byte_in_order_before_finish(tmp_path):
    async def scenario():
        store, seen, also_seen = BlobStore(tmp_path / "blobs"), bytearray(), bytearray()
        data = os.urandom(3_000_000)
        writer = store.create(KEY, observe=(seen.extend, also_seen.extend))
        for start in range(0, len(data), 65_536):
            await writer.write(data[start : start + 65_536])
        await writer.end()
        assert seen == also_seen == data
        await writer.finish()
        assert seen == also_seen == data

    asyncio.run(scenario())


def test_a_full_disk_is_the_writers_error(tmp_path, monkeypatch):
    """The real thing is in tests/crashes; here the error's way from the thread to the caller."""

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        writer = store.create()
        monkeypatch.setattr(os, "write", full)
        await writer.write(bytes(1_000_000))
        with pytest.raises(OSError, match="No space"):
            await writer.write(bytes(1_000_000))
        await writer.abort()
        assert files(store) == []

    asyncio.run(scenario())


def test_a_deleted_blob_stays_until_its_last_reader_is_done(tmp_path):
    async def scenario():
        store, data = BlobStore(tmp_path / "blobs"), os.urandom(100_000)
        blob_id = await put(store, data, KEY)
        first, second = store.hold([blob_id]), store.hold([blob_id])
        await store.delete(blob_id)
        first.release()
        assert await read(store, blob_id, 0, len(data), KEY) == data
        second.release()
        store.close()
        assert files(store) == []

    asyncio.run(scenario())


def test_a_hold_that_is_dropped_is_released(tmp_path):
    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        blob_id = await put(store, b"x", None)
        hold = store.hold([blob_id])
        store.discard([blob_id])
        del hold
        store.close()
        assert files(store) == []

    asyncio.run(scenario())


def test_collect_removes_what_an_earlier_process_left_and_nothing_else(tmp_path):
    async def scenario():
        earlier = BlobStore(tmp_path / "blobs")
        kept, orphan = await put(earlier, b"kept", None), await put(earlier, b"orphan", None)
        await earlier.create().write(b"never finished")

        store = BlobStore(tmp_path / "blobs")
        unfinished, ours = store.create(), await put(store, b"ours, not yet in the index", None)
        asked: list[str] = []

        def live(ids: list[str]) -> list[str]:
            asked.extend(ids)
            return [kept]

        assert await store.collect(live) == 2
        assert sorted(asked) == sorted([kept, orphan])
        assert await read(store, kept, 0, 4) == b"kept"
        await unfinished.write(b"still good")
        written = await unfinished.finish()
        assert {name[3:] for name in files(store)} == {kept, ours, written.id}

    asyncio.run(scenario())


def test_a_store_that_closes_ends_its_collection(tmp_path):
    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        collection = asyncio.create_task(store.collect(lambda ids: []))
        await asyncio.sleep(0)
        store.close()
        with pytest.raises(asyncio.CancelledError):
            await collection

    asyncio.run(scenario())


def test_only_the_first_collect_collects(tmp_path):
    """A later one could not tell what this process has created and not yet put into the index."""

    async def scenario():
        store = BlobStore(tmp_path / "blobs")
        assert await store.collect(lambda ids: []) == 0
        blob_id = await put(store, b"x", None)
        assert await store.collect(lambda ids: []) == 0
        assert await read(store, blob_id, 0, 1) == b"x"

    asyncio.run(scenario())
