"""What Clary's buckets cannot have yet (policies, versions, locks, ...), answered as AWS answers for a bucket without it.

SDKs and command lines probe these. The answers are true: the matching Put operations are refused with NotImplemented.
"""

from __future__ import annotations

from typing import Any

from clary.core.service import Context, Platform, operation
from clary.services.s3 import access
from clary.services.s3.buckets import owner
from clary.services.s3.errors import S3Error
from clary.services.s3.index import Bucket, ObjectIndex
from clary.services.s3.objects import Objects


class Unconfigured:
    """The probes."""

    def __init__(self, platform: Platform):
        self._index = ObjectIndex(platform.resources)
        self._objects = Objects(platform)

    def _bucket(self, ctx: Context, request: dict[str, Any]) -> Bucket:
        return access.owned_bucket(self._index, ctx, request)

    def _missing(self, ctx: Context, request: dict[str, Any], code: str, message: str) -> S3Error:
        return S3Error(404, code, message, BucketName=self._bucket(ctx, request).name)

    @operation("GetBucketVersioning")
    def get_bucket_versioning(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._bucket(ctx, request)
        return {}

    @operation("GetBucketLogging")
    def get_bucket_logging(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._bucket(ctx, request)
        return {}

    @operation("GetBucketNotificationConfiguration")
    def get_bucket_notification_configuration(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._bucket(ctx, request)
        return {}

    @operation("GetBucketAccelerateConfiguration")
    def get_bucket_accelerate_configuration(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._bucket(ctx, request)
        return {}

    @operation("GetBucketRequestPayment")
    def get_bucket_request_payment(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._bucket(ctx, request)
        return {"Payer": "BucketOwner"}

    @operation("GetBucketOwnershipControls")
    def get_bucket_ownership_controls(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self._bucket(ctx, request)
        return {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}

    @operation("GetBucketAcl")
    def get_bucket_acl(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return _full_control(self._bucket(ctx, request))

    @operation("GetObjectAcl")
    async def get_object_acl(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket, _ = await self._objects.find(ctx, request)
        return _full_control(bucket)

    @operation("GetBucketPolicy")
    def get_bucket_policy(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        raise self._missing(ctx, request, "NoSuchBucketPolicy", "The bucket policy does not exist")

    @operation("GetBucketPolicyStatus")
    def get_bucket_policy_status(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        raise self._missing(ctx, request, "NoSuchBucketPolicy", "The bucket policy does not exist")

    @operation("GetPublicAccessBlock")
    def get_public_access_block(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        message = "The public access block configuration was not found"
        raise self._missing(ctx, request, "NoSuchPublicAccessBlockConfiguration", message)

    @operation("GetBucketCors")
    def get_bucket_cors(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        raise self._missing(ctx, request, "NoSuchCORSConfiguration", "The CORS configuration does not exist")

    @operation("GetBucketWebsite")
    def get_bucket_website(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        message = "The specified bucket does not have a website configuration"
        raise self._missing(ctx, request, "NoSuchWebsiteConfiguration", message)

    @operation("GetBucketLifecycleConfiguration")
    def get_bucket_lifecycle_configuration(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        raise self._missing(ctx, request, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist")

    @operation("GetBucketReplication")
    def get_bucket_replication(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        message = "The replication configuration was not found"
        raise self._missing(ctx, request, "ReplicationConfigurationNotFoundError", message)

    @operation("GetObjectLockConfiguration")
    def get_object_lock_configuration(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        message = "Object Lock configuration does not exist for this bucket"
        raise self._missing(ctx, request, "ObjectLockConfigurationNotFoundError", message)


def _full_control(bucket: Bucket) -> dict[str, Any]:
    """The bucket's owner owns every object and has full control; nobody else has any."""
    grantee = {"Type": "CanonicalUser", **owner(bucket.account)}
    return {"Owner": owner(bucket.account), "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}
