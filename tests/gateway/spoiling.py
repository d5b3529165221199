"""Ways to spoil a request: one part of it becomes something that no client would send."""

from __future__ import annotations

import dataclasses
import random
import re
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import orjson

from clary.gateway.wire import RequestParts

MISFITS: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 1e308, 1.5, "", " ", "x" * 70_000, "ä日\U0001f600", "a\x00b", "\n", "../../etc/passwd",
    "${x}", "%2e%2e%2f", "arn:aws:iam::000000000000:role/r", "arn:::::", "s3://", "s3://b/../c", "'; DROP TABLE resources; --",
    "null", [], {}, [None], [[]], {"": ""}, {"a": {"b": {}}}, ["a"] * 1000,
]  # fmt: skip
TEXTS = [value for value in MISFITS if isinstance(value, str)] + ["-1", "0", "1e309", "9" * 30, "true", "1970-01-01T00:00:00Z"]
BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\x00" * 64,
    b"\xff\xfe\xfd",
    b"<a>",
    b"<a/>",
    b"Action=",
    b"=&=&",
    b"[" * 20_000,
    b"<a>" * 20_000,
]
HEADERS = [
    "content-type", "content-encoding", "content-md5", "range", "if-match", "if-modified-since", "x-amz-content-sha256",
    "x-amz-decoded-content-length", "x-amz-trailer", "x-amz-security-token", "x-amz-checksum-crc32",
    "x-amz-sdk-checksum-algorithm", "origin",
]  # fmt: skip
_XML_TEXT = re.compile(rb">([^<>]*)<")


def spoiled(request: RequestParts, source: random.Random) -> RequestParts:
    """A copy of `request` with one thing wrong."""
    return source.choice((_body, _body, _body, _query, _path, _headers))(request, source)


def _body(request: RequestParts, source: random.Random) -> RequestParts:
    body = bytes(request.body)  # type: ignore[arg-type]
    kind = source.random()
    if not body or kind < 0.1:
        new = source.choice(BODIES)
    elif kind < 0.2:
        new = body[: source.randrange(len(body))]
    elif "json" in request.headers.get("content-type", ""):
        new = orjson.dumps(_replaced(orjson.loads(body), source))
    elif body.startswith(b"<"):
        new = _other_xml(body, source)
    elif "form" in request.headers.get("content-type", ""):
        new = _other_form(body, source)
    else:
        cut = source.randrange(len(body))
        new = body[:cut] + source.randbytes(3) + body[cut + 1 :]
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    return dataclasses.replace(request, body=new, headers=headers)


def _replaced(document: Any, source: random.Random) -> Any:
    """The document with one node, somewhere, missing or replaced."""
    places = list(_places(document))
    if not places:
        return source.choice(MISFITS[:20])
    container, key = source.choice(places)
    if source.random() < 0.25:
        del container[key]
    else:
        misfit = source.choice(MISFITS)
        container[key] = float(misfit) if misfit == 2**63 else misfit
    return document


def _places(node: Any) -> Any:
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        yield node, key
        if isinstance(value, (dict, list)):
            yield from _places(value)


def _other_xml(body: bytes, source: random.Random) -> bytes:
    texts = list(_XML_TEXT.finditer(body))
    if not texts:
        return b"<a/>"
    found = source.choice(texts)
    return body[: found.start(1)] + source.choice(TEXTS).replace("\x00", "").encode() + body[found.end(1) :]


def _other_form(body: bytes, source: random.Random) -> bytes:
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    index = source.randrange(len(pairs))
    key, value = pairs[index]
    key = source.choice((key, key, key + ".member.1", key.replace(".1", ".x"), "Action", ""))
    pairs[index] = (key, source.choice(TEXTS)) if key else ("", value)
    return urlencode(pairs).encode()


def _query(request: RequestParts, source: random.Random) -> RequestParts:
    names = [name for name, _ in request.query] or ["versionId", "uploadId", "partNumber", "max-keys", "tagging", "x-id"]
    name = source.choice(names)
    rest = [pair for pair in request.query if pair[0] != name]
    return dataclasses.replace(request, query=[*rest, (name, source.choice(TEXTS)[:8000])])


def _path(request: RequestParts, source: random.Random) -> RequestParts:
    steps = request.path.split("/")
    index = source.randrange(len(steps))
    steps[index] = (
        quote(source.choice(TEXTS)[:2000], safe="") if source.random() < 0.8 else source.choice(("%", "%FF", "..", "//"))
    )
    path = "/".join(steps)
    return dataclasses.replace(request, path=path if path.startswith("/") else "/" + path)


def _headers(request: RequestParts, source: random.Random) -> RequestParts:
    names = [name for name in request.headers if name not in ("host", "content-length")] + HEADERS
    value = source.choice(TEXTS)[:4000].encode().decode("latin-1")
    return dataclasses.replace(request, headers=request.headers | {source.choice(names): re.sub(r"[\x00-\x1f]", "", value)})
