"""The same refusal in each protocol's words: codes and statuses differ by service, the reasons do not."""

from __future__ import annotations

from enum import Enum

from clary.core.errors import ServiceError


class Reason(Enum):
    """Why a request is refused. The value is the table's row: (json, query, S3), each as (code, status)."""

    MISSING = (("MissingAuthenticationTokenException", 400), ("MissingAuthenticationToken", 403), ("AccessDenied", 403))
    INCOMPLETE = (("IncompleteSignatureException", 400), ("IncompleteSignature", 400), ("AuthorizationHeaderMalformed", 400))
    UNKNOWN_KEY = (("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403), ("InvalidAccessKeyId", 403))
    BAD_TOKEN = (("UnrecognizedClientException", 400), ("InvalidClientTokenId", 403), ("InvalidToken", 400))
    EXPIRED_TOKEN = (("ExpiredTokenException", 400), ("ExpiredToken", 403), ("ExpiredToken", 400))
    MISMATCH = (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("SignatureDoesNotMatch", 403))
    SKEWED = (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("RequestTimeTooSkewed", 403))
    EXPIRED = (("InvalidSignatureException", 400), ("SignatureDoesNotMatch", 403), ("AccessDenied", 403))
    DENIED = (("AccessDeniedException", 400), ("AccessDenied", 403), ("AccessDenied", 403))


def refusal(reason: Reason, protocol: str, message: str) -> ServiceError:
    """The error for `reason` as a service that speaks `protocol` (botocore's name) words it."""
    for_json, for_query, for_s3 = reason.value
    if protocol == "rest-xml":
        code, status = for_s3
    elif protocol in ("query", "ec2"):
        code, status = for_query
    else:
        code, status = for_json
        if protocol == "rest-json":
            status = 403
    return ServiceError(message, code=code, status=status)
