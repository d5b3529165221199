"""Which bucket a request may touch, and which keys are keys. Policies are the gateway's; this is ownership."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from clary.core.service import Context
from clary.services.s3.errors import S3Error, access_denied, no_such_bucket, not_implemented
from clary.services.s3.index import Bucket, ObjectIndex

LARGEST_KEY_BYTES = 1024
_TRUE_ACLS = {"private", "bucket-owner-full-control"}
"""Canned ACLs that say what holds anyway: the bucket's owner, and nobody else."""
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_OBJECT_EXTRAS = {
    "WebsiteRedirectLocation": "x-amz-website-redirect-location",
    "ObjectLockMode": "x-amz-object-lock-mode",
    "ObjectLockRetainUntilDate": "x-amz-object-lock-retain-until-date",
    "ObjectLockLegalHoldStatus": "x-amz-object-lock-legal-hold",
    "ObjectLockEventHold": "x-amz-object-lock-event-hold",
    "ObjectLockEventHoldDurationDays": "x-amz-object-lock-event-hold-duration-days",
    "ObjectLockEventHoldDurationYears": "x-amz-object-lock-event-hold-duration-years",
    "WriteOffsetBytes": "x-amz-write-offset-bytes",
}


def owned_bucket(index: ObjectIndex, ctx: Context, request: dict[str, Any]) -> Bucket:
    """A bucket of the caller's account, for anything but reading objects. Mounted folders are read-only."""
    bucket = readable_bucket(index, ctx, request)
    if bucket.account != ctx.account:
        raise access_denied()
    return bucket


def writable_bucket(index: ObjectIndex, ctx: Context, request: dict[str, Any]) -> Bucket:
    """A bucket whose objects the caller may change. Raises MethodNotAllowed for a mounted folder."""
    bucket = owned_bucket(index, ctx, request)
    if bucket.folder:
        raise S3Error(405, "MethodNotAllowed", f"Bucket {bucket.name} is a mounted folder, which is read-only")
    return bucket


def readable_bucket(index: ObjectIndex, ctx: Context, request: dict[str, Any]) -> Bucket:
    """A bucket of the caller's account, or a mounted folder, which everybody may read.

    Raises NoSuchBucket, or AccessDenied for another account's bucket and for a wrong ExpectedBucketOwner.
    """
    return find_bucket(index, ctx, request["Bucket"], request.get("ExpectedBucketOwner"))


def find_bucket(index: ObjectIndex, ctx: Context, name: str, expected_owner: str | None) -> Bucket:
    bucket = index.bucket(name)
    if bucket is None:
        raise no_such_bucket(name)
    if expected_owner is not None and expected_owner != bucket.account:
        raise access_denied()
    if not bucket.folder and (ctx.identity.kind == "anonymous" or bucket.account != ctx.account):
        raise access_denied()
    return bucket


def check_key(key: str) -> None:
    """Raises KeyTooLongError, or InvalidURI for a key that is not UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise S3Error(400, "InvalidURI", "Couldn't parse the specified URI: the key is not UTF-8.") from error
    if size > LARGEST_KEY_BYTES:
        raise S3Error(400, "KeyTooLongError", "Your key is too long", Size=size, MaxSizeAllowed=LARGEST_KEY_BYTES)


def check_version(request: dict[str, Any]) -> None:
    """Without versioning an object has the version `null` and no other. Raises NoSuchVersion."""
    version = request.get("VersionId")
    if version not in (None, "null"):
        message = "The specified version does not exist."
        raise S3Error(404, "NoSuchVersion", message, Key=request.get("Key", ""), VersionId=version)


def refuse_acl(request: dict[str, Any]) -> None:
    """Access control lists are not enforced, so only those that change nothing are taken."""
    if request.get("ACL") not in (None, *_TRUE_ACLS):
        raise not_implemented("x-amz-acl", f"{request['ACL']!r}; buckets are private, leave it out")
    _refuse(request, {grant: f"x-amz-{_dashed(grant)}" for grant in _GRANTS}, "access control lists are not enforced")


def refuse_object_extras(request: dict[str, Any]) -> None:
    """What a new object may not ask for yet."""
    refuse_acl(request)
    _refuse(request, _OBJECT_EXTRAS, "Clary does not have this part of S3 yet; leave it out")


def _refuse(request: dict[str, Any], headers: dict[str, str], why: str) -> None:
    for member in _set(request, headers):
        raise not_implemented(headers[member], why)


def _set(request: dict[str, Any], names: Collection[str]) -> list[str]:
    """A legal hold that is OFF, like a flag that is False, asks for nothing."""
    return [name for name in names if request.get(name) not in (None, "", False, "OFF")]


def _dashed(member: str) -> str:
    words = {"GrantReadACP": "grant-read-acp", "GrantWriteACP": "grant-write-acp", "GrantFullControl": "grant-full-control"}
    return words.get(member, f"grant-{member.removeprefix('Grant').lower()}")
