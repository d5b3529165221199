"""Browser uploads: `POST /bucket` with a form, allowed by a signed policy document.

The gateway reads the form (`forms.read_form`), verifies the signature over the field `policy` and calls `post_object` with the
identity that signed. The upload itself is an ordinary PutObject, with that identity's rights.
"""

from __future__ import annotations

import base64
import binascii
import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from xml.sax.saxutils import escape

from clary.core.service import Context
from clary.services.s3.contents import LARGEST_PUT_BYTES
from clary.services.s3.errors import S3Error, access_denied, invalid_argument
from clary.services.s3.forms import Form

_MEMBERS = {
    "acl": "ACL",
    "cache-control": "CacheControl",
    "content-type": "ContentType",
    "content-disposition": "ContentDisposition",
    "content-encoding": "ContentEncoding",
    "content-language": "ContentLanguage",
    "expires": "Expires",
    "x-amz-storage-class": "StorageClass",
    "x-amz-website-redirect-location": "WebsiteRedirectLocation",
    "x-amz-server-side-encryption": "ServerSideEncryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "SSEKMSKeyId",
    "x-amz-server-side-encryption-customer-algorithm": "SSECustomerAlgorithm",
    "x-amz-server-side-encryption-customer-key": "SSECustomerKey",
    "x-amz-server-side-encryption-customer-key-md5": "SSECustomerKeyMD5",
    "x-amz-checksum-crc32": "ChecksumCRC32",
    "x-amz-checksum-crc32c": "ChecksumCRC32C",
    "x-amz-checksum-crc64nvme": "ChecksumCRC64NVME",
    "x-amz-checksum-sha1": "ChecksumSHA1",
    "x-amz-checksum-sha256": "ChecksumSHA256",
}
_UNCONDITIONAL = {"awsaccesskeyid", "signature", "policy", "x-amz-signature", "file"}
"""Fields that a policy need not mention."""
_METADATA = "x-amz-meta-"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


async def post_object(ctx: Context, bucket: str, form: Form) -> Answer:
    """Store the form's file, if the policy allows it. Raises AccessDenied and whatever PutObject raises."""
    fields = {name: value.replace("${filename}", form.file_name) for name, value in form.fields.items()}
    if "key" not in fields:
        raise invalid_argument("Bucket POST must contain a field named 'key'.", "key", "")
    policy = Policy.read(fields.get("policy"))
    policy.check(fields | {"bucket": bucket}, ctx.platform.clock.utc())
    request = _request(bucket, fields) | {"Body": _measured(form.file, policy.smallest, policy.largest)}
    stored = await ctx.platform.call("s3", "PutObject", request, scope=ctx.scope, identity=ctx.identity)
    return _answer(ctx, bucket, fields, stored["ETag"])


@dataclass(frozen=True, slots=True)
class Policy:
    """What a form may hold: its expiration, conditions on fields, and the file's size in bytes."""

    expiration: datetime
    conditions: list[tuple[str, str, str]]
    smallest: int = 0
    largest: int = LARGEST_PUT_BYTES

    @classmethod
    def read(cls, text: str | None) -> Policy:
        """Raises AccessDenied without a policy and InvalidPolicyDocument for a malformed one."""
        if not text:
            raise access_denied("The form has no policy; unsigned uploads are not allowed")
        try:
            document = json.loads(base64.b64decode(text, validate=True))
            expiration = datetime.fromisoformat(document["expiration"])
            listed = [_condition(condition) for condition in document["conditions"]]
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise _invalid_policy(str(error)) from error
        sizes = [(int(low), int(high)) for operator, low, high in listed if operator == "content-length-range"]
        fields = [condition for condition in listed if condition[0] != "content-length-range"]
        expiration = expiration if expiration.tzinfo else expiration.replace(tzinfo=UTC)
        return cls(expiration, fields, *(sizes[-1] if sizes else ()))

    def check(self, fields: dict[str, str], now: datetime) -> None:
        """Raises AccessDenied for an expired policy, a condition that does not hold, or a field no condition is about."""
        if now >= self.expiration:
            raise access_denied("Invalid according to Policy: Policy expired.")
        for operator, name, value in self.conditions:
            given = fields.get(name, "")
            if not (given == value if operator == "eq" else given.startswith(value)):
                raise access_denied(
                    f'Invalid according to Policy: Policy Condition failed: ["{operator}", "${name}", "{value}"]'
                )
        covered = {name for _, name, _ in self.conditions} | _UNCONDITIONAL | {"bucket"}
        extra = sorted(name for name in fields if name not in covered and not name.startswith("x-ignore-"))
        if extra:
            raise access_denied(f"Invalid according to Policy: Extra input fields: {', '.join(extra)}")


