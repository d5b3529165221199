"""Presigned URLs, signature version 2: `AWSAccessKeyId`, `Signature` and `Expires` in the query. S3 only.

botocore still makes these for custom endpoints in us-east-1. Source: the S3 developer guide, "Signing and authenticating
REST requests", and botocore's `HmacV1QueryAuth`.
"""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

from clary.gateway.auth.claim import AuthenticationFailed, Claim
from clary.gateway.auth.refusals import Reason
from clary.gateway.wire import RequestParts

_SIGNED_NAMES = """
accelerate acl analytics cors defaultObjectAcl delete inventory lifecycle location logging metrics notification object-lock
partNumber policy replication requestPayment response-cache-control response-content-disposition response-content-encoding
response-content-language response-content-type response-expires restore select select-type storageClass tagging torrent
uploadId uploads versionId versioning versions website
"""
SUBRESOURCES = frozenset(_SIGNED_NAMES.split())
"""Query parameters that are part of the signed resource."""
_NEEDED = ("AWSAccessKeyId", "Signature", "Expires")


def claim_of(request: RequestParts) -> Claim:
    """The claim in the query; its time is the moment of expiry. Raises `AuthenticationFailed`."""
    query = dict(request.query)
    for name in _NEEDED:
        if not query.get(name):
            raise AuthenticationFailed(Reason.MISSING, f"a presigned URL carries {', '.join(_NEEDED)}; {name} is missing")
    try:
        expiry = datetime.fromtimestamp(int(query["Expires"]), UTC)
    except (ValueError, OverflowError, OSError):
        raise AuthenticationFailed(
            Reason.MISSING, f"Expires must be seconds since the epoch; got {query['Expires']!r}"
        ) from None
    token = query.get("x-amz-security-token") or request.headers.get("x-amz-security-token")
    return Claim("presigned-v2", query["AWSAccessKeyId"], query["Signature"], expiry, token, service="s3")


def signatures_of(request: RequestParts, path: str, secret: str) -> tuple[str, ...]:
    """The signatures that `secret` makes for `request`, in base64. `path` is in path style: `/bucket/key`.

    Two, which differ for a bucket alone: clients sign `/bucket`, as the developer guide says, or `/bucket/`, as botocore does.
    """
    as_folder = f"{path}/" if "/" not in path.strip("/") and not path.endswith("/") else path
    return sign(_string_to_sign(request, path), secret), sign(_string_to_sign(request, as_folder), secret)


def sign(text: str, secret: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def _string_to_sign(request: RequestParts, path: str) -> str:
    headers, query = request.headers, dict(request.query)
    lines = [request.method, headers.get("content-md5", ""), headers.get("content-type", ""), query["Expires"]]
    # botocore repeats signed headers in the query; what has an effect is the header, so the header is what is verified.
    amz = {name.lower(): value for name, value in (query | headers).items() if name.lower().startswith("x-amz-")}
    lines += [f"{name}:{amz[name].strip()}" for name in sorted(amz)]
    return "\n".join([*lines, path + _signed_query(request)])


def _signed_query(request: RequestParts) -> str:
    kept = sorted((name, value) for name, value in request.query if name in SUBRESOURCES)
    return "?" + "&".join(f"{name}={value}" if value else name for name, value in kept) if kept else ""
