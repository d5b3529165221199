"""What is kept beside an object's bytes: system headers, user metadata, storage class."""

from __future__ import annotations

from typing import Any

from clary.services.s3 import access, checksums
from clary.services.s3.conditions import seconds
from clary.services.s3.encryption import Encryption
from clary.services.s3.errors import S3Error, not_implemented
from clary.services.s3.index import StoredObject

LARGEST_METADATA_BYTES = 2048
_HEADERS = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Expires")
_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
_STORAGE_CLASSES = {"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
_ARCHIVES = {"GLACIER", "DEEP_ARCHIVE"}
_DEFAULT_TYPE = "binary/octet-stream"


def of_request(request: dict[str, Any], encryption: Encryption) -> dict[str, Any]:
    """The `about` of a new object. Raises NotImplemented, InvalidStorageClass or MetadataTooLarge."""
    access.refuse_object_extras(request)
    about: dict[str, Any] = {"encryption": encryption.record, "storage_class": storage_class(request)}
    return about | described(request)


def described(request: dict[str, Any]) -> dict[str, Any]:
    """The part of `about` that a copy may take over from its source: headers and user metadata."""
    headers = {name: _plain(name, request[name]) for name in _HEADERS if name in request}
    headers = {name: value for name, value in headers.items() if value not in ("", None)}
    metadata = request.get("Metadata", {})
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > LARGEST_METADATA_BYTES:
        message = "Your metadata headers exceed the maximum allowed metadata size"
        raise S3Error(400, "MetadataTooLarge", message, Size=size, MaxSizeAllowed=LARGEST_METADATA_BYTES)
    return {"headers": headers, "metadata": metadata}


def storage_class(request: dict[str, Any]) -> str:
    name = request.get("StorageClass", "STANDARD")
    if name in _ARCHIVES:
        raise not_implemented("x-amz-storage-class", f"{name}: archived objects cannot be restored yet")
    if name not in _STORAGE_CLASSES:
        message = "The storage class you specified is not valid"
        raise S3Error(400, "InvalidStorageClass", message, StorageClassRequested=name)
    return name


def members(stored: StoredObject, request: dict[str, Any], encryption: Encryption | None) -> dict[str, Any]:
    """What GetObject and HeadObject say about an object, apart from its length and range."""
    said = {
        "AcceptRanges": "bytes",
        "ETag": f'"{stored.etag}"',
        "LastModified": stored.modified,
        "ContentType": _DEFAULT_TYPE,
        "Metadata": stored.about.get("metadata", {}),
        **stored.about.get("headers", {}),
        **(encryption.members if encryption else {}),
    }
    said |= {member: _plain(member, request[asked]) for asked, member in _OVERRIDES.items() if asked in request}
    if stored.storage_class != "STANDARD":
        said["StorageClass"] = stored.storage_class
    if stored.tags:
        said["TagCount"] = len(stored.tags)
    return said


def checksum_members(stored: StoredObject) -> dict[str, str]:
    return checksums.members(stored.about.get("checksum"))


def _plain(name: str, value: Any) -> Any:
    """As it is kept in JSON: dates as epoch seconds, encodings without the transfer's own `aws-chunked`."""
    if name.endswith("Expires"):
        return value if isinstance(value, str) else int(seconds(value))
    if name == "ContentEncoding":
        return ",".join(part.strip() for part in value.split(",") if part.strip() != "aws-chunked")
    return value