def _condition(condition: Any) -> tuple[str, str, str]:
    """(operator, lower-case field, value); for a size range (operator, smallest, largest). Raises ValueError."""
    if isinstance(condition, dict) and len(condition) == 1:
        ((name, value),) = condition.items()
        return "eq", name.lower(), str(value)
    if isinstance(condition, list) and len(condition) == 3:
        operator = str(condition[0]).lower()
        if operator == "content-length-range":
            return operator, str(int(condition[1])), str(int(condition[2]))
        if operator in ("eq", "starts-with") and str(condition[1]).startswith("$"):
            return operator, condition[1][1:].lower(), str(condition[2])
    raise ValueError(f"condition {condition!r} is not understood")


def _request(bucket: str, fields: dict[str, str]) -> dict[str, Any]:
    """The PutObject that a form asks for."""
    request: dict[str, Any] = {member: fields[name] for name, member in _MEMBERS.items() if name in fields}
    metadata = {name.removeprefix(_METADATA): value for name, value in fields.items() if name.startswith(_METADATA)}
    if metadata:
        request["Metadata"] = metadata
    if "tagging" in fields:
        request["Tagging"] = _tagging(fields["tagging"])
    return request | {"Bucket": bucket, "Key": fields["key"]}


def _tagging(text: str) -> str:
    """The form's XML as the header that PutObject takes. Raises MalformedXML."""
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise S3Error(400, "MalformedXML", f"The field 'tagging' is not well-formed XML: {error}") from error
    tags = [tag for tag in root.iter() if tag.tag.rpartition("}")[2] == "Tag"]
    pairs = [{child.tag.rpartition("}")[2]: child.text or "" for child in tag} for tag in tags]
    return urlencode([(pair.get("Key", ""), pair.get("Value", "")) for pair in pairs], quote_via=quote)


async def _measured(file: AsyncIterator[bytes], smallest: int, largest: int) -> AsyncIterator[bytes]:
    """The file, as long as its size stays within the policy's. Raises EntityTooLarge or EntityTooSmall."""
    size = 0
    async for chunk in file:
        size += len(chunk)
        if size > largest:
            message = "Your proposed upload exceeds the maximum allowed size"
            raise S3Error(400, "EntityTooLarge", message, ProposedSize=size, MaxSizeAllowed=largest)
        yield chunk
    if size < smallest:
        message = "Your proposed upload is smaller than the minimum allowed size"
        raise S3Error(400, "EntityTooSmall", message, ProposedSize=size, MinSizeAllowed=smallest)


def _answer(ctx: Context, bucket: str, fields: dict[str, str], etag: str) -> Answer:
    """A redirect, or the status that the form asks for, 204 by default; 201 has a document."""
    key = fields["key"]
    host = ctx.headers.get("host", "localhost")
    location = f"{'https' if ctx.secure else 'http'}://{host}/{bucket}/{quote(key)}"
    headers = {"etag": etag, "location": location}
    redirect = fields.get("success_action_redirect") or fields.get("redirect") or ""
    if urlsplit(redirect).scheme in ("http", "https"):
        joint = "&" if urlsplit(redirect).query else "?"
        return Answer(
            303, headers | {"location": f"{redirect}{joint}{urlencode({'bucket': bucket, 'key': key, 'etag': etag})}"}
        )
    status = fields.get("success_action_status")
    if status == "201":
        parts = {"Location": location, "Bucket": bucket, "Key": key, "ETag": etag}
        inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in parts.items())
        document = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inside}</PostResponse>'
        return Answer(201, headers | {"content-type": "application/xml"}, document.encode())
    return Answer(200 if status == "200" else 204, headers)


def _invalid_policy(why: str) -> S3Error:
    return S3Error(400, "InvalidPolicyDocument", f"Invalid Policy: {why}")
