"""Presigned URLs, signature version 4: everything the Authorization header would say stands in the query."""

from __future__ import annotations

import re

from clary.gateway.auth.claim import AuthenticationFailed, Claim, parse_amz_date
from clary.gateway.auth.refusals import Reason
from clary.gateway.auth.signature_v4 import ALGORITHM, check_signed_headers, split_credential
from clary.gateway.wire import RequestParts

LONGEST_SECONDS = 7 * 24 * 3600
_NEEDED = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")


def claim_of(request: RequestParts) -> Claim:
    """The claim in the query. Raises `AuthenticationFailed` naming the parameter that is missing or wrong."""
    query = dict(request.query)
    for name in _NEEDED:
        if not query.get(name):
            raise AuthenticationFailed(Reason.INCOMPLETE, f"a presigned URL carries {', '.join(_NEEDED)}; {name} is missing")
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise AuthenticationFailed(Reason.INCOMPLETE, f"X-Amz-Algorithm must be {ALGORITHM}")
    access_key, date, region, service = split_credential(query["X-Amz-Credential"])
    signed_headers = tuple(query["X-Amz-SignedHeaders"].split(";"))
    check_signed_headers(signed_headers)
    return Claim(
        "presigned",
        access_key,
        query["X-Amz-Signature"],
        parse_amz_date(query["X-Amz-Date"]),
        query.get("X-Amz-Security-Token"),
        date,
        region,
        service,
        signed_headers,
        _lifetime(query["X-Amz-Expires"]),
    )


def _lifetime(text: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text) or not 1 <= int(text) <= LONGEST_SECONDS:
        raise AuthenticationFailed(Reason.INCOMPLETE, f"X-Amz-Expires must be between 1 and {LONGEST_SECONDS}; got {text!r}")
    return int(text)
