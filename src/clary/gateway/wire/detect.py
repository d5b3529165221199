"""Which operation a request asks for, by the marks each protocol leaves (client contract, section 1.2).

In order: `X-Amz-Target` · an rpc-v2-cbor path · a query `Action` · the signing name, the host name and the path together ·
S3, which owns every path that nothing else claims.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from clary.gateway.wire import directory, hosts
from clary.gateway.wire.request import RequestParts, Route, reads_form
from clary.gateway.wire.routes import match

CBOR = "smithy-rpc-v2-cbor"
_CBOR_PATH = re.compile(r"/service/([^/]+)/operation/([^/]+)")
_ACTION = re.compile(rb"(?:^|&)(Action|Version)=([^&]*)")
_SIGNED_HEADER = re.compile(r"AWS4-HMAC-SHA256\s+Credential=[^/]*/\d*/[^/]*/([^/]+)/aws4_request")
_SIGNED_QUERY = re.compile(r"[^/]*/\d*/[^/]*/([^/]+)/aws4_request")

# Six APIs are signed as `sagemaker` and share one base URL; their paths do not overlap.
_SAGEMAKER_PATHS = (
    ("/endpoints/", "sagemaker-runtime"),
    ("/FeatureGroup/", "sagemaker-featurestore-runtime"),
    ("/BatchGetRecord", "sagemaker-featurestore-runtime"),
    ("/BatchWriteRecord", "sagemaker-featurestore-runtime"),
    ("/BatchPutMetrics", "sagemaker-metrics"),
    ("/BatchGetMetrics", "sagemaker-metrics"),
    ("/human-loops", "sagemaker-a2i-runtime"),
    ("/GetDeployments", "sagemaker-edge"),
    ("/GetDeviceRegistration", "sagemaker-edge"),
    ("/SendHeartbeat", "sagemaker-edge"),
)


def detect(request: RequestParts) -> Route:
    """The route of a request. Never raises: what cannot be placed has an empty service or operation."""
    target = request.headers.get("x-amz-target")
    if target:
        return _by_target(request, target)
    found = _CBOR_PATH.fullmatch(request.path)
    if found:
        return _by_cbor_path(request, found)
    return _by_action(request) or _by_path(request)


def _by_target(request: RequestParts, target: str) -> Route:
    prefix, _, operation = target.rpartition(".")
    # cloudtrail's prefix is "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"
    entry = directory.BY_TARGET.get(prefix) or directory.BY_TARGET.get(prefix.rpartition(".")[2])
    return Route(entry.service if entry else "", operation, "json", request.method, request.path)


def _by_cbor_path(request: RequestParts, found: re.Match[str]) -> Route:
    entry = directory.BY_TARGET.get(found[1])
    return Route(entry.service if entry else "", found[2], CBOR, request.method, request.path)


def _by_action(request: RequestParts) -> Route | None:
    """A query request: a form post, or a GET whose query string has `Action` (a presigned GetCallerIdentity)."""
    if request.method not in ("GET", "POST") or request.path != "/":
        return None
    fields = {key: value for key, value in request.query if key in ("Action", "Version")}
    if reads_form(request) and isinstance(request.body, bytes):
        fields |= {key.decode(): unquote_plus(value.decode("latin-1")) for key, value in _ACTION.findall(request.body)}
    signing = signing_name(request)
    if "Action" not in fields or signing == "s3":
        return None
    entry = directory.BY_QUERY_VERSION.get(fields.get("Version", "")) or directory.BY_SIGNING.get(signing)
    protocol = "ec2" if entry and entry.protocol == "ec2" else "query"
    return Route(entry.service if entry else "", fields["Action"], protocol, request.method, request.path)


def _by_path(request: RequestParts) -> Route:
    host = hosts.name_of(request.headers)
    entry = _entry_at(request, host)
    if entry is None:
        return Route("", "", "rest-json", request.method, request.path)
    if entry.protocol not in ("rest-json", "rest-xml"):
        protocol = "query" if entry.protocol == "query" else "json"
        return Route(entry.service, "", protocol, request.method, request.path)
    path = request.path
    bucket = hosts.bucket_of(host) if entry.service == "s3" else ""
    if bucket:
        path = f"/{bucket}{path if path.startswith('/') else '/' + path}"
    operation = match(entry.service, request, path)
    return Route(entry.service, operation, entry.protocol, request.method, path)


def _entry_at(request: RequestParts, host: str) -> directory.Entry | None:
    """The REST service at a path: by AWS host name, signing name and, where six share one, the shape of the path.

    None for a request that is signed for a service of which nothing is known.
    """
    named = hosts.service_of(host)
    if named:
        return named
    signing = signing_name(request)
    if signing == "sagemaker" or not signing:
        service = next((service for start, service in _SAGEMAKER_PATHS if request.path.startswith(start)), "")
        # Unsigned, such a path may also be a bucket called "endpoints"; only invocations are taken from S3.
        if service and (signing or request.path.rpartition("/")[2] in ("invocations", "async-invocations")):
            return directory.ENTRIES[service]
    if not signing or signing.startswith("s3"):  # s3express and s3-object-lambda sign S3's operations
        return directory.ENTRIES["s3"]
    return directory.BY_SIGNING.get(signing)


def signing_name(request: RequestParts) -> str:
    """The service in the request's credential scope, from the header or the presigned query; "" when there is none."""
    found = _SIGNED_HEADER.match(request.headers.get("authorization", ""))
    if found:
        return found[1]
    for key, value in request.query:
        if key.lower() == "x-amz-credential":
            presigned = _SIGNED_QUERY.fullmatch(value)
            return presigned[1] if presigned else ""
    return ""
