"""Query requests: a form whose dotted keys spell out a tree (`Tags.member.1.Key=a`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clary.gateway.wire.plans import Compiler, Plan, compiler
from clary.gateway.wire.request import RequestParts, Route
from clary.gateway.wire.request import parse_query as parse_form
from clary.gateway.wire.scalars import FROM_TEXT, Mismatch

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

_DEEPEST = 60
"""Steps of a key; the models' deepest has a dozen."""

Node = dict[str, Any]
"""Children by name; the text of the node itself under ""."""


def reader(operation: OperationModel) -> Callable[[RequestParts, Route], dict[str, Any]]:
    plan = compiler(QueryReader, operation.service_model).plan(operation.input_shape)

    def read(request: RequestParts, route: Route) -> dict[str, Any]:
        pairs = list(request.query)
        if isinstance(request.body, bytes):
            pairs += parse_form(request.body.decode())
        return plan(_tree(pairs))

    return read


def _tree(pairs: list[tuple[str, str]]) -> Node:
    root: Node = {}
    for key, text in pairs:
        node = root
        steps = key.split(".", _DEEPEST)
        if len(steps) > _DEEPEST:
            raise Mismatch(f"{key[:80]!r} is nested too deeply")
        for step in steps:
            node = node.setdefault(step, {})
        node[""] = text
    return root


def _numbered(node: Node) -> list[Node]:
    """The children `1`, `2`, ... in the order of their numbers."""
    numbers = sorted((key for key in node if key.isascii() and key.isdigit()), key=lambda key: (len(key), key))
    return [node[number] for number in numbers]


class QueryReader(Compiler):
    """Plans `node -> value`."""

    def of_structure(self, shape: Shape) -> Plan:
        members = {name: (_key(name, member), self.plan(member)) for name, member in shape.members.items()}

        def read(node: Node) -> dict[str, Any]:
            result = {}
            for name, (key, plan) in members.items():
                if key in node:
                    try:
                        result[name] = plan(node[key])
                    except Mismatch as problem:
                        problem.path.insert(0, name)
                        raise
            return result

        return read

    def of_list(self, shape: Shape) -> Plan:
        plan = self.plan(shape.member)
        if shape.serialization.get("flattened"):
            return lambda node: [plan(item) for item in _numbered(node)]
        wrapper = shape.member.serialization.get("name", "member")
        return lambda node: [plan(item) for item in _numbered(node.get(wrapper, {}))]

    def of_map(self, shape: Shape) -> Plan:
        key_plan, value_plan = self.plan(shape.key), self.plan(shape.value)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        wrapper = None if shape.serialization.get("flattened") else "entry"

        def read(node: Node) -> dict[str, Any]:
            entries = _numbered(node if wrapper is None else node.get(wrapper, {}))
            if not all(key_name in entry and value_name in entry for entry in entries):
                raise Mismatch("Every map entry needs a key and a value")
            return {key_plan(entry[key_name]): value_plan(entry[value_name]) for entry in entries}

        return read

    def of_string(self, shape: Shape) -> Plan:
        convert = FROM_TEXT[shape.type_name]

        def read(node: Node) -> Any:
            if "" not in node:
                raise Mismatch("A single value was expected and a structure or list was found")
            return convert(node[""])

        return read

    of_character = of_boolean = of_integer = of_long = of_float = of_double = of_blob = of_timestamp = of_string


def _key(name: str, member: Shape) -> str:
    """A flattened list takes its member's name where that has one (botocore's serializer does the same)."""
    own = member.serialization.get("name", name)
    if member.type_name == "list" and member.serialization.get("flattened"):
        return member.member.serialization.get("name", own)
    return own
