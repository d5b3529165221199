"""Request -> caller. In `open` mode any key pair is believed; keys that this server issued are verified in every mode."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from clary.core.config import Config
from clary.core.identifiers import account_of_access_key
from clary.core.service import Identity
from clary.gateway.auth import post_policy, presigned_v2, presigned_v4, signature_v4
from clary.gateway.auth.chunks import ChunkSignatures
from clary.gateway.auth.claim import AuthenticationFailed, Claim
from clary.gateway.auth.keys import Credential, Keys, role_session
from clary.gateway.auth.refusals import Reason
from clary.gateway.wire import RequestParts, Route, load_operation, query_keys
from clary.gateway.wire.directory import ENTRIES
from clary.services.iam.rows import default_role

SKEW = timedelta(minutes=15)
_ACCESS_KEY = re.compile(r"[\w.+=@-]{1,128}")
_REGION = re.compile(r"[a-z0-9-]{1,32}")
_SIGNED_CHUNKS = ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER")
_UNSIGNED = (signature_v4.UNSIGNED, "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_ASK_FOR_THE_SAME = {"list-type"}
"""ListObjectsV2 shows what ListObjects shows."""
ANONYMOUS = Identity("anonymous", "anonymous", "anonymous")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls and from where. `signatures` verifies a body of signed chunks, where the key's secret is known."""

    identity: Identity
    region: str
    signatures: ChunkSignatures | None = None


class Authenticator:
    """Reads the claim of a request and checks what can be checked about it."""

    def __init__(self, config: Config, keys: Keys):
        self._strict = config.auth == "strict"
        self._region = config.region
        self._keys = keys

    def authenticate(self, request: RequestParts, route: Route) -> Caller:
        """The caller; anonymous when the request is not signed at all.

        The body, when it is signed and buffered, must be in `request.body` already. Raises `AuthenticationFailed`.
        """
        claim = claim_of(request)
        if claim is None:
            return Caller(ANONYMOUS, self._region)
        self._check_form(claim)
        credential = self._credential(claim)
        region = claim.region or self._region
        if credential is None:
            return Caller(open_identity(account_of_access_key(claim.access_key)), region)
        _check_signature(request, route, claim, credential)
        signatures = None
        if request.headers.get("x-amz-content-sha256") in _SIGNED_CHUNKS:
            signatures = ChunkSignatures(claim, credential.secret)
        return Caller(credential.identity, region, signatures)

    def authenticate_form(self, fields: Mapping[str, str]) -> Caller:
        """The caller of a browser's form upload, by its fields (lower-case names); anonymous when it is not signed.

        Raises `AuthenticationFailed`.
        """
        claim = post_policy.claim_of(fields)
        if claim is None:
            return Caller(ANONYMOUS, self._region)
        self._check_form(claim)
        credential = self._credential(claim)
        region = claim.region or self._region
        if credential is None:
            return Caller(open_identity(account_of_access_key(claim.access_key)), region)
        post_policy.check_signature(claim, fields.get("policy", ""), credential.secret)
        return Caller(credential.identity, region)

    def _check_form(self, claim: Claim) -> None:
        if not _ACCESS_KEY.fullmatch(claim.access_key):
            raise AuthenticationFailed(Reason.INCOMPLETE, "the access key id may hold letters, digits and _ . + = @ - only")
        if claim.region and not _REGION.fullmatch(claim.region):
            raise AuthenticationFailed(Reason.INCOMPLETE, f"the credential scope names no region: {claim.region[:64]!r}")
        check_expiry(claim)

    def _credential(self, claim: Claim) -> Credential | None:
        """The issued key of the claim; None, in open mode only, when it is not one of ours."""
        credential = self._keys.find(claim.access_key, claim.token)
        if credential is None and self._strict:
            if claim.token is not None:
                raise AuthenticationFailed(Reason.BAD_TOKEN, "The security token included in the request is invalid.")
            raise AuthenticationFailed(Reason.UNKNOWN_KEY, f"The access key {claim.access_key} does not exist in our records.")
        return credential


def _check_signature(request: RequestParts, route: Route, claim: Claim, credential: Credential) -> None:
    if claim.form == "presigned-v2":
        if route.service != "s3":  # this version signs neither host nor query: other services would read other requests into it
            raise AuthenticationFailed(Reason.MISMATCH, "URLs presigned with version 2 are for S3 only; presign with version 4")
        _check_signed_subresources(route)
        expected = presigned_v2.signatures_of(request, route.path, credential.secret)
    else:
        _check_scope(claim, route.service)
        _check_all_signed(request, claim)
        expected = (signature_v4.signature_of(request, claim, credential.secret, _payload_hash(request, claim)),)
    if not any(hmac.compare_digest(one.encode(), claim.signature.encode()) for one in expected):
        raise AuthenticationFailed(
            Reason.MISMATCH,
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )


