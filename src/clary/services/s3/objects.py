"""Objects: put, get, head, delete, attributes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access, changes, checksums, conditions, encryption, metadata, ranges, tagging
from clary.services.s3.contents import Contents
from clary.services.s3.encryption import Encryption
from clary.services.s3.errors import S3Error, invalid_request, no_such_key, not_implemented
from clary.services.s3.index import Bucket, ObjectIndex, StoredObject
from clary.services.s3.mounts import Folders
from clary.services.s3.ranges import Span

_LARGEST_DELETE = 1000
_LARGEST_PAGE = 1000


class Objects:
    """What a client can do with one object, and deleting many."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._index = ObjectIndex(platform.resources)
        self._contents = Contents(platform)

    @operation("PutObject")
    async def put_object(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Store the bytes, verify them, then publish them with one transaction."""
        bucket = access.writable_bucket(self._index, ctx, request)
        access.check_key(request["Key"])
        seal = encryption.choose(ctx, bucket, request)
        about, tags = metadata.of_request(request, seal), tagging.of_header(request.get("Tagging"))
        wanted = conditions.ForWriting.of(request)
        expected = checksums.expected(request, ctx.headers)
        algorithm = expected.algorithm or checksums.DEFAULT
        body = request.get("Body")
        if ctx.headers and getattr(body, "length", 0) is None:
            raise S3Error(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")
        described = StoredObject(bucket.name, request["Key"], 0, int(self._platform.clock.now()), "", about, tags)
        async with self._contents.received(body, bucket.account, seal, algorithm=algorithm, expected=expected) as received:
            stored, pieces = received.object(described)
            garbage = await self._platform.resources.write(lambda tx: changes.put_object(tx.connection, stored, pieces, wanted))
        self._contents.discard(garbage)
        return {"ETag": f'"{stored.etag}"', **seal.members, **metadata.checksum_members(stored)}

    @operation("GetObject", anonymous=True)
    async def get_object(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket, stored = await self.find(ctx, request)
        span, described = self._describe(stored, request)
        return described | {"Body": await self.read(bucket, stored, Encryption.recorded(stored.about, request), span)}

    async def read(
        self, bucket: Bucket, stored: StoredObject, seal: Encryption, span: Span
    ) -> bytes | AsyncIterator[bytes | bytearray]:
        """The bytes of a span of an object that `find` returned."""
        if not bucket.folder:
            return await self._contents.open(stored, bucket.account, seal, span)
        path = await asyncio.to_thread(Folders.path, bucket.folder, stored.key)
        if path is None:
            raise no_such_key(stored.key)
        return self._platform.blobs.read_file(path, span.start, span.length)

    @operation("HeadObject", anonymous=True)
    async def head_object(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        _, stored = await self.find(ctx, request)
        return self._describe(stored, request)[1]

    async def find(self, ctx: Context, request: dict[str, Any]) -> tuple[Bucket, StoredObject]:
        """The object that a read asks for. Raises NoSuchKey and what `access` raises."""
        bucket = access.readable_bucket(self._index, ctx, request)
        access.check_version(request)
        key = request["Key"]
        if bucket.folder:
            stored = await asyncio.to_thread(Folders.find, bucket.folder, key)
        else:
            stored = self._index.object(bucket.name, key)
        if stored is None:
            access.check_key(key)
            raise no_such_key(key)
        return bucket, stored

    def _describe(self, stored: StoredObject, request: dict[str, Any]) -> tuple[Span, dict[str, Any]]:
        """The span that is asked for and the response without its body; conditions are checked on the way."""
        conditions.check_read(request, stored.etag, stored.modified)
        seal = None if "encryption" not in stored.about else Encryption.recorded(stored.about, request)
        span, part = self._span(stored, request)
        described = metadata.members(stored, request, seal) | {"ContentLength": span.length}
        if part is not None and "parts" in stored.about:
            described["PartsCount"] = stored.about["parts"]
        if request.get("ChecksumMode") == "ENABLED" and span.length == stored.size:
            described |= metadata.checksum_members(stored)
        if span.partial:
            status = {"ResponseMetadata": {"HTTPStatusCode": 206}}
            described |= status | ({"ContentRange": span.content_range} if span.length else {})
        return span, described

    def _span(self, stored: StoredObject, request: dict[str, Any]) -> tuple[Span, int | None]:
        """The bytes that `Range` or `PartNumber` select, and the part number."""
        number = request.get("PartNumber")
        if number is None:
            return ranges.of_header(request.get("Range"), stored.size), None
        if "Range" in request:
            raise invalid_request("Cannot specify both Range header and partNumber query parameter")
        sizes = [piece.size for piece in self._contents.pieces(stored)] if "parts" in stored.about else [stored.size]
        return ranges.of_part(number, sizes), number

    @operation("DeleteObject")
    async def delete_object(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        access.check_version(request)
        _refuse_directory_conditions(request)
        wanted = conditions.ForWriting(if_match=request.get("IfMatch"))
        key = request["Key"]
        garbage = await self._platform.resources.write(
            lambda tx: changes.delete_object(tx.connection, bucket.name, key, wanted)
        )
        self._contents.discard(garbage)
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}

    @operation("DeleteObjects")
    async def delete_objects(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """All keys in one transaction; a key that cannot be deleted is reported and does not stop the others."""
        bucket = access.writable_bucket(self._index, ctx, request)
        wanted = request["Delete"]["Objects"]
        if not 1 <= len(wanted) <= _LARGEST_DELETE:
            message = "The XML you provided was not well-formed or did not validate against our published schema"
            raise S3Error(400, "MalformedXML", f"{message}: Delete takes 1 to {_LARGEST_DELETE} objects")
        deleted, errors, garbage = await self._platform.resources.write(lambda tx: _delete_all(tx, bucket.name, wanted))
        self._contents.discard(garbage)
        response: dict[str, Any] = {"Errors": errors} if errors else {}
        if deleted and not request["Delete"].get("Quiet"):
            response["Deleted"] = deleted
        return response

    @operation("GetObjectAttributes")
    async def get_object_attributes(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        _, stored = await self.find(ctx, request)
        Encryption.recorded(stored.about, request)
        known = {
            "ETag": lambda: stored.etag,
            "Checksum": lambda: metadata.checksum_members(stored) or None,
            "ObjectParts": lambda: self._parts(stored, request),
            "StorageClass": lambda: stored.storage_class,
            "ObjectSize": lambda: stored.size,
        }
        asked = [name for name in request["ObjectAttributes"] if name in known]
        answers = {name: known[name]() for name in asked}
        return {"LastModified": stored.modified} | {name: answer for name, answer in answers.items() if answer is not None}

    def _parts(self, stored: StoredObject, request: dict[str, Any]) -> dict[str, Any] | None:
        """A page of an object's parts; the parts themselves are listed when they have checksums of their own."""
        if "parts" not in stored.about:
            return None
        after, limit = int(request.get("PartNumberMarker", 0)), min(request.get("MaxParts", _LARGEST_PAGE), _LARGEST_PAGE)
        rest = [piece for piece in self._contents.pieces(stored) if piece.number > after]
        page = rest[:limit]
        parts: dict[str, Any] = {
            "TotalPartsCount": stored.about["parts"],
            "PartNumberMarker": str(after),
            "NextPartNumberMarker": str(page[-1].number if page else 0),
            "MaxParts": limit,
            "IsTruncated": len(rest) > limit,
        }
        checksum = stored.about.get("checksum")
        if checksum and checksum["type"] == checksums.COMPOSITE:
            name = f"Checksum{checksum['algorithm']}"
            parts["Parts"] = [{"PartNumber": piece.number, "Size": piece.size, name: piece.checksum} for piece in page]
        return parts


def _delete_all(transaction: Any, bucket: str, wanted: list[dict[str, Any]]) -> tuple[list, list, list[str]]:
    """What DeleteObjects deleted and could not delete, and the blobs that are garbage now."""
    deleted, errors, garbage = [], [], []
    for named in wanted:
        key, version = named["Key"], named.get("VersionId")
        answer = {"Key": key} | ({"VersionId": version} if version else {})
        try:
            access.check_version(named)
            _refuse_directory_conditions(
                {"IfMatchLastModifiedTime": named.get("LastModifiedTime"), "IfMatchSize": named.get("Size")}
            )
            garbage += changes.delete_object(transaction.connection, bucket, key, conditions.ForWriting(named.get("ETag")))
        except S3Error as error:
            errors.append(answer | {"Code": error.code, "Message": error.message})
        else:
            deleted.append(answer)
    return deleted, errors, garbage


def _refuse_directory_conditions(request: dict[str, Any]) -> None:
    for member, header in (
        ("IfMatchLastModifiedTime", "x-amz-if-match-last-modified-time"),
        ("IfMatchSize", "x-amz-if-match-size"),
    ):
        if request.get(member) is not None:
            raise not_implemented(header, "only directory buckets have this condition")
