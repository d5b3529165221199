"""A bucket's default encryption. Without a setting of its own a bucket seals with the account's S3 key, and says so."""

from __future__ import annotations

from typing import Any

from clary.core.identifiers import Scope
from clary.core.service import Context, Platform, operation
from clary.services.s3 import access, changes, encryption
from clary.services.s3.errors import S3Error, not_implemented
from clary.services.s3.index import ObjectIndex


class BucketEncryption:
    """Put, get and delete."""

    def __init__(self, platform: Platform):
        self._store = platform.resources
        self._index = ObjectIndex(platform.resources)

    @operation("PutBucketEncryption")
    async def put_bucket_encryption(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        rules = request["ServerSideEncryptionConfiguration"]["Rules"]
        if len(rules) != 1 or "ApplyServerSideEncryptionByDefault" not in rules[0]:
            raise S3Error(400, "MalformedXML", "ServerSideEncryptionConfiguration needs one rule with a default")
        if rules[0].get("BlockedEncryptionTypes"):
            raise not_implemented("BlockedEncryptionTypes", "encryption types cannot be blocked yet; leave it out")
        default = rules[0]["ApplyServerSideEncryptionByDefault"]
        mode, key_id = default["SSEAlgorithm"], default.get("KMSMasterKeyID", "")
        bucket_key = rules[0].get("BucketKeyEnabled", False)
        encryption.of_mode(mode, key_id, bucket_key, Scope(bucket.account, bucket.region))
        setting = {"mode": mode, "key_id": key_id, "bucket_key": bucket_key}
        await self._store.write(lambda tx: changes.change_settings(tx.connection, bucket.name, "encryption", setting))
        return {}

    @operation("GetBucketEncryption")
    def get_bucket_encryption(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.owned_bucket(self._index, ctx, request)
        setting = bucket.settings.get("encryption", {"mode": encryption.S3_KEY, "key_id": "", "bucket_key": False})
        default = {"SSEAlgorithm": setting["mode"]} | ({"KMSMasterKeyID": setting["key_id"]} if setting["key_id"] else {})
        rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": setting["bucket_key"]}
        return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}

    @operation("DeleteBucketEncryption")
    async def delete_bucket_encryption(self, ctx: Context, request: dict[str, Any]) -> dict[str, Any]:
        bucket = access.writable_bucket(self._index, ctx, request)
        await self._store.write(lambda tx: changes.change_settings(tx.connection, bucket.name, "encryption", None))
        return {"ResponseMetadata": {"HTTPStatusCode": 204}}
