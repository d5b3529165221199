"""Writers of JSON and CBOR documents: a handler's values filtered by the output shape, under their wire names.

A handler may answer with more than the shape has (a Describe returns the stored request whole); only members of the shape
leave the house, and a member that is None stays at home.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from clary.gateway.wire import scalars
from clary.gateway.wire.plans import Compiler, Plan

if TYPE_CHECKING:
    from botocore.model import Shape


class JsonWriter(Compiler):
    """Plans `value -> JSON-able value`; None where the value goes out as it is."""

    def of_structure(self, shape: Shape) -> Plan | None:
        if shape.is_document_type:
            return None
        members = {name: (m.serialization.get("name", name), self.plan(m)) for name, m in shape.members.items()}

        def write(value: dict[str, Any]) -> dict[str, Any]:
            result = {}
            for name, item in value.items():
                if item is not None and name in members:
                    wire_name, plan = members[name]
                    result[wire_name] = item if plan is None else plan(item)
            return result

        return write

    def of_list(self, shape: Shape) -> Plan:
        plan = self.plan(shape.member)
        return list if plan is None else lambda value: [plan(item) for item in value]

    def of_map(self, shape: Shape) -> Plan | None:
        plan = self.plan(shape.value)
        return None if plan is None else lambda value: {key: plan(item) for key, item in value.items()}

    def of_string(self, shape: Shape) -> Plan | None:
        return None

    of_character = of_boolean = of_integer = of_long = of_string

    def of_float(self, shape: Shape) -> Plan | None:
        return _json_float

    of_double = of_float

    def of_blob(self, shape: Shape) -> Plan | None:
        return lambda value: base64.b64encode(value.encode() if isinstance(value, str) else value).decode()

    def of_timestamp(self, shape: Shape) -> Plan | None:
        spelled = shape.serialization.get("timestampFormat", "unixtimestamp").lower()
        return scalars.epoch if spelled == "unixtimestamp" else scalars.TIMESTAMP_TEXT[spelled]


class CborWriter(JsonWriter):
    """The same for CBOR, which has bytes, timestamps and infinite numbers of its own."""

    def of_float(self, shape: Shape) -> Plan | None:
        return float

    of_double = of_float

    def of_blob(self, shape: Shape) -> Plan | None:
        return lambda value: value.encode() if isinstance(value, str) else value

    def of_timestamp(self, shape: Shape) -> Plan | None:
        return scalars.utc


def _json_float(value: float) -> float | str:
    """JSON has no NaN and no infinities; AWS spells them."""
    return value if value - value == 0 else scalars.float_text(value)
