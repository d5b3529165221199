"""What the wire code sees of an HTTP request, and where the request is going."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

FORM = "application/x-www-form-urlencoded"


@dataclass(slots=True)
class RequestParts:
    """One HTTP request.

    `path` is percent-encoded as it came, without the query; header names are lower-case and values are the header's
    bytes as latin-1; `query` holds decoded pairs in order. `body` is bytes, or the stream itself for operations that
    `streams_body` names.
    """

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes: `operation` of `service`, spoken in `protocol` (botocore's name for it).

    `operation` is empty when no operation of the service fits; `load_operation` then raises the service's error for it.
    `path` is the request's path in path style: the bucket of a virtual-host request is its first segment.
    """

    service: str
    operation: str
    protocol: str
    method: str = "POST"
    path: str = "/"


def parse_query(text: str) -> list[tuple[str, str]]:
    """The decoded pairs of a query string or form body; `+` is a space, a key without `=` has the value "".

    Raises `ValueError` for more pairs than any request has.
    """
    return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=100_000)


def reads_form(request: RequestParts) -> bool:
    """Whether `detect` needs the body: a form post to `/` names its operation there, so it is read before `detect`."""
    return request.method == "POST" and request.path == "/" and request.headers.get("content-type", "").lower().startswith(FORM)
