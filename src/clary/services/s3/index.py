"""The index: which buckets, objects, uploads and pieces there are. Tables, row types and reads; `changes.py` writes.

An object's bytes are either sealed in its own row (small ones) or a list of pieces, one blob each, under a random `holder` id.
A part of a multipart upload is a piece whose holder is the upload; completing an upload moves pieces to the object and copies
no bytes. Keys are UTF-8 bytes, so that the order is S3's order in every database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from clary.storage.resources import Connection, ResourceStore

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS s3_buckets (
        name VARCHAR(255) NOT NULL PRIMARY KEY,
        account VARCHAR(12) NOT NULL,
        region VARCHAR(32) NOT NULL,
        created INTEGER NOT NULL,
        folder TEXT NOT NULL,
        settings TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS ix_s3_buckets_account ON s3_buckets (account)",
    """CREATE TABLE IF NOT EXISTS s3_objects (
        bucket VARCHAR(255) NOT NULL,
        key BLOB NOT NULL,
        size INTEGER NOT NULL,
        modified INTEGER NOT NULL,
        etag VARCHAR(48) NOT NULL,
        about TEXT NOT NULL,
        tags TEXT NOT NULL,
        holder VARCHAR(32) NOT NULL,
        data_key BLOB,
        data BLOB,
        PRIMARY KEY (bucket, key)
    )""",
    """CREATE TABLE IF NOT EXISTS s3_uploads (
        id VARCHAR(32) NOT NULL PRIMARY KEY,
        bucket VARCHAR(255) NOT NULL,
        key BLOB NOT NULL,
        initiated INTEGER NOT NULL,
        initiator TEXT NOT NULL,
        about TEXT NOT NULL,
        tags TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS s3_uploads_by_key ON s3_uploads (bucket, key, id)",
    """CREATE TABLE IF NOT EXISTS s3_pieces (
        holder VARCHAR(32) NOT NULL,
        number INTEGER NOT NULL,
        blob VARCHAR(32) NOT NULL,
        size INTEGER NOT NULL,
        data_key BLOB NOT NULL,
        modified INTEGER NOT NULL,
        etag VARCHAR(32) NOT NULL,
        checksum VARCHAR(128) NOT NULL,
        PRIMARY KEY (holder, number)
    )""",
    "CREATE INDEX IF NOT EXISTS ix_s3_pieces_blob ON s3_pieces (blob)",
    """CREATE TABLE IF NOT EXISTS s3_encryption_keys (
        account VARCHAR(12) NOT NULL,
        id VARCHAR(512) NOT NULL,
        material BLOB NOT NULL,
        PRIMARY KEY (account, id)
    )""",
)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`created` in epoch seconds; `folder` is the mounted directory, empty for a bucket of our own."""

    name: str
    account: str
    region: str
    created: int
    folder: str = ""
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredObject:
    """`modified` in epoch seconds, `etag` without quotes; `data` is the sealed content of a small object.

    `about` holds `headers` and `metadata` as they came, `storage_class`, `encryption`, `checksum` and `parts` (a count).
    """

    bucket: str
    key: str
    size: int
    modified: int
    etag: str
    about: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    holder: str = ""
    data_key: bytes | None = None
    data: bytes | None = None

    @property
    def storage_class(self) -> str:
        return self.about.get("storage_class", "STANDARD")


@dataclass(frozen=True, slots=True)
class Piece:
    """One blob of an object or an upload. `checksum` is base64, of the upload's algorithm; `data_key` is wrapped."""

    number: int
    blob: str
    size: int
    data_key: bytes
    modified: int
    etag: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload in progress. `about` is that of the object it will become, and `checksum_type`."""

    id: str
    bucket: str
    key: str
    initiated: int
    initiator: str
    about: dict[str, Any]
    tags: dict[str, str]


_BUCKET_COLUMNS = "name, account, region, created, folder, settings"
_LISTED_COLUMNS = "bucket, key, size, modified, etag, about, tags"
_UPLOAD_COLUMNS = "id, bucket, key, initiated, initiator, about, tags"
_BUCKET = f"SELECT {_BUCKET_COLUMNS} FROM s3_buckets WHERE name = :name"
_OWNED = f"SELECT {_BUCKET_COLUMNS} FROM s3_buckets WHERE account = :account ORDER BY name"
_OBJECT = f"SELECT {_LISTED_COLUMNS}, holder, data_key, data FROM s3_objects WHERE bucket = :bucket AND key = :key"
_SCAN = f"""SELECT {_LISTED_COLUMNS} FROM s3_objects
    WHERE bucket = :bucket AND key >= :start AND key < :end ORDER BY key LIMIT :limit"""
_PIECES = """SELECT number, blob, size, data_key, modified, etag, checksum FROM s3_pieces
    WHERE holder = :holder ORDER BY number"""
_UPLOAD = f"SELECT {_UPLOAD_COLUMNS} FROM s3_uploads WHERE id = :id"
_UPLOADS = f"SELECT {_UPLOAD_COLUMNS} FROM s3_uploads WHERE bucket = :bucket ORDER BY key, id"
_LOOKED_UP_AT_ONCE = 500


class ObjectIndex:
    """Reads. They run on the event loop and take microseconds."""

    def __init__(self, store: ResourceStore):
        self._store = store

    def bucket(self, name: str) -> Bucket | None:
        with self._store.reading() as connection:
            return find_bucket(connection, name)

    def buckets_of(self, account: str) -> list[Bucket]:
        with self._store.reading() as connection:
            return [to_bucket(row) for row in connection.execute(_OWNED, {"account": account})]

    def object(self, bucket: str, key: str) -> StoredObject | None:
        with self._store.reading() as connection:
            row = connection.execute(_OBJECT, {"bucket": bucket, "key": key.encode()}).fetchone()
        return to_object(row) if row else None

    def scan(self, bucket: str, start: bytes, end: bytes, limit: int) -> list[StoredObject]:
        """Up to `limit` objects with start <= key < end, in key order, without their content."""
        with self._store.reading() as connection:
            found = connection.execute(_SCAN, {"bucket": bucket, "start": start, "end": end, "limit": limit})
            return [to_object(row) for row in found]

    def pieces(self, holder: str) -> list[Piece]:
        with self._store.reading() as connection:
            return [Piece(*row) for row in connection.execute(_PIECES, {"holder": holder})]

    def upload(self, upload_id: str) -> Upload | None:
        with self._store.reading() as connection:
            return find_upload(connection, upload_id)

    def uploads(self, bucket: str) -> list[Upload]:
        """All uploads in progress, by key and then id."""
        with self._store.reading() as connection:
            return [to_upload(row) for row in connection.execute(_UPLOADS, {"bucket": bucket})]

    def known_blobs(self, blob_ids: list[str]) -> set[str]:
        """Those of `blob_ids` that a piece refers to."""
        found: set[str] = set()
        with self._store.reading() as connection:
            for start in range(0, len(blob_ids), _LOOKED_UP_AT_ONCE):
                some = blob_ids[start : start + _LOOKED_UP_AT_ONCE]
                names = {f"blob_{number}": blob for number, blob in enumerate(some)}
                wanted = ", ".join(f":{name}" for name in names)
                rows = connection.execute(f"SELECT blob FROM s3_pieces WHERE blob IN ({wanted})", names)
                found.update(blob for (blob,) in rows)
        return found


def find_bucket(connection: Connection, name: str) -> Bucket | None:
    row = connection.execute(_BUCKET, {"name": name}).fetchone()
    return to_bucket(row) if row else None


def find_upload(connection: Connection, upload_id: str) -> Upload | None:
    row = connection.execute(_UPLOAD, {"id": upload_id}).fetchone()
    return to_upload(row) if row else None


def to_bucket(row: Any) -> Bucket:
    name, account, region, created, folder, settings = row
    return Bucket(name, account, region, created, folder, orjson.loads(settings))


def to_object(row: Any) -> StoredObject:
    bucket, key, size, modified, etag, about, tags, *content = row
    tags = orjson.loads(tags) if tags else {}
    return StoredObject(bucket, key.decode(), size, modified, etag, orjson.loads(about), tags, *content)


def to_upload(row: Any) -> Upload:
    id_, bucket, key, initiated, initiator, about, tags = row
    return Upload(id_, bucket, key.decode(), initiated, initiator, orjson.loads(about), orjson.loads(tags) if tags else {})
