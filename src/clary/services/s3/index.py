"""The index: which buckets, objects, uploads and pieces there are. Tables, row types and reads; `changes.py` writes.

An object's bytes are either sealed in its own row (small ones) or a list of pieces, one blob each, under a random `holder` id.
A part of a multipart upload is a piece whose holder is the upload; completing an upload moves pieces to the object and copies
no bytes. Keys are UTF-8 bytes, so that the order is S3's order in every database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Column, Index, Integer, LargeBinary, PrimaryKeyConstraint, String, Table, Text, bindparam, select

from clary.storage.resources import Prepared, ResourceStore, metadata

buckets = Table(
    "s3_buckets",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("account", String(12), nullable=False, index=True),
    Column("region", String(32), nullable=False),
    Column("created", Integer, nullable=False),
    Column("folder", Text, nullable=False),
    Column("settings", Text, nullable=False),
)
objects = Table(
    "s3_objects",
    metadata,
    Column("bucket", String(255), nullable=False),
    Column("key", LargeBinary(1024), nullable=False),
    Column("size", Integer, nullable=False),
    Column("modified", Integer, nullable=False),
    Column("etag", String(48), nullable=False),
    Column("about", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("holder", String(32), nullable=False),
    Column("data_key", LargeBinary, nullable=True),
    Column("data", LargeBinary, nullable=True),
    PrimaryKeyConstraint("bucket", "key"),
)
uploads = Table(
    "s3_uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("bucket", String(255), nullable=False),
    Column("key", LargeBinary(1024), nullable=False),
    Column("initiated", Integer, nullable=False),
    Column("initiator", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Index("s3_uploads_by_key", "bucket", "key", "id"),
)
pieces = Table(
    "s3_pieces",
    metadata,
    Column("holder", String(32), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("blob", String(32), nullable=False, index=True),
    Column("size", Integer, nullable=False),
    Column("data_key", LargeBinary, nullable=False),
    Column("modified", Integer, nullable=False),
    Column("etag", String(32), nullable=False),
    Column("checksum", String(128), nullable=False),
)
keys = Table(
    "s3_encryption_keys",
    metadata,
    Column("account", String(12), primary_key=True),
    Column("id", String(512), primary_key=True),
    Column("material", LargeBinary(32), nullable=False),
)
TABLES = (buckets, objects, uploads, pieces, keys)


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


PIECE_COLUMNS = (
    pieces.c.number,
    pieces.c.blob,
    pieces.c.size,
    pieces.c.data_key,
    pieces.c.modified,
    pieces.c.etag,
    pieces.c.checksum,
)
_LISTED = (objects.c.bucket, objects.c.key, objects.c.size, objects.c.modified, objects.c.etag, objects.c.about, objects.c.tags)
SELECT_BUCKET = Prepared(select(buckets).where(buckets.c.name == bindparam("name")))
_SELECT_OBJECT = Prepared(select(objects).where(objects.c.bucket == bindparam("bucket"), objects.c.key == bindparam("key")))
SELECT_UPLOAD = select(uploads).where(uploads.c.id == bindparam("id"))
SELECT_PIECES = select(*PIECE_COLUMNS).where(pieces.c.holder == bindparam("holder")).order_by(pieces.c.number)
_SCAN = (
    select(*_LISTED)
    .where(objects.c.bucket == bindparam("bucket"), objects.c.key >= bindparam("start"), objects.c.key < bindparam("end"))
    .order_by(objects.c.key)
    .limit(bindparam("limit"))
)
_OWNED = select(buckets).where(buckets.c.account == bindparam("account")).order_by(buckets.c.name)
_UPLOADS = select(uploads).where(uploads.c.bucket == bindparam("bucket")).order_by(uploads.c.key, uploads.c.id)


class ObjectIndex:
    """Reads. They run on the event loop and take microseconds."""

    def __init__(self, store: ResourceStore):
        self._store = store

    def bucket(self, name: str) -> Bucket | None:
        with self._store.reading() as connection:
            row = SELECT_BUCKET.first(connection, {"name": name})
        return to_bucket(row) if row else None

    def buckets_of(self, account: str) -> list[Bucket]:
        with self._store.reading() as connection:
            return [to_bucket(row) for row in connection.execute(_OWNED, {"account": account})]

    def object(self, bucket: str, key: str) -> StoredObject | None:
        with self._store.reading() as connection:
            row = _SELECT_OBJECT.first(connection, {"bucket": bucket, "key": key.encode()})
        return to_object(row) if row else None

    def scan(self, bucket: str, start: bytes, end: bytes, limit: int) -> list[StoredObject]:
        """Up to `limit` objects with start <= key < end, in key order, without their content."""
        with self._store.reading() as connection:
            found = connection.execute(_SCAN, {"bucket": bucket, "start": start, "end": end, "limit": limit})
            return [to_object(row) for row in found]

    def pieces(self, holder: str) -> list[Piece]:
        with self._store.reading() as connection:
            return [Piece(*row) for row in connection.execute(SELECT_PIECES, {"holder": holder})]

    def upload(self, upload_id: str) -> Upload | None:
        with self._store.reading() as connection:
            row = connection.execute(SELECT_UPLOAD, {"id": upload_id}).first()
        return to_upload(row) if row else None

    def uploads(self, bucket: str) -> list[Upload]:
        """All uploads in progress, by key and then id."""
        with self._store.reading() as connection:
            return [to_upload(row) for row in connection.execute(_UPLOADS, {"bucket": bucket})]

    def known_blobs(self, blob_ids: list[str]) -> set[str]:
        """Those of `blob_ids` that a piece refers to."""
        with self._store.reading() as connection:
            found: set[str] = set()
            for start in range(0, len(blob_ids), 500):
                some = blob_ids[start : start + 500]
                found.update(connection.scalars(select(pieces.c.blob).where(pieces.c.blob.in_(some))))
            return found


def to_bucket(row: Any) -> Bucket:
    name, account, region, created, folder, settings = row
    return Bucket(name, account, region, created, folder, orjson.loads(settings))


def to_object(row: Any) -> StoredObject:
    bucket, key, size, modified, etag, about, tags, *content = row
    tags = orjson.loads(tags) if tags else {}
    return StoredObject(bucket, key.decode(), size, modified, etag, orjson.loads(about), tags, *content)


def to_upload(row: Any) -> Upload:
    tags = orjson.loads(row.tags) if row.tags else {}
    return Upload(row.id, row.bucket, row.key.decode(), row.initiated, row.initiator, orjson.loads(row.about), tags)
