"""REST operations by method, URI template and the query keys and headers that tell them apart.

S3 puts a hundred operations on three templates. `PUT /{Bucket}/{Key+}` alone is PutObject, UploadPart (it requires
`partNumber` and `uploadId`), CopyObject (it requires `x-amz-copy-source`) and more. So among the operations of a method and
template the one wins whose literal query keys are all there and that has the most of them; then the one with the fewest
required query keys and headers missing and the most present; then one that is not deprecated.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from clary.core.errors import ServiceError
from clary.gateway.wire.models import load_service
from clary.gateway.wire.request import RequestParts

if TYPE_CHECKING:
    from botocore.model import OperationModel

_LABEL = re.compile(r"\{([^}]+)\}")


@dataclass(frozen=True, slots=True)
class _Candidate:
    operation: str
    literals: frozenset[tuple[str, str]]
    """Query pairs of the template; the value "" accepts any."""
    required_query: frozenset[str]
    required_headers: frozenset[str]
    deprecated: bool


@dataclass(frozen=True, slots=True)
class _Resource:
    """One method and URI template with everything that lives there."""

    method: str
    pattern: re.Pattern[str]
    candidates: tuple[_Candidate, ...]


def match(service: str, request: RequestParts, path: str) -> str:
    """The operation of `service` that `request` at the percent-encoded `path` means; "" when there is none."""
    if service == "s3" and _is_form_upload(request, path):
        return "PostObject"
    query = dict(request.query)
    for resource in _resources(service):
        if resource.method == request.method and resource.pattern.fullmatch(path):
            return _best(resource.candidates, query, request.headers)
    return ""


def labels(operation: OperationModel, path: str) -> dict[str, str]:
    """The URI labels of a path, percent-decoded once. Raises `ServiceError` (`InvalidURI`) where they are not UTF-8."""
    pattern, _ = _template(operation.http["requestUri"])
    found = pattern.fullmatch(path)
    if found is None:
        return {}
    names = (label.rstrip("+") for label in _LABEL.findall(operation.http["requestUri"]))
    try:
        return {name: unquote(text, errors="strict") for name, text in zip(names, found.groups(), strict=True)}
    except UnicodeDecodeError:
        raise ServiceError("Couldn't parse the specified URI: it is not UTF-8.", code="InvalidURI", status=400) from None


def query_keys(operation: OperationModel) -> frozenset[str]:
    """The query keys by which a request says that it means this operation."""
    return frozenset(key for key, _ in _template(operation.http["requestUri"])[1])


def _is_form_upload(request: RequestParts, path: str) -> bool:
    is_form = request.headers.get("content-type", "").lower().startswith("multipart/form-data")
    return request.method == "POST" and is_form and "/" not in path.strip("/")


def _best(candidates: tuple[_Candidate, ...], query: dict[str, str], headers: dict[str, str]) -> str:
    fitting = [candidate for candidate in candidates if not candidate.literals or _has(query, candidate.literals)]
    if not fitting:
        return ""
    if len(fitting) == 1:
        return fitting[0].operation
    named = query.get("x-id")  # other SDKs name the operation
    return max(fitting, key=lambda candidate: _fit(candidate, query, headers, named)).operation


def _has(query: dict[str, str], literals: frozenset[tuple[str, str]]) -> bool:
    return bool(query) and all(key in query and (not value or query[key] == value) for key, value in literals)


def _fit(candidate: _Candidate, query: dict[str, str], headers: dict[str, str], named: str | None) -> tuple[int, ...]:
    missing = len(candidate.required_query - query.keys()) + len(candidate.required_headers - headers.keys())
    present = len(candidate.required_query) + len(candidate.required_headers) - missing
    return (candidate.operation == named, len(candidate.literals), -missing, present, -candidate.deprecated)


@functools.cache
def _resources(service: str) -> tuple[_Resource, ...]:
    """The service's resources, those with more literal segments and fewer labels first."""
    model = load_service(service)
    found: dict[tuple[str, re.Pattern[str]], list[_Candidate]] = {}
    order: dict[tuple[str, re.Pattern[str]], tuple[int, int]] = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        uri = operation.http["requestUri"]
        pattern, literals = _template(uri)
        key = (operation.http["method"], pattern)
        found.setdefault(key, []).append(_candidate(operation, literals))
        path = uri.partition("?")[0]
        order[key] = (len(_LABEL.findall(path)) + path.count("+}"), -len(_LABEL.sub("", path)))
    keys = sorted(found, key=lambda key: order[key])
    return tuple(_Resource(method, pattern, tuple(found[method, pattern])) for method, pattern in keys)


@functools.cache
def _template(uri: str) -> tuple[re.Pattern[str], frozenset[tuple[str, str]]]:
    """The path pattern of a URI template and the query pairs it fixes (`x-id` is a hint and fixes nothing)."""
    path, _, query = uri.partition("?")
    pattern = ""
    for index, part in enumerate(_LABEL.split(path)):
        if index % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += "(.+)" if part.endswith("+") else "([^/]+)"
    if not path.endswith(("/", "+}")):
        pattern += "/?"
    pairs = frozenset(pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "x-id")
    return re.compile(pattern, re.DOTALL), pairs


def _candidate(operation: OperationModel, literals: frozenset[tuple[str, str]]) -> _Candidate:
    required: dict[str, set[str]] = {"querystring": set(), "header": set()}
    shape = operation.input_shape
    for name in shape.required_members if shape else ():
        traits = shape.members[name].serialization
        if traits.get("location") in required:
            wire_name = traits.get("name", name)
            required[traits["location"]].add(wire_name.lower() if traits["location"] == "header" else wire_name)
    return _Candidate(
        operation.name,
        literals,
        frozenset(required["querystring"]),
        frozenset(required["header"]),
        bool(operation.deprecated),
    )
