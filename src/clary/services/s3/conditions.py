"""Preconditions: If-Match and its family, for reads (RFC 9110, section 13), copies and writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clary.services.s3.errors import S3Error, invalid_argument, no_such_key, not_implemented, precondition_failed


@dataclass(frozen=True, slots=True)
class ForWriting:
    """What must hold for the object that a write replaces."""

    if_match: str | None = None
    if_none_match: str | None = None

    @classmethod
    def of(cls, request: dict[str, Any]) -> ForWriting:
        if_none_match = request.get("IfNoneMatch")
        if if_none_match not in (None, "*"):
            raise not_implemented("If-None-Match", f"writes take only If-None-Match: *; got {if_none_match!r}")
        return cls(request.get("IfMatch"), if_none_match)

    def check(self, key: str, etag: str | None) -> None:
        """`etag` is that of the present object, None when there is none. Raises PreconditionFailed or NoSuchKey."""
        if self.if_none_match is not None and etag is not None:
            raise precondition_failed("If-None-Match")
        if self.if_match is None:
            return
        if etag is None:
            raise no_such_key(key)
        if not _matches(self.if_match, etag):
            raise precondition_failed("If-Match")


ANY = ForWriting()


class NotModified(S3Error):
    """304 has no body; the validators travel as headers."""

    def __init__(self, etag: str):
        super().__init__(304, "NotModified", "Not Modified", headers={"ETag": f'"{etag}"'})


def check_read(request: dict[str, Any], etag: str, modified: int) -> None:
    """Raises PreconditionFailed (412) or NotModified (304). `modified` in epoch seconds."""
    _check_required(request, "", etag, modified)
    if_none_match, since = request.get("IfNoneMatch"), request.get("IfModifiedSince")
    if if_none_match is not None:
        if _matches(if_none_match, etag):
            raise NotModified(etag)
    elif since is not None and modified <= seconds(since):
        raise NotModified(etag)


def check_copy(request: dict[str, Any], etag: str, modified: int) -> None:
    """The same for the source of a copy, where every failure is 412."""
    _check_required(request, "CopySource", etag, modified)
    if_none_match, since = request.get("CopySourceIfNoneMatch"), request.get("CopySourceIfModifiedSince")
    if if_none_match is not None:
        if _matches(if_none_match, etag):
            raise precondition_failed("x-amz-copy-source-If-None-Match")
    elif since is not None and modified <= seconds(since):
        raise precondition_failed("x-amz-copy-source-If-Modified-Since")


def _check_required(request: dict[str, Any], prefix: str, etag: str, modified: int) -> None:
    """A match makes the date irrelevant, as S3 documents for the pair."""
    if_match, unmodified = request.get(f"{prefix}IfMatch"), request.get(f"{prefix}IfUnmodifiedSince")
    header = "x-amz-copy-source-" if prefix else ""
    if if_match is not None:
        if not _matches(if_match, etag):
            raise precondition_failed(f"{header}If-Match")
    elif unmodified is not None and modified > seconds(unmodified):
        raise precondition_failed(f"{header}If-Unmodified-Since")


def seconds(moment: datetime | int | float) -> float:
    """A request's timestamp as epoch seconds."""
    return moment.timestamp() if isinstance(moment, datetime) else float(moment)


def _matches(condition: str, etag: str) -> bool:
    """`condition` is `*` or a list of entity tags, quoted or not, weak or not."""
    tags = [tag.strip() for tag in condition.split(",")]
    if any(not tag for tag in tags):
        raise invalid_argument("an entity tag is empty", "If-Match", condition)
    return any(tag == "*" or tag.removeprefix("W/").strip('"') == etag for tag in tags)
