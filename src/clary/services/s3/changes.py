"""Writes to the index. Each function runs on the writer thread, inside one transaction of `ResourceStore.write`.

Functions that take rows away return the ids of the blobs nobody refers to any more; they are deleted after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from clary.services.s3 import conditions
from clary.services.s3.errors import S3Error, no_such_bucket, no_such_key, no_such_upload
from clary.services.s3.index import Bucket, Piece, StoredObject, Upload, find_bucket, find_upload
from clary.storage.resources import Connection

_INSERT_BUCKET = """INSERT INTO s3_buckets (name, account, region, created, folder, settings)
    VALUES (:name, :account, :region, :created, :folder, :settings)"""
_CURRENT = """SELECT s3_objects.etag, s3_objects.holder
    FROM s3_buckets LEFT JOIN s3_objects ON s3_objects.bucket = s3_buckets.name AND s3_objects.key = :key
    WHERE s3_buckets.name = :bucket"""
_INSERT_OBJECT = """INSERT INTO s3_objects (bucket, key, size, modified, etag, about, tags, holder, data_key, data)
    VALUES (:bucket, :key, :size, :modified, :etag, :about, :tags, :holder, :data_key, :data)"""
_UPDATE_OBJECT = """UPDATE s3_objects SET size = :size, modified = :modified, etag = :etag, about = :about, tags = :tags,
    holder = :holder, data_key = :data_key, data = :data WHERE bucket = :bucket AND key = :key"""
_INSERT_UPLOAD = """INSERT INTO s3_uploads (id, bucket, key, initiated, initiator, about, tags)
    VALUES (:id, :bucket, :key, :initiated, :initiator, :about, :tags)"""
_INSERT_PIECE = """INSERT INTO s3_pieces (holder, number, blob, size, data_key, modified, etag, checksum)
    VALUES (:holder, :number, :blob, :size, :data_key, :modified, :etag, :checksum)"""
_MOVE_PIECE = "UPDATE s3_pieces SET holder = :to_holder, number = :to_number WHERE holder = :holder AND number = :number"


def create_bucket(connection: Connection, bucket: Bucket) -> Bucket | None:
    """Add a bucket, or return the one that has the name already."""
    if existing := find_bucket(connection, bucket.name):
        return existing
    connection.execute(
        _INSERT_BUCKET,
        {
            "name": bucket.name,
            "account": bucket.account,
            "region": bucket.region,
            "created": bucket.created,
            "folder": bucket.folder,
            "settings": _json(bucket.settings),
        },
    )
    return None


def change_settings(connection: Connection, bucket: str, name: str, value: Any) -> None:
    """Set a bucket's setting, or take it away with None. Raises NoSuchBucket."""
    current = find_bucket(connection, bucket)
    if current is None:
        raise no_such_bucket(bucket)
    settings = current.settings | {name: value}
    kept = {key: setting for key, setting in settings.items() if setting is not None}
    connection.execute(
        "UPDATE s3_buckets SET settings = :settings WHERE name = :name", {"name": bucket, "settings": _json(kept)}
    )


def delete_bucket(connection: Connection, bucket: str) -> list[str]:
    """Take away an empty bucket and its unfinished uploads. Raises BucketNotEmpty."""
    if connection.execute("SELECT 1 FROM s3_objects WHERE bucket = :bucket LIMIT 1", {"bucket": bucket}).fetchone():
        raise S3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=bucket)
    garbage = []
    for (upload_id,) in connection.execute("SELECT id FROM s3_uploads WHERE bucket = :bucket", {"bucket": bucket}).fetchall():
        garbage += abort_upload(connection, upload_id)
    connection.execute("DELETE FROM s3_buckets WHERE name = :name", {"name": bucket})
    return garbage


def put_object(
    connection: Connection, new: StoredObject, new_pieces: Sequence[Piece] = (), wanted: conditions.ForWriting = conditions.ANY
) -> list[str]:
    """Publish an object in place of the one with its key, if `wanted` holds for that one."""
    values = _values(new)
    etag, holder = _current(connection, new.bucket, values)
    wanted.check(new.key, etag)
    connection.execute(_INSERT_OBJECT if etag is None else _UPDATE_OBJECT, values)
    _insert_pieces(connection, new.holder, new_pieces)
    return _take_pieces(connection, holder)


def delete_object(connection: Connection, bucket: str, key: str, wanted: conditions.ForWriting = conditions.ANY) -> list[str]:
    """Take an object away; a missing one is fine, unless `wanted` says otherwise."""
    place = {"bucket": bucket, "key": key.encode()}
    etag, holder = _current(connection, bucket, place)
    wanted.check(key, etag)
    if etag is None:
        return []
    connection.execute("DELETE FROM s3_objects WHERE bucket = :bucket AND key = :key", place)
    return _take_pieces(connection, holder)


