"""Lists of objects: ListObjects (v1), ListObjectsV2, ListObjectVersions.

A list with a delimiter jumps over each common prefix in the index, so it costs what it shows and not what it hides.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access
from clary.services.s3.buckets import owner
from clary.services.s3.errors import invalid_argument
from clary.services.s3.index import Bucket, ObjectIndex, StoredObject
from clary.services.s3.mounts import Folders

LARGEST_PAGE = 1000
_END = b"\xff"
"""After every key: no byte of UTF-8 is 0xff."""
_FIRST_SCAN = 64

Scan = Callable[[bytes, bytes, int], Sequence[StoredObject]]
"""`scan(start, end, limit)`: up to `limit` objects with start <= key < end, in key order."""


@dataclass(slots=True)
class Page:
    """Objects and common prefixes, in order. `next` is where the next page starts, empty at the end."""

    contents: list[StoredObject] = field(default_factory=list)
    prefixes: list[bytes] = field(default_factory=list)
    last: bytes = b""
    next: bytes = b""

    def __len__(self) -> int:
        return len(self.contents) + len(self.prefixes)


def page_of(scan: Scan, prefix: bytes, delimiter: bytes, start: bytes, limit: int) -> Page:
    """The page of at most `limit` entries from `start` on."""
    page, position, end = Page(), max(start, prefix), _after_all(prefix)
    batch = min(_FIRST_SCAN, limit + 1) if delimiter else limit + 1
    while position < end:
        rows, before = scan(position, end, batch), len(page)
        for stored in rows:
            key = stored.key.encode()
            if key < position:
                continue  # under the common prefix that was just added
            if len(page) == limit:
                page.next = position
                return page
            position = _add(page, stored, key, _common_prefix(key, prefix, delimiter))
        if len(rows) < batch:
            break
        batch = min(limit + 1, 2 * (len(page) - before))
    return page


def _add(page: Page, stored: StoredObject, key: bytes, common: bytes) -> bytes:
    """Add an entry; returns where to go on."""
    page.last = common or key
    if common:
        page.prefixes.append(common)
        return _after_all(common)
    page.contents.append(stored)
    return key + b"\0"


def _common_prefix(key: bytes, prefix: bytes, delimiter: bytes) -> bytes:
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    return key[: at + len(delimiter)] if at >= 0 else b""


def _after_all(prefix: bytes) -> bytes:
    """The first string after all that begin with `prefix`."""
    return prefix[:-1] + bytes([prefix[-1] + 1]) if prefix else _END


def _after(marker: bytes, prefix: bytes, delimiter: bytes) -> bytes:
    """Where a list goes on after `marker`, which may be a common prefix of an earlier page."""
    if not marker:
        return b""
    is_common = marker.startswith(prefix) and _common_prefix(marker, prefix, delimiter) == marker
    return _after_all(marker) if is_common else marker + b"\0"


@dataclass(frozen=True, slots=True)
class Answer:
    """A page on its way out: `said` is what all three lists say about it, `spell` how this one spells keys."""

    page: Page
    spell: Callable[[str], str]
    said: dict[str, Any]

    def entries(self, shown_owner: dict[str, str] | None) -> list[dict[str, Any]]:
        return [_summary(stored, self.spell, shown_owner) for stored in self.page.contents]


class Listing:
    """The three lists of a bucket's objects."""

    def __init__(self, platform: Platform):
        self._index = ObjectIndex(platform.resources)

    @operation("ListObjects", anonymous=True)
    async def list_objects(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket, marker = access.readable_bucket(self._index, ctx, request), request.get("Marker", "")
        answer = await self._answer(bucket, request, marker=marker)
        response = answer.said | {"Marker": answer.spell(marker), "Contents": answer.entries(owner(bucket.account))}
        if answer.page.next and "Delimiter" in request:  # without a delimiter clients go on after the last key
            response["NextMarker"] = answer.spell(answer.page.last.decode())
        return response

    @operation("ListObjectsV2", anonymous=True)
    async def list_objects_v2(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.readable_bucket(self._index, ctx, request)
        start = _read_token(request["ContinuationToken"]) if "ContinuationToken" in request else None
        answer = await self._answer(bucket, request, marker=request.get("StartAfter", ""), start=start)
        shown_owner = owner(bucket.account) if request.get("FetchOwner") else None
        response = answer.said | {"KeyCount": len(answer.page), "Contents": answer.entries(shown_owner)}
        if "ContinuationToken" in request:
            response["ContinuationToken"] = request["ContinuationToken"]
        if "StartAfter" in request:
            response["StartAfter"] = answer.spell(request["StartAfter"])
        if answer.page.next:
            response["NextContinuationToken"] = base64.urlsafe_b64encode(answer.page.next).decode()
        return response

    @operation("ListObjectVersions")
    async def list_object_versions(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Without versioning every object has one version, `null`."""
        bucket, marker = access.owned_bucket(self._index, ctx, request), request.get("KeyMarker", "")
        answer = await self._answer(bucket, request, marker=marker)
        version = {"VersionId": "null", "IsLatest": True}
        versions = [entry | version for entry in answer.entries(owner(bucket.account))]
        response = answer.said | {"KeyMarker": answer.spell(marker), "VersionIdMarker": "", "Versions": versions}
        if answer.page.next:
            response |= {"NextKeyMarker": answer.spell(answer.page.last.decode()), "NextVersionIdMarker": "null"}
        return response

    async def _answer(self, bucket: Bucket, request: dict[str, Any], *, marker: str, start: bytes | None = None) -> Answer:
        prefix, delimiter = request.get("Prefix", ""), request.get("Delimiter", "")
        limit, spell = _limit(request), speller(request)
        if start is None:
            start = _after(marker.encode(), prefix.encode(), delimiter.encode())
        scan = await self._scan(bucket, prefix)
        page = page_of(scan, prefix.encode(), delimiter.encode(), start, limit) if limit else Page()
        said: dict[str, Any] = {"Name": bucket.name, "Prefix": spell(prefix), "MaxKeys": limit, "IsTruncated": bool(page.next)}
        if delimiter:
            said["Delimiter"] = spell(delimiter)
        if "EncodingType" in request:
            said["EncodingType"] = request["EncodingType"]
        said["CommonPrefixes"] = [{"Prefix": spell(common.decode())} for common in page.prefixes]
        return Answer(page, spell, said)

    async def _scan(self, bucket: Bucket, prefix: str) -> Scan:
        if not bucket.folder:
            return partial(self._index.scan, bucket.name)
        keys = await asyncio.to_thread(Folders.keys, bucket.folder, prefix)
        return partial(_scan_folder, bucket.folder, keys)


def _scan_folder(folder: str, keys: list[bytes], start: bytes, end: bytes, limit: int) -> list[StoredObject]:
    """A scan over keys in memory. A file that vanished meanwhile is left out, which must not look like the end."""
    found: list[StoredObject] = []
    for key in keys[bisect_left(keys, start) : bisect_left(keys, end)]:
        if len(found) == limit:
            break
        if stored := Folders.find(folder, key.decode()):
            found.append(stored)
    return found


def _summary(stored: StoredObject, spell: Callable[[str], str], shown_owner: dict[str, str] | None) -> dict[str, Any]:
    summary = {
        "Key": spell(stored.key),
        "LastModified": stored.modified,
        "ETag": f'"{stored.etag}"',
        "Size": stored.size,
        "StorageClass": stored.storage_class,
    }
    if checksum := stored.about.get("checksum"):
        summary |= {"ChecksumAlgorithm": [checksum["algorithm"]], "ChecksumType": checksum["type"]}
    return summary | ({"Owner": shown_owner} if shown_owner else {})


def _limit(request: dict[str, Any]) -> int:
    asked = request.get("MaxKeys", LARGEST_PAGE)
    if asked < 0:
        raise invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647", "maxKeys", asked)
    return min(asked, LARGEST_PAGE)


def speller(request: dict[str, Any]) -> Callable[[str], str]:
    """How an answer spells keys. Raises InvalidArgument."""
    asked = request.get("EncodingType")
    if asked not in (None, "url"):
        raise invalid_argument("Invalid Encoding Method specified in Request", "encoding-type", asked)
    return partial(quote, safe="/") if asked else str


def _read_token(token: str) -> bytes:
    try:
        start = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad_token(token) from error
    if not start:
        raise _bad_token(token)
    return start


def _bad_token(token: str) -> Exception:
    return invalid_argument("The continuation token provided is incorrect", "continuation-token", token)
