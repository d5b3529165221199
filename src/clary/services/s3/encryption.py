"""Encryption at rest: which key seals an object, and the keys. Every object is sealed, as on S3.

Each blob has a random key of its own, which is stored wrapped: by the account's S3 key (SSE-S3), by the key named in the
request or the account's default one (SSE-KMS), or by the customer's key, which is never stored (SSE-C).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import uuid
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from clary.core.identifiers import Scope, arn
from clary.core.service import Context
from clary.services.s3.errors import S3Error, access_denied, invalid_argument, invalid_request, not_implemented
from clary.services.s3.index import Bucket
from clary.storage.resources import Connection, ResourceStore

S3_KEY = "AES256"
KMS = "aws:kms"
CUSTOMER = "SSE-C"
_NONCE_BYTES = 12


class Wrapper:
    """Wraps and unwraps data keys with one 32-byte key."""

    def __init__(self, material: bytes):
        self._aes = AESGCM(material)

    def new_data_key(self) -> tuple[bytes, bytes]:
        """A random 32-byte key, plain and wrapped."""
        data_key, nonce = os.urandom(32), os.urandom(_NONCE_BYTES)
        return data_key, nonce + self._aes.encrypt(nonce, data_key, None)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Raises AccessDenied when another key wrapped it."""
        try:
            return self._aes.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], None)
        except InvalidTag as error:
            raise access_denied("The key does not open this object") from error


@dataclass(frozen=True, slots=True)
class Encryption:
    """How an object is sealed. `key_id` is a KMS key's ARN; `customer_key` lives as long as the request."""

    mode: str = S3_KEY
    key_id: str = ""
    bucket_key: bool = False
    customer_key: bytes = b""

    @classmethod
    def recorded(cls, about: dict[str, Any], request: dict[str, Any], prefix: str = "") -> Encryption:
        """That of a stored object; a customer's key is taken from `request` and must be the one that sealed it.

        `prefix` is `CopySource` where the request names the key of a source. Raises InvalidRequest or AccessDenied.
        """
        found = cls(**about["encryption"]) if "encryption" in about else cls()
        customer_key = _customer_key(request, prefix)
        if found.mode != CUSTOMER:
            if customer_key:
                raise invalid_request("The encryption parameters are not applicable to this object.")
            return found
        if not customer_key:
            raise invalid_request(
                "The object was stored using a form of Server Side Encryption. "
                "The correct parameters must be provided to retrieve the object."
            )
        if not hmac.compare_digest(_key_md5(customer_key), found.key_id):
            raise access_denied("The customer key is not the one that the object was stored with")
        return cls(CUSTOMER, found.key_id, customer_key=customer_key)

    @property
    def record(self) -> dict[str, Any]:
        """What is kept in the index: never a customer's key."""
        return {"mode": self.mode, "key_id": self.key_id, "bucket_key": self.bucket_key}

    @property
    def members(self) -> dict[str, Any]:
        """What responses say about it."""
        if self.mode == CUSTOMER:
            return {"SSECustomerAlgorithm": "AES256", "SSECustomerKeyMD5": self.key_id}
        if self.mode == KMS:
            said: dict[str, Any] = {"ServerSideEncryption": KMS, "SSEKMSKeyId": self.key_id}
            return said | ({"BucketKeyEnabled": True} if self.bucket_key else {})
        return {"ServerSideEncryption": S3_KEY}


def choose(ctx: Context, bucket: Bucket, request: dict[str, Any]) -> Encryption:
    """What a new object is sealed with: what the request says, else the bucket's default, else SSE-S3.

    Raises NotImplemented or InvalidArgument for what Clary does not do.
    """
    customer_key = _customer_key(request, "")
    asked = request.get("ServerSideEncryption")
    if customer_key and asked:
        raise invalid_argument("Server Side Encryption with Customer provided key is incompatible with the encryption method "
                               "specified", "x-amz-server-side-encryption", asked)  # fmt: skip
    if customer_key:
        return Encryption(CUSTOMER, _key_md5(customer_key), customer_key=customer_key)
    if request.get("SSEKMSEncryptionContext"):
        raise not_implemented("x-amz-server-side-encryption-context", "contexts need KMS, which Clary does not have yet")
    default = bucket.settings.get("encryption", {})
    mode = asked or default.get("mode", S3_KEY)
    key_id = request.get("SSEKMSKeyId") or ("" if asked else default.get("key_id", ""))
    bucket_key = request.get("BucketKeyEnabled", default.get("bucket_key", False))
    return of_mode(mode, key_id, bucket_key, Scope(bucket.account, bucket.region))