def _check_signed_subresources(route: Route) -> None:
    """Whoever has a URL must not turn it into another operation by a query parameter that its signature does not cover."""
    unsigned = query_keys(load_operation(route)) - presigned_v2.SUBRESOURCES - _ASK_FOR_THE_SAME if route.operation else set()
    if unsigned:
        raise AuthenticationFailed(
            Reason.MISMATCH,
            f"URLs presigned with version 2 do not cover ?{', ?'.join(sorted(unsigned))}, so {route.operation} needs version 4",
        )


def _check_scope(claim: Claim, service: str) -> None:
    """A signature is good for one day and one service, and a header's for 15 minutes."""
    if claim.form == "header":
        check_skew(claim)
    if claim.date != f"{claim.time:%Y%m%d}":
        raise AuthenticationFailed(Reason.MISMATCH, "the date of the credential scope is not the date of X-Amz-Date")
    if service in ENTRIES and ENTRIES[service].signing != claim.service:
        expected = ENTRIES[service].signing
        raise AuthenticationFailed(Reason.MISMATCH, f"Credential should be scoped to correct service: '{expected}'.")


def _check_all_signed(request: RequestParts, claim: Claim) -> None:
    """Every header that changes what a request means must be signed, so that nobody can add one to a presigned URL."""
    unsigned = [name for name in request.headers if name.startswith("x-amz-") and name not in claim.signed_headers]
    if unsigned:
        raise AuthenticationFailed(
            Reason.DENIED, f"There were headers present in the request which were not signed: {', '.join(unsigned)}"
        )


def claim_of(request: RequestParts) -> Claim | None:
    """The request's claim, in whichever form it is made; None when the request is not signed. Raises `AuthenticationFailed`."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        if not authorization.startswith(signature_v4.ALGORITHM):
            raise AuthenticationFailed(Reason.INCOMPLETE, "the Authorization header must use AWS4-HMAC-SHA256")
        return signature_v4.claim_of(request)
    if not request.query:
        return None
    names = {name for name, _ in request.query}
    if "X-Amz-Signature" in names or "X-Amz-Credential" in names:
        return presigned_v4.claim_of(request)
    return presigned_v2.claim_of(request) if names & {"AWSAccessKeyId", "Signature"} else None


def _payload_hash(request: RequestParts, claim: Claim) -> str:
    announced = request.headers.get("x-amz-content-sha256")
    if announced is not None:
        if announced not in (*_SIGNED_CHUNKS, *_UNSIGNED) and not _SHA256.fullmatch(announced):
            raise AuthenticationFailed(
                Reason.INCOMPLETE,
                f"x-amz-content-sha256 must be a SHA-256 in hexadecimal or one of {', '.join((*_UNSIGNED, *_SIGNED_CHUNKS))}",
            )
        return announced
    if claim.service == "s3":
        return signature_v4.UNSIGNED
    return hashlib.sha256(request.body).hexdigest()  # type: ignore[arg-type]  # only S3 streams


def check_expiry(claim: Claim) -> None:
    """Refuse a presigned request outside its time. Raises `AuthenticationFailed`."""
    if claim.form == "presigned-v2" and claim.time < _now():
        raise AuthenticationFailed(Reason.EXPIRED, "Request has expired")
    if claim.form == "presigned" and claim.expires_seconds is not None:
        if claim.time + timedelta(seconds=claim.expires_seconds) < _now():
            raise AuthenticationFailed(Reason.EXPIRED, "Request has expired")
        if claim.time > _now() + SKEW:
            raise AuthenticationFailed(Reason.EXPIRED, "Request is not yet valid")


def check_skew(claim: Claim) -> None:
    """Refuse a signature that was made too long ago, or by a clock too far ahead. Raises `AuthenticationFailed`."""
    now = _now()
    if abs(now - claim.time) > SKEW:
        raise AuthenticationFailed(
            Reason.SKEWED,
            f"The difference between the request time ({claim.time:%Y%m%dT%H%M%SZ}) and the server's "
            f"({now:%Y%m%dT%H%M%SZ}) is too large; 15 minutes are allowed",
        )


def _now() -> datetime:
    """Wall time: signatures do not follow the service clock that tests turn."""
    return datetime.fromtimestamp(time.time(), UTC)


@lru_cache(maxsize=1024)
def open_identity(account: str) -> Identity:
    """Whom any unregistered key means in open mode: a session of the account's default role."""
    role = default_role(account)
    return role_session(role.arn, "clary", role.state["RoleId"])