def set_tags(connection: Connection, bucket: str, key: str, tags: dict[str, str]) -> None:
    """Replace an object's tags. Raises NoSuchKey."""
    values = {"bucket": bucket, "key": key.encode(), "tags": _tags(tags)}
    statement = "UPDATE s3_objects SET tags = :tags WHERE bucket = :bucket AND key = :key"
    if connection.execute(statement, values).rowcount == 0:
        raise no_such_key(key)


def create_upload(connection: Connection, upload: Upload) -> None:
    connection.execute(
        _INSERT_UPLOAD,
        {
            "id": upload.id,
            "bucket": upload.bucket,
            "key": upload.key.encode(),
            "initiated": upload.initiated,
            "initiator": upload.initiator,
            "about": _json(upload.about),
            "tags": _tags(upload.tags),
        },
    )


def put_part(connection: Connection, upload_id: str, part: Piece) -> list[str]:
    """Add a part, in place of the one with its number. Raises NoSuchUpload when the upload ended meanwhile."""
    _require_upload(connection, upload_id)
    place = {"holder": upload_id, "number": part.number}
    rows = connection.execute("SELECT blob FROM s3_pieces WHERE holder = :holder AND number = :number", place)
    replaced = [blob for (blob,) in rows]
    connection.execute("DELETE FROM s3_pieces WHERE holder = :holder AND number = :number", place)
    _insert_pieces(connection, upload_id, [part])
    return replaced


def abort_upload(connection: Connection, upload_id: str) -> list[str]:
    """Take away an upload and its parts. Raises NoSuchUpload."""
    _require_upload(connection, upload_id)
    connection.execute("DELETE FROM s3_uploads WHERE id = :id", {"id": upload_id})
    return _take_pieces(connection, upload_id)


def complete_upload(
    connection: Connection, upload_id: str, new: StoredObject, parts: Sequence[Piece], wanted: conditions.ForWriting
) -> list[str]:
    """Publish the object that consists of `parts`, which become its pieces 1, 2, ...; other parts go.

    Raises NoSuchUpload, or InvalidPart when a part was replaced after it was looked up.
    """
    _require_upload(connection, upload_id)
    present = set(_blobs(connection, upload_id))
    if any(part.blob not in present for part in parts):
        raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.", UploadId=upload_id)
    garbage = put_object(connection, new, wanted=wanted)
    moves = [
        {"holder": upload_id, "number": part.number, "to_holder": new.holder, "to_number": number}
        for number, part in enumerate(parts, start=1)
    ]
    connection.executemany(_MOVE_PIECE, moves)
    return garbage + abort_upload(connection, upload_id)


def _current(connection: Connection, bucket: str, place: dict[str, Any]) -> tuple[str | None, str | None]:
    """ETag and holder of what is there now, None when nothing is. Raises NoSuchBucket."""
    row = connection.execute(_CURRENT, place).fetchone()
    if row is None:
        raise no_such_bucket(bucket)
    etag, holder = row
    return etag, holder


def _require_upload(connection: Connection, upload_id: str) -> None:
    if find_upload(connection, upload_id) is None:
        raise no_such_upload(upload_id)


def _insert_pieces(connection: Connection, holder: str, new: Iterable[Piece]) -> None:
    rows = [
        {
            "holder": holder,
            "number": piece.number,
            "blob": piece.blob,
            "size": piece.size,
            "data_key": piece.data_key,
            "modified": piece.modified,
            "etag": piece.etag,
            "checksum": piece.checksum,
        }
        for piece in new
    ]
    connection.executemany(_INSERT_PIECE, rows)


def _take_pieces(connection: Connection, holder: str | None) -> list[str]:
    if not holder:
        return []
    blobs = _blobs(connection, holder)
    connection.execute("DELETE FROM s3_pieces WHERE holder = :holder", {"holder": holder})
    return blobs


def _blobs(connection: Connection, holder: str) -> list[str]:
    return [blob for (blob,) in connection.execute("SELECT blob FROM s3_pieces WHERE holder = :holder", {"holder": holder})]


def _values(stored: StoredObject) -> dict[str, Any]:
    return {
        "bucket": stored.bucket,
        "key": stored.key.encode(),
        "size": stored.size,
        "modified": stored.modified,
        "etag": stored.etag,
        "about": _json(stored.about),
        "tags": _tags(stored.tags),
        "holder": stored.holder,
        "data_key": stored.data_key,
        "data": stored.data,
    }


def _tags(tags: dict[str, str]) -> str:
    return _json(tags) if tags else ""


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
