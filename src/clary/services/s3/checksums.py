"""Checksums of objects and parts: one pass over the bytes, compared with what the client sent, kept and combined.

CRCs and XXHash come from awscrt, which botocore's own CRT support uses; it is imported at the first upload.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from clary.services.s3.errors import S3Error, bad_digest, invalid_request

DEFAULT = "CRC64NVME"
"""What S3 computes for an upload that names no algorithm."""
COMPOSITE = "COMPOSITE"
FULL_OBJECT = "FULL_OBJECT"
_CRC_BYTES = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8}
_HASHES = {"SHA1": "sha1", "SHA256": "sha256", "SHA512": "sha512", "MD5": "md5"}
_XXHASHES = {"XXHASH64": "new_xxhash64", "XXHASH3": "new_xxhash3_64", "XXHASH128": "new_xxhash3_128"}
ALGORITHMS = (*_CRC_BYTES, *_HASHES, *_XXHASHES)


def known(algorithm: str) -> str:
    """The name of an algorithm, checked. Raises InvalidRequest."""
    if algorithm not in ALGORITHMS:
        raise invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types")
    return algorithm


class Digest(Protocol):
    """What hashlib's objects do, as far as it is used here."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class Crc:
    """A CRC with hashlib's methods."""

    def __init__(self, function: Callable[[Any, int], int], width: int):
        self._function = function
        self._width = width
        self._value = 0

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._width, "big")


class XxHash:
    """An XXHash with hashlib's methods."""

    def __init__(self, algorithm: str):
        from awscrt.checksums import XXHash

        self._hash = getattr(XXHash, _XXHASHES[algorithm])()

    def update(self, data: bytes | memoryview, /) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        return bytes(self._hash.finalize())


def new(algorithm: str) -> Digest:
    """An empty digest of one of `ALGORITHMS`."""
    if algorithm in _HASHES:
        return hashlib.new(_HASHES[algorithm], usedforsecurity=False)
    if algorithm in _XXHASHES:
        return XxHash(algorithm)
    if algorithm == "CRC32":
        return Crc(zlib.crc32, _CRC_BYTES[algorithm])  # twice as fast as awscrt's
    from awscrt import checksums

    return Crc(getattr(checksums, algorithm.lower()), _CRC_BYTES[algorithm])


