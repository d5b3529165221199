"""Text <-> numbers, booleans, timestamps and blobs, as every protocol but JSON and CBOR carries them.

Timestamps have three spellings: `unixtimestamp` (JSON bodies), `iso8601` (query and XML bodies, query strings) and `rfc822`
(headers); a shape's `timestampFormat` overrides its place's default. All three are read wherever one is expected.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

_INTEGER = re.compile(r"[+-]?[0-9]{1,20}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")
_LIMITS = {"integer": 2**31, "long": 2**63}


class Mismatch(Exception):
    """A value on the wire is not of its shape's type. `path` grows outwards while it travels."""

    def __init__(self, message: str):
        super().__init__(message)
        self.message = message
        self.path: list[str] = []


def in_limits(value: int, type_name: str) -> int:
    """`value` if it fits the shape type; raises `Mismatch`."""
    limit = _LIMITS[type_name]
    if not -limit <= value < limit:
        raise Mismatch(f"NUMBER_VALUE {str(value)[:40]} is out of range for a {type_name.capitalize()}")
    return value


def integer(text: str, type_name: str = "integer") -> int:
    if not _INTEGER.fullmatch(text.strip()):
        raise Mismatch(f"STRING_VALUE {text[:40]!r} can not be converted to an {type_name.capitalize()}")
    return in_limits(int(text), type_name)


def number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Mismatch(f"STRING_VALUE {text[:40]!r} can not be converted to a Double") from None


def boolean(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in ("true", "false", "1", "0"):
        raise Mismatch(f"STRING_VALUE {text[:40]!r} can not be converted to a Boolean")
    return lowered in ("true", "1")


def blob(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Mismatch("STRING_VALUE is not valid base64") from None


def timestamp(value: str | float) -> datetime:
    """An aware UTC datetime from epoch seconds or any of the three spellings; raises `Mismatch`."""
    try:
        if not isinstance(value, str):
            return datetime.fromtimestamp(value, UTC)
        if _NUMBER.fullmatch(value.strip()):
            return datetime.fromtimestamp(float(value), UTC)
        moment = datetime.fromisoformat(value.strip()) if value[:1].isdigit() else parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        raise Mismatch(f"{str(value)[:40]!r} can not be converted to a Timestamp") from None


FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "integer": integer,
    "long": lambda text: integer(text, "long"),
    "float": number,
    "double": number,
    "boolean": boolean,
    "blob": blob,
    "timestamp": timestamp,
}
"""Readers by shape type."""


def utc(value: datetime | float) -> datetime:
    """What a handler gave for a timestamp as an aware UTC datetime; naive datetimes are UTC."""
    if not isinstance(value, datetime):
        return datetime.fromtimestamp(value, UTC)
    if value.tzinfo is UTC:
        return value
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def epoch(value: datetime | float) -> float:
    """The same as epoch seconds."""
    return utc(value).timestamp() if isinstance(value, datetime) else value


def iso8601(value: datetime | float) -> str:
    """`2024-01-01T00:00:00Z`, with a fraction where there is one."""
    return utc(value).isoformat()[: -len("+00:00")] + "Z"


def rfc822(value: datetime | float) -> str:
    """`Mon, 01 Jan 2024 00:00:00 GMT`; whole seconds, as HTTP dates are."""
    return format_datetime(utc(value).replace(microsecond=0), usegmt=True)


TIMESTAMP_TEXT: dict[str, Callable[[datetime | float], str]] = {
    "iso8601": iso8601,
    "rfc822": rfc822,
    "unixtimestamp": lambda value: repr(epoch(value)),
}


def float_text(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


TO_TEXT: dict[str, Callable[[Any], str]] = {
    "string": str,
    "character": str,
    "integer": str,
    "long": str,
    "float": float_text,
    "double": float_text,
    "boolean": lambda value: "true" if value else "false",
    "blob": lambda value: base64.b64encode(value.encode() if isinstance(value, str) else value).decode(),
}
"""Writers by shape type; timestamps depend on their place."""


def to_text(type_name: str, timestamp_format: str) -> Callable[[Any], str]:
    """The writer of a scalar shape whose timestamps are spelled `timestamp_format`."""
    if type_name == "timestamp":
        return TIMESTAMP_TEXT[timestamp_format.lower()]
    return TO_TEXT[type_name]
