"""Multipart uploads: create, upload and copy parts, list, complete, abort. Completing moves rows and copies no bytes."""

from __future__ import annotations

import hashlib
from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access, changes, checksums, conditions, encryption, metadata, parts, ranges, tagging
from clary.services.s3.contents import Contents, new_holder
from clary.services.s3.copy import Sources
from clary.services.s3.encryption import Encryption
from clary.services.s3.errors import invalid_argument, invalid_request, not_implemented
from clary.services.s3.index import Bucket, ObjectIndex, Piece, StoredObject, Upload

LARGEST_PART_NUMBER = 10_000


class MultipartUploads:
    """What a client can do with an upload in parts, apart from looking at it (`parts.py`)."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._index = ObjectIndex(platform.resources)
        self._contents = Contents(platform)
        self._sources = Sources(platform)

    @operation("CreateMultipartUpload")
    async def create_multipart_upload(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        access.check_key(request["Key"])
        seal = encryption.choose(ctx, bucket, request)
        algorithm = checksums.known(request.get("ChecksumAlgorithm", checksums.DEFAULT))
        kind = checksums.multipart_type(algorithm, request.get("ChecksumType"))
        upload = Upload(
            id=new_holder(),
            bucket=bucket.name,
            key=request["Key"],
            initiated=int(self._platform.clock.now()),
            initiator=ctx.identity.arn,
            about=metadata.of_request(request, seal) | {"checksum": {"algorithm": algorithm, "type": kind}},
            tags=tagging.of_header(request.get("Tagging")),
        )
        await self._platform.resources.write(lambda tx: changes.create_upload(tx.connection, upload))
        said = {"ChecksumAlgorithm": algorithm, "ChecksumType": kind} if "ChecksumAlgorithm" in request else {}
        return {"Bucket": bucket.name, "Key": upload.key, "UploadId": upload.id, **seal.members, **said}

    @operation("UploadPart")
    async def upload_part(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        upload = parts.find_upload(self._index, bucket, request)
        expected = checksums.expected(request, ctx.headers)
        algorithm = upload.about["checksum"]["algorithm"]
        if expected.algorithm not in (None, algorithm) and algorithm != checksums.DEFAULT:
            raise invalid_request(
                f"Checksum Type mismatch occurred, expected checksum Type: {algorithm.lower()}, "
                f"actual checksum Type: {expected.algorithm.lower()}"
            )
        seal, part = await self._store_part(bucket, upload, request, request.get("Body"), expected)
        return {"ETag": f'"{part.etag}"', f"Checksum{algorithm}": part.checksum, **seal.members}

    @operation("UploadPartCopy")
    async def upload_part_copy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        upload = parts.find_upload(self._index, bucket, request)
        source = await self._sources.find(ctx, request)
        span = ranges.of_copy(request.get("CopySourceRange"), source.stored.size)
        body = await self._sources.read(source, span)
        seal, part = await self._store_part(bucket, upload, request, body, checksums.Expected())
        algorithm = upload.about["checksum"]["algorithm"]
        result = {"ETag": f'"{part.etag}"', "LastModified": part.modified, f"Checksum{algorithm}": part.checksum}
        return {"CopyPartResult": result, **seal.members}

    async def _store_part(
        self, bucket: Bucket, upload: Upload, request: dict[str, Any], body: Any, expected: checksums.Expected
    ) -> tuple[Encryption, Piece]:
        number = request["PartNumber"]
        if not 1 <= number <= LARGEST_PART_NUMBER:
            message = f"Part number must be an integer between 1 and {LARGEST_PART_NUMBER}, inclusive"
            raise invalid_argument(message, "partNumber", number)
        seal = Encryption.recorded(upload.about, request)
        algorithm = upload.about["checksum"]["algorithm"]
        async with self._contents.received(
            body, bucket.account, seal, algorithm=algorithm, expected=expected, inline=False
        ) as received:
            part = received.piece(number, int(self._platform.clock.now()))
            garbage = await self._platform.resources.write(lambda tx: changes.put_part(tx.connection, upload.id, part))
        self._contents.discard(garbage)
        return seal, part

    @operation("CompleteMultipartUpload")
    async def complete_multipart_upload(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        upload = parts.find_upload(self._index, bucket, request)
        chosen = parts.chosen(upload, self._index.pieces(upload.id), request)
        stored = self._completed(upload, chosen)
        _check_whole(stored, request)
        wanted = conditions.ForWriting.of(request)
        garbage = await self._platform.resources.write(
            lambda tx: changes.complete_upload(tx.connection, upload.id, stored, chosen, wanted)
        )
        self._contents.discard(garbage)
        return {
            "Location": f"/{bucket.name}/{upload.key}",
            "Bucket": bucket.name,
            "Key": upload.key,
            "ETag": f'"{stored.etag}"',
            **Encryption(**upload.about["encryption"]).members,
            **metadata.checksum_members(stored),
        }

    def _completed(self, upload: Upload, chosen: list[Piece]) -> StoredObject:
        """The object that the chosen parts make up."""
        algorithm, kind = upload.about["checksum"]["algorithm"], upload.about["checksum"]["type"]
        if kind == checksums.COMPOSITE:
            value = checksums.composite(algorithm, [part.checksum for part in chosen])
        else:
            value = checksums.full_object(algorithm, [(part.checksum, part.size) for part in chosen])
        checksum = {"algorithm": algorithm, "value": value, "type": kind}
        digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in chosen), usedforsecurity=False)
        return StoredObject(
            bucket=upload.bucket,
            key=upload.key,
            size=sum(part.size for part in chosen),
            modified=int(self._platform.clock.now()),
            etag=f"{digest.hexdigest()}-{len(chosen)}",
            about=upload.about | {"checksum": checksum, "parts": len(chosen)},
            tags=upload.tags,
            holder=new_holder(),
        )

    @operation("AbortMultipartUpload")
    async def abort_multipart_upload(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("IfMatchInitiatedTime") is not None:
            raise not_implemented("x-amz-if-match-initiated-time", "it is a condition of directory buckets; leave it out")
        bucket = access.writable_bucket(self._index, ctx, request)
        upload = parts.find_upload(self._index, bucket, request)
        garbage = await self._platform.resources.write(lambda tx: changes.abort_upload(tx.connection, upload.id))
        self._contents.discard(garbage)
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}


def _check_whole(stored: StoredObject, request: dict[str, Any]) -> None:
    """What the client says about the whole object. Raises InvalidRequest or BadDigest."""
    if request.get("MpuObjectSize") not in (None, stored.size):
        given = request["MpuObjectSize"]
        raise invalid_request(
            f"The provided 'x-amz-mp-object-size' header value {given} does not match what was computed: {stored.size}"
        )
    if stored.size > parts.LARGEST_OBJECT_BYTES:
        raise parts.object_too_large(stored.size)
    checksum = stored.about["checksum"]
    if request.get("ChecksumType") not in (None, checksum["type"]):
        raise invalid_request(
            f"The upload was created using the {checksum['type']} checksum type, not {request['ChecksumType']}"
        )
    given = checksums.of_members(request)
    if given is not None and given != (checksum["algorithm"], checksum["value"]):
        raise checksums.bad_digest(f"The {given[0]} you specified did not match the calculated checksum.")
