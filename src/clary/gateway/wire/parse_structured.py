"""Readers of decoded JSON and CBOR documents: check every value's type, convert timestamps and blobs, drop the unknown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from clary.gateway.wire import scalars
from clary.gateway.wire.plans import Compiler, Plan
from clary.gateway.wire.scalars import Mismatch

if TYPE_CHECKING:
    from botocore.model import Shape

# Java's serializer names what it found like this, and clients quote it.
_FOUND = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", bool: "BOOLEAN_VALUE", type(None): "NULL_VALUE"}


def _mismatch(value: Any, wanted: str) -> Mismatch:
    if isinstance(value, (dict, list)):
        return Mismatch(f"Start of {'structure or map' if isinstance(value, dict) else 'list'} found where not expected")
    if wanted in ("Structure", "Map", "List"):
        return Mismatch("Expected list or null" if wanted == "List" else "Expected structure or map")
    found = _FOUND.get(type(value), type(value).__name__.upper())
    return Mismatch(f"{found} can not be converted to {'an' if wanted[0] in 'AEIOU' else 'a'} {wanted}")


class JsonReader(Compiler):
    """Plans `value -> value` for documents decoded from JSON."""

    def of_structure(self, shape: Shape) -> Plan:
        if shape.is_document_type:
            return lambda value: value
        members = {m.serialization.get("name", name): (name, self.plan(m)) for name, m in shape.members.items()}

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict:
                raise _mismatch(value, "Structure")
            result = {}
            for key, item in value.items():
                member = members.get(key)
                if member is None or item is None:
                    continue
                try:
                    result[member[0]] = member[1](item)
                except Mismatch as problem:
                    problem.path.insert(0, key)
                    raise
            return result

        return read

    def of_list(self, shape: Shape) -> Plan:
        plan = self.plan(shape.member)

        def read(value: Any) -> list[Any]:
            if type(value) is not list:
                raise _mismatch(value, "List")
            return [plan(item) for item in value]

        return read

    def of_map(self, shape: Shape) -> Plan:
        plan = self.plan(shape.value)

        def read(value: Any) -> dict[str, Any]:
            if type(value) is not dict or not all(type(key) is str for key in value):
                raise _mismatch(value, "Map")
            return {key: plan(item) for key, item in value.items()}

        return read

    def of_string(self, shape: Shape) -> Plan:
        return _string

    of_character = of_string

    def of_boolean(self, shape: Shape) -> Plan:
        return _boolean

    def of_integer(self, shape: Shape) -> Plan:
        type_name = shape.type_name

        def read(value: Any) -> int:
            if type(value) is float and value.is_integer():  # JavaScript and R write 1.0; orjson reads huge integers as floats
                value = int(value)
            if type(value) is not int:
                raise _mismatch(value, type_name.capitalize())
            return scalars.in_limits(value, type_name)

        return read

    of_long = of_integer

    def of_float(self, shape: Shape) -> Plan:
        return _float

    of_double = of_float

    def of_blob(self, shape: Shape) -> Plan:
        return lambda value: scalars.blob(_string(value))

    def of_timestamp(self, shape: Shape) -> Plan:
        return _timestamp


class CborReader(JsonReader):
    """The same for CBOR, which has bytes and timestamps of its own."""

    def of_blob(self, shape: Shape) -> Plan:
        return _bytes

    def of_timestamp(self, shape: Shape) -> Plan:
        return lambda value: value.astimezone(UTC) if isinstance(value, datetime) else _timestamp(value)


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _mismatch(value, "String")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _mismatch(value, "Boolean")
    return value


def _float(value: Any) -> float:
    if type(value) is str and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if type(value) not in (int, float):
        raise _mismatch(value, "Double")
    return value


def _bytes(value: Any) -> bytes:
    if type(value) is not bytes:
        raise _mismatch(value, "Blob")
    return value


def _timestamp(value: Any) -> datetime:
    if type(value) not in (int, float, str):
        raise _mismatch(value, "Timestamp")
    return scalars.timestamp(value)
