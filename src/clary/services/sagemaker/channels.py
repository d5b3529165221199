"""What a job's input channels may be, checked when the job is created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clary.core.errors import ServiceError, ValidationException, refuse_unenforced
from clary.core.identifiers import Scope
from clary.core.service import Context, Identity

S3_DATA_TYPES = ("S3Prefix", "ManifestFile")


def check(channels: Sequence[dict[str, Any]]) -> None:
    """Raise ValidationException for channels that Clary cannot feed as asked."""
    names = [channel["ChannelName"] for channel in channels]
    for name in names:
        if names.count(name) > 1:
            raise ValidationException(
                f"InputDataConfig: the channel name {name!r} is used more than once; names must be unique"
            )
        if name in (".", ".."):
            raise ValidationException(
                f"InputDataConfig: ChannelName {name!r} is not a name; use letters, digits, '.', '-' and '_'"
            )
    for channel in channels:
        _check_source(channel["ChannelName"], channel["DataSource"])


def _check_source(name: str, source: dict[str, Any]) -> None:
    refuse_unenforced({"DataSource": source}, "DataSource.FileSystemDataSource", "DataSource.DatasetSource")
    if "S3DataSource" not in source:
        raise ValidationException(f"InputDataConfig: channel {name!r} has no DataSource.S3DataSource; give it one")
    s3 = source["S3DataSource"]
    refuse_unenforced({"S3DataSource": s3}, *(f"S3DataSource.{member}" for member in _UNENFORCED))
    if s3["S3DataType"] not in S3_DATA_TYPES:
        raise ValidationException(
            f"InputDataConfig: channel {name!r} has S3DataType {s3['S3DataType']}, which Clary does not have yet; "
            f"use {' or '.join(S3_DATA_TYPES)}"
        )
    bucket_and_key(s3["S3Uri"], f"S3Uri of channel {name!r}")


_UNENFORCED = ("AttributeNames", "InstanceGroupNames", "ModelAccessConfig", "HubAccessConfig")


def bucket_and_key(uri: str, member: str) -> tuple[str, str]:
    """`s3://bucket/key` -> (bucket, key); the key may be empty. Raises ValidationException that names `member`."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValidationException(f"{member} must be an S3 URI such as s3://bucket/prefix; got {uri!r}")
    return bucket, key


async def check_objects(ctx: Context, channels: Sequence[dict[str, Any]], role_arn: str) -> None:
    """Raise ValidationException unless the job's role finds an object under the S3Uri of every channel."""
    for channel in channels:
        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, prefix = bucket_and_key(uri, "S3Uri")
        if not await has_objects(ctx, role_arn, bucket, prefix):
            raise ValidationException(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
                f"the selected region ({ctx.region}), that objects exist under that S3 prefix, and that the role "
                f'"{role_arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
            )


async def has_objects(ctx: Context, role_arn: str, bucket: str, prefix: str) -> bool:
    """Whether `role_arn` can list an object whose key starts with `prefix`."""
    request = {"Bucket": bucket, "Prefix": prefix, "MaxKeys": 1}
    try:
        page = await ctx.platform.call(
            "s3", "ListObjectsV2", request, scope=ctx.scope, identity=role_identity(ctx.scope, role_arn)
        )
    except ServiceError as error:
        if error.status >= 500:
            raise
        return False
    return bool(page.get("Contents"))


def role_identity(scope: Scope, role_arn: str) -> Identity:
    """The identity under which SageMaker acts for a job with this role."""
    prefix, _, name = role_arn.rpartition("/")
    assumed = f"{prefix.split(':role')[0].replace(':iam:', ':sts:')}:assumed-role/{name}/SageMaker"
    return Identity(account=scope.account, arn=assumed, kind="role", role_arn=role_arn)
