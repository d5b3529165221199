"""S3's own errors, with the extra elements that AWS puts beside Code and Message."""

from __future__ import annotations

from typing import Any

from clary.core.errors import ServiceError


class S3Error(ServiceError):
    """`elements` become further children of `<Error>`."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None, **elements: Any):
        super().__init__(message, code=code, status=status, members=elements, headers=headers)


def access_denied(message: str = "Access Denied") -> S3Error:
    return S3Error(403, "AccessDenied", message)


def bad_digest(message: str, **elements: Any) -> S3Error:
    return S3Error(400, "BadDigest", message, **elements)


def invalid_argument(message: str, name: str, value: object) -> S3Error:
    return S3Error(400, "InvalidArgument", message, ArgumentName=name, ArgumentValue=str(value))


def invalid_request(message: str) -> S3Error:
    return S3Error(400, "InvalidRequest", message)


def no_such_bucket(bucket: str) -> S3Error:
    return S3Error(404, "NoSuchBucket", "The specified bucket does not exist", BucketName=bucket)


def no_such_key(key: str) -> S3Error:
    return S3Error(404, "NoSuchKey", "The specified key does not exist.", Key=key)


def no_such_upload(upload_id: str) -> S3Error:
    message = (
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
    return S3Error(404, "NoSuchUpload", message, UploadId=upload_id)


def not_implemented(parameter: str, why: str) -> S3Error:
    """A parameter with an effect that Clary does not have: refused by name."""
    return S3Error(501, "NotImplemented", f"{parameter} is not implemented: {why}", Header=parameter)


def precondition_failed(condition: str) -> S3Error:
    message = "At least one of the pre-conditions you specified did not hold"
    return S3Error(412, "PreconditionFailed", message, Condition=condition)


def disk_full(directory: object) -> S3Error:
    """503, which clients retry and then report with the message."""
    return S3Error(
        503, "ServiceUnavailable", f"the disk that holds {directory} is full; free some space and repeat the request"
    )