def of_mode(mode: str, key_id: str, bucket_key: bool, scope: Scope) -> Encryption:
    """The encryption of a mode and a key id as a request gives them. Raises NotImplemented or InvalidArgument."""
    if mode not in (S3_KEY, KMS):
        if mode.startswith("aws:"):
            raise not_implemented("x-amz-server-side-encryption", f"{mode!r}; use AES256 or aws:kms")
        raise invalid_argument("The encryption method specified is not supported", "x-amz-server-side-encryption", mode)
    if mode == KMS:
        return Encryption(KMS, _key_arn(key_id, scope), bool(bucket_key))
    if key_id:
        message = "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms"
        raise invalid_argument(message, "x-amz-server-side-encryption", mode)
    return Encryption()


class Keys:
    """The accounts' keys, made when they are first needed and never changed."""

    def __init__(self, store: ResourceStore):
        self._store = store
        self._wrappers: dict[tuple[str, str], Wrapper] = {}

    async def wrapper(self, account: str, encryption: Encryption) -> Wrapper:
        """What wraps the data keys of objects that are sealed this way."""
        if encryption.mode == CUSTOMER:
            return Wrapper(encryption.customer_key)
        name = (account, encryption.key_id or S3_KEY)
        if name not in self._wrappers:
            self._wrappers[name] = Wrapper(await self._material(*name))
        return self._wrappers[name]

    async def _material(self, account: str, key_id: str) -> bytes:
        name = {"account": account, "id": key_id}
        with self._store.reading() as connection:
            if found := _find_material(connection, name):
                return found
        return await self._store.write(lambda transaction: _make_material(transaction.connection, name))


def _find_material(connection: Connection, name: dict[str, str]) -> bytes | None:
    statement = "SELECT material FROM s3_encryption_keys WHERE account = :account AND id = :id"
    row = connection.execute(statement, name).fetchone()
    return row[0] if row else None


def _make_material(connection: Connection, name: dict[str, str]) -> bytes:
    if found := _find_material(connection, name):
        return found
    material = os.urandom(32)
    statement = "INSERT INTO s3_encryption_keys (account, id, material) VALUES (:account, :id, :material)"
    connection.execute(statement, name | {"material": material})
    return material


def _key_arn(key_id: str, scope: Scope) -> str:
    """A key as S3 reports it. Without an id it is the account's default key in the region, `alias/aws/s3`."""
    if key_id.startswith("arn:"):
        return key_id
    if not key_id or key_id == "alias/aws/s3":
        key_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"aws/s3/{scope.account}/{scope.region}"))
    return arn("kms", scope, key_id if key_id.startswith("alias/") else f"key/{key_id}")


def _customer_key(request: dict[str, Any], prefix: str) -> bytes:
    """The decoded key of an SSE-C request, empty when it names none. Raises InvalidArgument."""
    algorithm, text = request.get(f"{prefix}SSECustomerAlgorithm"), request.get(f"{prefix}SSECustomerKey")
    if algorithm is None and text is None:
        return b""
    if algorithm != "AES256":
        name = "x-amz-server-side-encryption-customer-algorithm"
        raise invalid_argument("Requests specifying Server Side Encryption with Customer provided keys must provide a valid "
                               "encryption algorithm", name, algorithm)  # fmt: skip
    try:
        key = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != 32 or request.get(f"{prefix}SSECustomerKeyMD5") != _key_md5(key):
        raise S3Error(
            400,
            "InvalidArgument",
            "The calculated MD5 hash of the key did not match the hash that was provided, or the secret key was invalid",
            ArgumentName="x-amz-server-side-encryption-customer-key-MD5",
        )
    return key


def _key_md5(key: bytes) -> str:
    return base64.b64encode(hashlib.md5(key, usedforsecurity=False).digest()).decode()
