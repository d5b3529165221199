"""What a `Host` header says: which service, and which bucket of a virtual-host request."""

from __future__ import annotations

import re

from clary.gateway.wire.directory import BY_HOST, Entry

# s3, s3-us-west-2, s3.us-west-2, s3.dualstack.us-west-2 and s3-fips, behind an optional bucket whose name may hold dots
_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:-(?!control)[a-z0-9-]+)?(?:\.[a-z0-9.-]+)?")
_AWS_SUFFIX = re.compile(r"\.amazonaws\.com(\.cn)?$|\.api\.aws$")
_REGION_LABELS = re.compile(r"(\.dualstack|\.fips)?\.(us|eu|ap|sa|ca|me|af|cn|il|mx)(-[a-z]+)+-\d+$")


def name_of(headers: dict[str, str]) -> str:
    """The host name of a request, lower-case, without the port."""
    host = headers.get("host", "").lower()
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def service_of(host: str) -> Entry | None:
    """The service that an AWS host name belongs to: `runtime.sagemaker.eu-west-1.amazonaws.com`. None for other names."""
    name, found = _AWS_SUFFIX.subn("", host)
    if not found:
        return None
    return BY_HOST.get(_REGION_LABELS.sub("", name))


def bucket_of(host: str) -> str:
    """The bucket that a virtual-host name carries: `b` of `b.s3.localhost` and `b.s3.eu-west-1.amazonaws.com`, else ""."""
    if ".s3." not in host and ".s3-" not in host:
        return ""
    found = _S3_HOST.fullmatch(host)
    return (found["bucket"] or "") if found else ""
