"""Copies: CopyObject, and the source of UploadPartCopy. Bytes go from blob to blob as a stream, unsealed and sealed anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access, changes, checksums, conditions, encryption, metadata, ranges, tagging
from clary.services.s3.contents import LARGEST_PUT_BYTES, Contents, Received
from clary.services.s3.encryption import Encryption
from clary.services.s3.errors import S3Error, invalid_argument, invalid_request
from clary.services.s3.index import Bucket, ObjectIndex, StoredObject
from clary.services.s3.objects import Objects
from clary.services.s3.ranges import Span


@dataclass(frozen=True, slots=True)
class Source:
    """An object to copy from, and how to read it."""

    bucket: Bucket
    stored: StoredObject
    seal: Encryption


class Sources:
    """Finds and opens what `x-amz-copy-source` names."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._objects = Objects(platform)

    async def find(self, ctx: Context, request: dict[str, Any]) -> Source:
        """The source, its conditions checked. Raises what reading it would, and PreconditionFailed."""
        asked = _named(request["CopySource"])
        if "ExpectedSourceBucketOwner" in request:
            asked["ExpectedBucketOwner"] = request["ExpectedSourceBucketOwner"]
        self._authorize(ctx, asked)
        bucket, stored = await self._objects.find(ctx, asked)
        conditions.check_copy(request, stored.etag, stored.modified)
        return Source(bucket, stored, Encryption.recorded(stored.about, request, "CopySource"))

    async def read(self, source: Source, span: Span) -> bytes | AsyncIterator[bytes | bytearray]:
        return await self._objects.read(source.bucket, source.stored, source.seal, span)

    def _authorize(self, ctx: Context, asked: dict[str, Any]) -> None:
        """The gateway checked the caller's right to write; reading the source is a right of its own."""
        authorizer = self._platform.extensions.get("authorizer")
        if authorizer is not None and ctx.identity.kind != "service":
            authorizer.check(ctx, "s3:GetObject", f"arn:aws:s3:::{asked['Bucket']}/{asked['Key']}")


class Copies:
    """CopyObject."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._index = ObjectIndex(platform.resources)
        self._contents = Contents(platform)
        self._sources = Sources(platform)

    @operation("CopyObject")
    async def copy_object(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        access.check_key(request["Key"])
        source = await self._sources.find(ctx, request)
        if source.stored.size > LARGEST_PUT_BYTES:
            raise invalid_request(
                f"The specified copy source is larger than the maximum allowable size for a copy source: {LARGEST_PUT_BYTES}"
            )
        seal = encryption.choose(ctx, bucket, request)
        _check_self_copy(request, source, bucket)
        described = self._described(request, source, bucket, seal)
        body = await self._sources.read(source, ranges.whole(source.stored.size))
        async with self._contents.received(body, bucket.account, seal, algorithm=_algorithm(request, source)) as received:
            stored, garbage = await self._publish(received, described, conditions.ForWriting.of(request))
        self._contents.discard(garbage)
        result = {"ETag": f'"{stored.etag}"', "LastModified": stored.modified, **metadata.checksum_members(stored)}
        return {"CopyObjectResult": result, **seal.members}

    def _described(self, request: dict[str, Any], source: Source, bucket: Bucket, seal: Encryption) -> StoredObject:
        """The new object's row without its content: described by the source or by the request, as the directives say."""
        about = metadata.of_request(request, seal)
        if _directive(request, "MetadataDirective") == "COPY":
            about |= {name: source.stored.about.get(name, {}) for name in ("headers", "metadata")}
        replaced = _directive(request, "TaggingDirective") == "REPLACE"
        tags = tagging.of_header(request.get("Tagging")) if replaced else source.stored.tags
        return StoredObject(bucket.name, request["Key"], source.stored.size, int(self._platform.clock.now()), "", about, tags)

    async def _publish(
        self, received: Received, described: StoredObject, wanted: conditions.ForWriting
    ) -> tuple[StoredObject, list[str]]:
        """The new object, and the blobs of the one that it replaced."""
        stored, pieces = received.object(described)
        garbage = await self._platform.resources.write(lambda tx: changes.put_object(tx.connection, stored, pieces, wanted))
        return stored, garbage


def _algorithm(request: dict[str, Any], source: Source) -> str:
    """Of the copy's checksum, which is over the whole object: as asked for, else the source's."""
    algorithm = request.get("ChecksumAlgorithm") or source.stored.about.get("checksum", {}).get("algorithm", checksums.DEFAULT)
    return checksums.known(algorithm)


def _named(source: Any) -> dict[str, Any]:
    """Bucket, key and version of a copy source: `bucket/key?versionId=id`, percent-encoded, or botocore's dictionary."""
    if isinstance(source, dict):
        return dict(source)
    path, _, version = source.partition("?versionId=")
    bucket, _, key = unquote(path).removeprefix("/").partition("/")
    if not bucket or not key:
        raise invalid_argument("Invalid copy source object key", "x-amz-copy-source", source)
    return {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})


def _directive(request: dict[str, Any], name: str) -> str:
    value = request.get(name, "COPY")
    if value not in ("COPY", "REPLACE"):
        raise invalid_argument(f"Unknown {name}", name, value)
    return value


def _check_self_copy(request: dict[str, Any], source: Source, bucket: Bucket) -> None:
    """A copy onto itself has to change something."""
    same = (source.bucket.name, source.stored.key) == (bucket.name, request["Key"])
    changes_something = _directive(request, "MetadataDirective") == "REPLACE" or any(
        request.get(name)
        for name in ("StorageClass", "ServerSideEncryption", "SSECustomerAlgorithm", "WebsiteRedirectLocation")
    )
    if same and not changes_something:
        raise S3Error(
            400,
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's "
            "metadata, storage class, website redirect location or encryption attributes.",
        )
