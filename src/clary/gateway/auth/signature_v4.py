"""Signature version 4: the canonical request, the signing key and the `Authorization` header.

Source: "Signature Version 4 signing process" and the S3 API reference ("Authenticating Requests"). S3 signs the path as it is
sent; all other services sign it encoded once more.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import quote, unquote

from clary.gateway.auth.claim import AuthenticationFailed, Claim, parse_amz_date
from clary.gateway.auth.refusals import Reason
from clary.gateway.wire import RequestParts

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{64})"
)
_SPACES = re.compile(r" +")


def claim_of(request: RequestParts) -> Claim:
    """The claim in an `Authorization: AWS4-HMAC-SHA256 ...` header. Raises `AuthenticationFailed`."""
    match = _AUTHORIZATION.fullmatch(request.headers["authorization"].strip())
    if match is None:
        raise AuthenticationFailed(
            Reason.INCOMPLETE,
            "the Authorization header must be 'AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, "
            "SignedHeaders=..., Signature=(64 hexadecimal digits)'",
        )
    access_key, date, region, service = split_credential(match[1])
    signed_headers = tuple(match[2].split(";"))
    check_signed_headers(signed_headers)
    return Claim(
        "header",
        access_key,
        match[3],
        _signing_time(request),
        request.headers.get("x-amz-security-token"),
        date,
        region,
        service,
        signed_headers,
    )


@lru_cache(maxsize=4096)
def split_credential(text: str) -> tuple[str, str, str, str]:
    """`KEY/DATE/REGION/SERVICE/aws4_request` in its parts. Raises `AuthenticationFailed`."""
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise AuthenticationFailed(Reason.INCOMPLETE, f"Credential {text!r} must be KEY/DATE/REGION/SERVICE/aws4_request")
    if not re.fullmatch(r"\d{8}", parts[1]):
        raise AuthenticationFailed(Reason.INCOMPLETE, f"the date in Credential {text!r} must be YYYYMMDD")
    return parts[0], parts[1], parts[2], parts[3]


def check_signed_headers(names: Iterable[str]) -> None:
    if "host" not in names:
        raise AuthenticationFailed(Reason.INCOMPLETE, "SignedHeaders must contain 'host'")


def _signing_time(request: RequestParts) -> datetime:
    if (stamp := request.headers.get("x-amz-date")) is not None:
        return parse_amz_date(stamp)
    try:
        moment = parsedate_to_datetime(request.headers["date"])
    except (KeyError, ValueError):
        raise AuthenticationFailed(Reason.INCOMPLETE, "a signed request carries X-Amz-Date, or a Date header") from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def signature_of(request: RequestParts, claim: Claim, secret: str, payload_hash: str) -> str:
    """The signature that `secret` makes for `request`, in hexadecimal."""
    canonical = canonical_request(request, claim, payload_hash)
    return sign(string_to_sign(claim, canonical), secret, claim)


def string_to_sign(claim: Claim, canonical: str) -> str:
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{claim.time:%Y%m%dT%H%M%SZ}\n{claim.scope}\n{digest}"


def sign(text: str, secret: str, claim: Claim) -> str:
    key = signing_key(secret, claim.date, claim.region, claim.service)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=4096)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key of a day, region and service, derived from the secret."""
    key = b"AWS4" + secret.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def canonical_request(request: RequestParts, claim: Claim, payload_hash: str) -> str:
    """Method, path, query, signed headers and payload hash in the one spelling that both sides sign."""
    lines = [request.method, _canonical_path(request.path, claim.service), canonical_query(request.query)]
    for name in claim.signed_headers:
        if name not in request.headers:
            raise AuthenticationFailed(Reason.MISMATCH, f"SignedHeaders names {name!r}, which the request does not carry")
        lines.append(f"{name}:{_SPACES.sub(' ', request.headers[name].strip())}")
    return "\n".join([*lines, "", ";".join(claim.signed_headers), payload_hash])


def _canonical_path(path: str, service: str) -> str:
    if service in ("s3", "s3express"):
        return quote(unquote(path, errors="surrogateescape"), safe="/~", errors="surrogateescape") or "/"
    return quote(_without_dots(path), safe="/~")


def _without_dots(path: str) -> str:
    """RFC 3986 dot segments and empty segments removed, as clients do before signing."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Sorted and encoded; the signature itself is not part of what is signed."""
    encoded = sorted((quote(name, safe="~"), quote(value, safe="~")) for name, value in pairs if name != "X-Amz-Signature")
    return "&".join(f"{name}={value}" for name, value in encoded)
