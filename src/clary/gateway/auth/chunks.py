"""Signatures of aws-chunked bodies: each chunk signs its data and the signature before it, the trailers sign last.

Source: S3 API reference, "Signature calculations for the Authorization header: transferring payload in multiple chunks" and
"... including trailing headers".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from clary.core.errors import ServiceError
from clary.gateway.auth.claim import Claim
from clary.gateway.auth.signature_v4 import EMPTY_SHA256, sign


class ChunkSignatures:
    """Checks the chain of signatures that the request's own signature starts."""

    def __init__(self, claim: Claim, secret: str):
        self._claim = claim
        self._secret = secret
        self._previous = claim.signature

    def check_chunk(self, sha256: str, signature: str) -> None:
        """Raises SignatureDoesNotMatch."""
        self._check(f"AWS4-HMAC-SHA256-PAYLOAD\n{self._place()}\n{EMPTY_SHA256}\n{sha256}", signature)

    def check_trailers(self, trailers: Iterable[tuple[str, str]], signature: str) -> None:
        """Raises SignatureDoesNotMatch."""
        digest = hashlib.sha256("".join(f"{name}:{value}\n" for name, value in trailers).encode()).hexdigest()
        self._check(f"AWS4-HMAC-SHA256-TRAILER\n{self._place()}\n{digest}", signature)

    def _place(self) -> str:
        return f"{self._claim.time:%Y%m%dT%H%M%SZ}\n{self._claim.scope}\n{self._previous}"

    def _check(self, text: str, signature: str) -> None:
        expected = sign(text, self._secret, self._claim)
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise ServiceError(
                "The signature of a chunk does not match its bytes",
                code="SignatureDoesNotMatch",
                status=403,
            )
        self._previous = expected
