"""Tags of buckets and objects."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access, changes
from clary.services.s3.errors import S3Error, invalid_argument, no_such_key
from clary.services.s3.index import ObjectIndex

BUCKET_TAGS = 50
OBJECT_TAGS = 10
_LARGEST_KEY = 128
_LARGEST_VALUE = 256


class Tagging:
    """The `?tagging` of buckets and of objects."""

    def __init__(self, platform: Platform):
        self._store = platform.resources
        self._index = ObjectIndex(platform.resources)

    @operation("PutBucketTagging")
    async def put_bucket_tagging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        tags = of_set(request["Tagging"]["TagSet"], BUCKET_TAGS)
        await self._store.write(lambda tx: changes.change_settings(tx.connection, bucket.name, "tags", tags or None))
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}

    @operation("GetBucketTagging")
    def get_bucket_tagging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.owned_bucket(self._index, ctx, request)
        if not (tags := bucket.settings.get("tags")):
            raise S3Error(404, "NoSuchTagSet", "The TagSet does not exist", BucketName=bucket.name)
        return {"TagSet": to_set(tags)}

    @operation("DeleteBucketTagging")
    async def delete_bucket_tagging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        await self._store.write(lambda tx: changes.change_settings(tx.connection, bucket.name, "tags", None))
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}

    @operation("PutObjectTagging")
    async def put_object_tagging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._set(ctx, request, of_set(request["Tagging"]["TagSet"], OBJECT_TAGS))
        return {}

    @operation("DeleteObjectTagging")
    async def delete_object_tagging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        await self._set(ctx, request, {})
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}

    @operation("GetObjectTagging")
    def get_object_tagging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.owned_bucket(self._index, ctx, request)
        access.check_version(request)
        stored = self._index.object(bucket.name, request["Key"])
        if stored is None and not bucket.folder:
            raise no_such_key(request["Key"])
        return {"TagSet": to_set(stored.tags) if stored else []}

    async def _set(self, ctx: Context, request: dict[str, Any], tags: dict[str, str]) -> None:
        bucket = access.writable_bucket(self._index, ctx, request)
        access.check_version(request)
        await self._store.write(lambda tx: changes.set_tags(tx.connection, bucket.name, request["Key"], tags))


def of_header(text: str | None) -> dict[str, str]:
    """The tags of an `x-amz-tagging` header, which is encoded like a query string. Raises InvalidArgument or InvalidTag."""
    if not text:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError as error:
        message = (
            "The header 'x-amz-tagging' shall be encoded as UTF-8 "
            "then URLEncoded URL query parameters without tag name duplicates."
        )
        raise invalid_argument(message, "x-amz-tagging", text) from error
    return _checked(pairs, OBJECT_TAGS)


def of_set(tag_set: list[dict[str, str]], limit: int) -> dict[str, str]:
    """The tags of a `TagSet`. Raises InvalidTag or BadRequest."""
    return _checked([(tag["Key"], tag["Value"]) for tag in tag_set], limit)


def to_set(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _checked(pairs: Iterable[tuple[str, str]], limit: int) -> dict[str, str]:
    tags: dict[str, str] = {}
    for key, value in pairs:
        if key in tags:
            raise _invalid_tag("Cannot provide multiple Tags with the same key", key)
        if not 1 <= len(key) <= _LARGEST_KEY:
            raise _invalid_tag("The TagKey you have provided is invalid", key)
        if len(value) > _LARGEST_VALUE:
            raise S3Error(400, "InvalidTag", "The TagValue you have provided is invalid", TagKey=key, TagValue=value)
        if key.lower().startswith("aws:"):
            raise _invalid_tag("System tags cannot be added/updated by requester", key)
        tags[key] = value
    if len(tags) > limit:
        what = "Object" if limit == OBJECT_TAGS else "Bucket"
        raise S3Error(400, "BadRequest", f"{what} tags cannot be greater than {limit}")
    return tags


def _invalid_tag(message: str, key: str) -> S3Error:
    return S3Error(400, "InvalidTag", message, TagKey=key)