class Digests:
    """MD5 (the entity tag) and checksums, fed together."""

    def __init__(self, *algorithms: str):
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksums = {algorithm: new(algorithm) for algorithm in algorithms}

    def update(self, data: bytes | memoryview) -> None:
        self._md5.update(data)
        self._update_checksums(data)

    @property
    def parts(self) -> tuple[Callable[[memoryview], None], ...]:
        """`update` in parts that may run at the same time. MD5 takes as long as all the others."""
        return self._md5.update, self._update_checksums

    def _update_checksums(self, data: bytes | memoryview) -> None:
        for digest in self._checksums.values():
            digest.update(data)

    @property
    def md5(self) -> bytes:
        return self._md5.digest()

    def hex(self, algorithm: str) -> str:
        return self._checksums[algorithm].digest().hex()

    def value(self, algorithm: str) -> str:
        """The checksum as clients see it, base64."""
        return base64.b64encode(self._checksums[algorithm].digest()).decode()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the client says the bytes add up to. `value` None: it comes in the trailer of the body."""

    algorithm: str | None = None
    value: str | None = None
    md5: bytes | None = None

    def check(self, digests: Digests, trailers: Mapping[str, str]) -> None:
        """Raises BadDigest, or MalformedTrailerError when the announced trailer did not come."""
        if self.md5 is not None and self.md5 != digests.md5:
            message = "The Content-MD5 you specified did not match what we received."
            raise bad_digest(message, ExpectedDigest=self.md5.hex(), CalculatedDigest=digests.md5.hex())
        if self.algorithm is None:
            return
        value = self.value or trailers.get(f"x-amz-checksum-{self.algorithm.lower()}")
        if value is None:
            raise S3Error(400, "MalformedTrailerError", "The request contained trailing data that was not well-formed.")
        if value != digests.value(self.algorithm):
            raise bad_digest(f"The {self.algorithm} you specified did not match the calculated checksum.")


def expected(request: dict[str, Any], headers: Mapping[str, str]) -> Expected:
    """What an upload promises, from the request's members and, for trailers, its `x-amz-trailer` header.

    Raises InvalidDigest, or InvalidRequest for values that are malformed, several, or announced and missing.
    """
    md5 = _content_md5(request.get("ContentMD5"))
    given = of_members(request)
    if given is not None:
        return Expected(*given, md5)
    trailer = headers.get("x-amz-trailer", "").strip().lower()
    if trailer:
        algorithm = trailer.removeprefix("x-amz-checksum-").upper()
        if algorithm not in ALGORITHMS:
            raise invalid_request(f"The value specified in the x-amz-trailer header is not supported: {trailer}")
        return Expected(algorithm, None, md5)
    if headers.get("x-amz-sdk-checksum-algorithm"):
        raise invalid_request(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
        )
    return Expected(md5=md5)


def check_document(headers: Mapping[str, str], body: bytes, trailers: Mapping[str, str]) -> None:
    """Compare a request's document (`DeleteObjects`, `PutObjectTagging`) with the checksums in its headers or trailers.

    Their models name the header only as a requirement, so no handler sees it. Raises what `expected` and `Expected.check` do.
    """
    members: dict[str, Any] = {
        f"Checksum{algorithm}": headers[name]
        for algorithm in ALGORITHMS
        if (name := f"x-amz-checksum-{algorithm.lower()}") in headers
    }
    if "content-md5" in headers:
        members["ContentMD5"] = headers["content-md5"]
    promise = expected(members, headers)
    digests = Digests(*([promise.algorithm] if promise.algorithm else []))
    digests.update(body)
    promise.check(digests, trailers)


def of_members(request: dict[str, Any]) -> tuple[str, str] | None:
    """The one algorithm and value among `ChecksumCRC32`, `ChecksumSHA256`, ... of a request, if any."""
    given = [(algorithm, request[member]) for algorithm in ALGORITHMS if (member := f"Checksum{algorithm}") in request]
    if not given:
        return None
    if len(given) > 1:
        raise invalid_request("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    algorithm, value = given[0]
    text, _, count = value.partition("-")
    if _decoded_bytes(text) != len(new(algorithm).digest()) or (count and not count.isdigit()):
        raise invalid_request(f"Value for x-amz-checksum-{algorithm.lower()} header is invalid.")
    return algorithm, value


def _content_md5(text: str | None) -> bytes | None:
    if text is None:
        return None
    if _decoded_bytes(text) != 16:
        raise S3Error(400, "InvalidDigest", "The Content-MD5 you specified was invalid.", ContentMD5=text)
    return base64.b64decode(text)


def _decoded_bytes(text: str) -> int:
    """How many bytes a base64 text stands for, -1 when it is none."""
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return -1


def multipart_type(algorithm: str, asked: str | None) -> str:
    """The checksum type of a multipart upload. Raises InvalidRequest for a pair that S3 does not have."""
    kind = asked or (FULL_OBJECT if algorithm == DEFAULT else COMPOSITE)
    possible = {COMPOSITE, FULL_OBJECT} if algorithm in _CRC_BYTES else {COMPOSITE}
    if algorithm == DEFAULT:
        possible = {FULL_OBJECT}
    if kind not in possible:
        raise invalid_request(f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.")
    return kind


def composite(algorithm: str, parts: Sequence[str]) -> str:
    """The checksum of the parts' checksums, with their number."""
    digest = new(algorithm)
    for part in parts:
        digest.update(base64.b64decode(part))
    return f"{base64.b64encode(digest.digest()).decode()}-{len(parts)}"


def full_object(algorithm: str, parts: Sequence[tuple[str, int]]) -> str:
    """The CRC of the whole from the parts' (CRC, size in bytes), without their bytes."""
    from awscrt import checksums

    combine = getattr(checksums, f"combine_{algorithm.lower()}")
    value = 0
    for part, size in parts:
        value = combine(value, int.from_bytes(base64.b64decode(part), "big"), size)
    return base64.b64encode(value.to_bytes(_CRC_BYTES[algorithm], "big")).decode()


def members(checksum: dict[str, str] | None) -> dict[str, str]:
    """An object's recorded checksum as response members."""
    if not checksum:
        return {}
    return {f"Checksum{checksum['algorithm']}": checksum["value"], "ChecksumType": checksum["type"]}
