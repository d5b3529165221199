"""Writes to the index. Each function runs on the writer thread, inside one transaction of `ResourceStore.write`.

Functions that take rows away return the ids of the blobs nobody refers to any more; they are deleted after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, delete, insert, literal_column, select, update

from clary.services.s3 import conditions
from clary.services.s3.errors import S3Error, no_such_bucket, no_such_key, no_such_upload
from clary.services.s3.index import (
    SELECT_BUCKET,
    SELECT_UPLOAD,
    Bucket,
    Piece,
    StoredObject,
    Upload,
    buckets,
    objects,
    pieces,
    to_bucket,
    uploads,
)
from clary.storage.resources import Prepared

_THIS_OBJECT = (objects.c.bucket == bindparam("b_bucket")) & (objects.c.key == bindparam("b_key"))
_CURRENT = Prepared(
    select(objects.c.etag, objects.c.holder)
    .select_from(buckets.outerjoin(objects, (objects.c.bucket == buckets.c.name) & (objects.c.key == bindparam("b_key"))))
    .where(buckets.c.name == bindparam("b_bucket"))
)
_INSERT_OBJECT = Prepared(insert(objects))
_UPDATE_OBJECT = Prepared(update(objects).where(_THIS_OBJECT))
_DELETE_OBJECT = Prepared(delete(objects).where(_THIS_OBJECT))
_SET_TAGS = update(objects).where(_THIS_OBJECT).values(tags=bindparam("tags"))
_BLOBS = select(pieces.c.blob).where(pieces.c.holder == bindparam("b_holder"))
_DELETE_PIECES = delete(pieces).where(pieces.c.holder == bindparam("b_holder"))
_ONE_PIECE = (pieces.c.holder == bindparam("b_holder")) & (pieces.c.number == bindparam("b_number"))
_MOVE_PIECE = update(pieces).where(_ONE_PIECE).values(holder=bindparam("to_holder"), number=bindparam("to_number"))


def create_bucket(connection: Connection, bucket: Bucket) -> Bucket | None:
    """Add a bucket, or return the one that has the name already."""
    if row := SELECT_BUCKET.first(connection, {"name": bucket.name}):
        return to_bucket(row)
    connection.execute(
        insert(buckets),
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
    row = SELECT_BUCKET.first(connection, {"name": bucket})
    if row is None:
        raise no_such_bucket(bucket)
    settings = to_bucket(row).settings | {name: value}
    kept = {key: setting for key, setting in settings.items() if setting is not None}
    connection.execute(update(buckets).where(buckets.c.name == bucket).values(settings=_json(kept)))


def delete_bucket(connection: Connection, bucket: str) -> list[str]:
    """Take away an empty bucket and its unfinished uploads. Raises BucketNotEmpty."""
    if connection.execute(select(literal_column("1")).where(objects.c.bucket == bucket).limit(1)).first():
        raise S3Error(409, "BucketNotEmpty", "The bucket you tried to delete is not empty", BucketName=bucket)
    garbage = []
    for upload_id in connection.scalars(select(uploads.c.id).where(uploads.c.bucket == bucket)).all():
        garbage += abort_upload(connection, upload_id)
    connection.execute(delete(buckets).where(buckets.c.name == bucket))
    return garbage


def put_object(
    connection: Connection, new: StoredObject, new_pieces: Sequence[Piece] = (), wanted: conditions.ForWriting = conditions.ANY
) -> list[str]:
    """Publish an object in place of the one with its key, if `wanted` holds for that one."""
    place = {"b_bucket": new.bucket, "b_key": new.key.encode()}
    etag, holder = _current(connection, new.bucket, place)
    wanted.check(new.key, etag)
    statement = _INSERT_OBJECT if etag is None else _UPDATE_OBJECT
    statement.rows(connection, _values(new) | place)
    _insert_pieces(connection, new.holder, new_pieces)
    return _take_pieces(connection, holder)


def delete_object(connection: Connection, bucket: str, key: str, wanted: conditions.ForWriting = conditions.ANY) -> list[str]:
    """Take an object away; a missing one is fine, unless `wanted` says otherwise."""
    place = {"b_bucket": bucket, "b_key": key.encode()}
    etag, holder = _current(connection, bucket, place)
    wanted.check(key, etag)
    if etag is None:
        return []
    _DELETE_OBJECT.rows(connection, place)
    return _take_pieces(connection, holder)


def set_tags(connection: Connection, bucket: str, key: str, tags: dict[str, str]) -> None:
    """Replace an object's tags. Raises NoSuchKey."""
    values = {"b_bucket": bucket, "b_key": key.encode(), "tags": _tags(tags)}
    if connection.execute(_SET_TAGS, values).rowcount == 0:
        raise no_such_key(key)


def create_upload(connection: Connection, upload: Upload) -> None:
    connection.execute(
        insert(uploads),
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
    place = {"b_holder": upload_id, "b_number": part.number}
    replaced = list(connection.scalars(select(pieces.c.blob).where(_ONE_PIECE), place))
    if replaced:
        connection.execute(delete(pieces).where(_ONE_PIECE), place)
    _insert_pieces(connection, upload_id, [part])
    return replaced


def abort_upload(connection: Connection, upload_id: str) -> list[str]:
    """Take away an upload and its parts. Raises NoSuchUpload."""
    _require_upload(connection, upload_id)
    connection.execute(delete(uploads).where(uploads.c.id == upload_id))
    return _take_pieces(connection, upload_id)


def complete_upload(
    connection: Connection, upload_id: str, new: StoredObject, parts: Sequence[Piece], wanted: conditions.ForWriting
) -> list[str]:
    """Publish the object that consists of `parts`, which become its pieces 1, 2, ...; other parts go.

    Raises NoSuchUpload, or InvalidPart when a part was replaced after it was looked up.
    """
    _require_upload(connection, upload_id)
    present = set(connection.scalars(_BLOBS, {"b_holder": upload_id}))
    if any(part.blob not in present for part in parts):
        raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.", UploadId=upload_id)
    garbage = put_object(connection, new, wanted=wanted)
    moves = [
        {"b_holder": upload_id, "b_number": part.number, "to_holder": new.holder, "to_number": number}
        for number, part in enumerate(parts, start=1)
    ]
    connection.execute(_MOVE_PIECE, moves)
    return garbage + abort_upload(connection, upload_id)


def _current(connection: Connection, bucket: str, place: dict[str, Any]) -> tuple[str | None, str | None]:
    """ETag and holder of what is there now, None when nothing is. Raises NoSuchBucket."""
    row = _CURRENT.first(connection, place)
    if row is None:
        raise no_such_bucket(bucket)
    etag, holder = row
    return etag, holder


def _require_upload(connection: Connection, upload_id: str) -> None:
    if connection.execute(SELECT_UPLOAD, {"id": upload_id}).first() is None:
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
    if rows:
        connection.execute(insert(pieces), rows)


def _take_pieces(connection: Connection, holder: str | None) -> list[str]:
    if not holder:
        return []
    blobs = list(connection.scalars(_BLOBS, {"b_holder": holder}))
    connection.execute(_DELETE_PIECES, {"b_holder": holder})
    return blobs


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
