"""What a signed request says about its signer, before any of it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from clary.core.errors import ServiceError
from clary.gateway.auth.refusals import Reason, refusal


class AuthenticationFailed(Exception):
    """A signature or credential that is not accepted; `authenticate` words it for the protocol in use."""

    def __init__(self, reason: Reason, message: str):
        super().__init__(message)
        self.reason = reason

    def worded_for(self, protocol: str) -> ServiceError:
        return refusal(self.reason, protocol, str(self))


@dataclass(frozen=True, slots=True)
class Claim:
    """Signer, place and time of a request, as it states them.

    `form` is `header`, `presigned`, `presigned-v2`, `form` or `form-v2`. `time` is the moment of signing (of expiry for
    presigned v2, which does not say when it was signed); `expires_seconds` is only set for presigned v4. v2 names no region.
    """

    form: str
    access_key: str
    signature: str
    time: datetime = datetime.min
    token: str | None = None
    date: str = ""
    region: str = ""
    service: str = ""
    signed_headers: Sequence[str] = ()
    expires_seconds: int | None = None

    @property
    def scope(self) -> str:
        """The credential scope: `20260102/us-east-1/s3/aws4_request`."""
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


@lru_cache(maxsize=1024)
def parse_amz_date(text: str) -> datetime:
    """`20260102T030405Z`. Raises `AuthenticationFailed`."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise AuthenticationFailed(
            Reason.INCOMPLETE, f"the signing time {text!r} must have the form YYYYMMDDTHHMMSSZ (X-Amz-Date)"
        ) from None
