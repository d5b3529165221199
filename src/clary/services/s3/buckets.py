"""Buckets: create, head, list, locate, delete. Names are global, as on AWS; a bucket belongs to an account and a region."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Any

from clary.core.identifiers import partition
from clary.core.service import Context, Platform, operation
from clary.services.s3 import access, changes, tagging
from clary.services.s3.errors import S3Error, invalid_argument, not_implemented
from clary.services.s3.index import Bucket, ObjectIndex

HOME = "us-east-1"
"""The region whose location constraint is empty, and whose endpoint makes buckets anywhere."""
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d{1,2}")
_LARGEST_PAGE = 10_000


class Buckets:
    """What a client can do with buckets as such."""

    def __init__(self, platform: Platform):
        self._platform = platform
        self._index = ObjectIndex(platform.resources)

    @operation("CreateBucket")
    async def create_bucket(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        check_name(request["Bucket"])
        access.refuse_acl(request)
        _refuse_extras(request)
        configuration = request.get("CreateBucketConfiguration", {})
        tags = tagging.of_set(configuration.get("Tags", []), tagging.BUCKET_TAGS)
        bucket = Bucket(
            name=request["Bucket"],
            account=ctx.account,
            region=_region(ctx.region, configuration.get("LocationConstraint")),
            created=int(self._platform.clock.now()),
            settings={"tags": tags} if tags else {},
        )
        existing = await self._platform.resources.write(lambda tx: changes.create_bucket(tx.connection, bucket))
        if existing is not None:
            _check_taken(existing, bucket, ctx)
        return {"Location": f"/{bucket.name}", "BucketArn": bucket_arn(bucket)}

    @operation("HeadBucket", anonymous=True)
    def head_bucket(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.readable_bucket(self._index, ctx, request)
        return {"BucketRegion": bucket.region, "BucketArn": bucket_arn(bucket)}

    @operation("ListBuckets")
    def list_buckets(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """Without MaxBuckets everything, otherwise pages."""
        prefix, region = request.get("Prefix", ""), request.get("BucketRegion")
        after = _after(request["ContinuationToken"]) if "ContinuationToken" in request else ""
        limit = _page_size(request.get("MaxBuckets", _LARGEST_PAGE))
        found = [
            bucket
            for bucket in self._index.buckets_of(ctx.account)
            if bucket.name > after and bucket.name.startswith(prefix) and region in (None, bucket.region)
        ]
        response: dict[str, Any] = {"Owner": owner(ctx.account), "Buckets": [_summary(bucket) for bucket in found[:limit]]}
        if prefix:
            response["Prefix"] = prefix
        if len(found) > limit:
            response["ContinuationToken"] = base64.urlsafe_b64encode(found[limit - 1].name.encode()).decode()
        return response

    @operation("GetBucketLocation")
    def get_bucket_location(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.readable_bucket(self._index, ctx, request)
        return {} if bucket.region == HOME else {"LocationConstraint": bucket.region}

    @operation("DeleteBucket")
    async def delete_bucket(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        """A mounted folder is unmounted; its files stay."""
        bucket = access.owned_bucket(self._index, ctx, request)
        garbage = await self._platform.resources.write(lambda tx: changes.delete_bucket(tx.connection, bucket.name))
        self._platform.blobs.discard(garbage)
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}


def check_name(name: str) -> None:
    """Raises InvalidBucketName."""
    reserved = name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES)
    if not _NAME.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name) or reserved:
        raise S3Error(400, "InvalidBucketName", "The specified bucket is not valid.", BucketName=name)


def bucket_arn(bucket: Bucket) -> str:
    return f"arn:{partition(bucket.region)}:s3:::{bucket.name}"


def owner(account: str) -> dict[str, str]:
    """An account's canonical user: S3 names owners by a 64-digit id that is derived from the account."""
    return {"ID": hashlib.sha256(f"canonical user of {account}".encode()).hexdigest()}


def _region(region: str, constraint: str | None) -> str:
    """Where a bucket goes, from the endpoint's region and the request's constraint."""
    if constraint is None:
        if region != HOME:
            raise _illegal_constraint("unspecified")
        return HOME
    asked = "eu-west-1" if constraint == "EU" else constraint
    if asked == HOME or not _REGION.fullmatch(asked):
        message = "The specified location-constraint is not valid"
        raise S3Error(400, "InvalidLocationConstraint", message, LocationConstraint=constraint)
    if region not in (HOME, asked):
        raise _illegal_constraint(constraint)
    return asked


def _illegal_constraint(constraint: str) -> S3Error:
    message = f"The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
    return S3Error(400, "IllegalLocationConstraintException", message)


def _check_taken(existing: Bucket, wanted: Bucket, ctx: Context) -> None:
    """Creating a bucket again is a success in us-east-1 only, an exception that AWS keeps for old clients."""
    if existing.account != wanted.account:
        message = "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
        raise S3Error(409, "BucketAlreadyExists", f"{message} Select a different name and try again.", BucketName=existing.name)
    if not (existing.region == wanted.region == ctx.region == HOME) or existing.folder:
        message = "Your previous request to create the named bucket succeeded and you already own it."
        raise S3Error(409, "BucketAlreadyOwnedByYou", message, BucketName=existing.name)


def _refuse_extras(request: dict[str, Any]) -> None:
    if request.get("ObjectLockEnabledForBucket"):
        raise not_implemented("x-amz-bucket-object-lock-enabled", "objects cannot be locked yet; leave it out")
    if request.get("ObjectOwnership") not in (None, "BucketOwnerEnforced"):
        raise not_implemented("x-amz-object-ownership", "only BucketOwnerEnforced; access control lists are not enforced")
    if request.get("BucketNamespace") not in (None, "global"):
        raise not_implemented("x-amz-bucket-namespace", "bucket names are global")
    configuration = request.get("CreateBucketConfiguration", {})
    if configuration.get("Location") or configuration.get("Bucket"):
        raise not_implemented("CreateBucketConfiguration.Location", "there are no directory buckets")


def _summary(bucket: Bucket) -> dict[str, Any]:
    arn = bucket_arn(bucket)
    return {"Name": bucket.name, "CreationDate": bucket.created, "BucketRegion": bucket.region, "BucketArn": arn}


def _page_size(asked: int) -> int:
    if not 1 <= asked <= _LARGEST_PAGE:
        raise invalid_argument(f"max-buckets must be between 1 and {_LARGEST_PAGE}", "max-buckets", asked)
    return asked


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_argument("The continuation token provided is incorrect", "continuation-token", token) from error
