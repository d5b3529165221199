"""REST requests: labels in the path, the query string, headers, and a JSON, XML or raw body."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, TreeBuilder, XMLParser

import orjson

from clary.gateway.wire.parse_structured import JsonReader
from clary.gateway.wire.plans import Compiler, Plan, compiler
from clary.gateway.wire.request import RequestParts, Route
from clary.gateway.wire.routes import labels
from clary.gateway.wire.scalars import FROM_TEXT, Mismatch

if TYPE_CHECKING:
    from botocore.model import OperationModel, Shape

_Place = Callable[[RequestParts, dict[str, str]], Any]
"""Reads one member from a request and its labels; None when it is absent."""


class Doctype(Exception):
    """An XML body declares a document type: the way to entities that grow, and no AWS request has one."""


class _NoDoctype(TreeBuilder):
    def doctype(self, *_: object) -> None:
        raise Doctype


def json_reader(operation: OperationModel) -> Callable[[RequestParts, Route], dict[str, Any]]:
    compile_body = compiler(JsonReader, operation.service_model).plan
    return _reader(operation, compile_body, orjson.loads)


def xml_reader(operation: OperationModel) -> Callable[[RequestParts, Route], dict[str, Any]]:
    plans = compiler(XmlReader, operation.service_model)
    return _reader(operation, lambda shape: _of_root(plans.plan(shape)), _xml)


def _xml(body: bytes) -> Element:
    parser = XMLParser(target=_NoDoctype())
    parser.feed(body)
    return parser.close()


def _of_root(plan: Plan) -> Plan:
    return lambda root: plan([root])


def _reader(
    operation: OperationModel, compile_body: Callable[[Shape], Plan], decode: Callable[[bytes], Any]
) -> Callable[[RequestParts, Route], dict[str, Any]]:
    shape = operation.input_shape
    places = {name: _place(name, member) for name, member in shape.members.items() if "location" in member.serialization}
    read_body = _body_reader(shape, places, compile_body, decode)

    def read(request: RequestParts, route: Route) -> dict[str, Any]:
        found = labels(operation, route.path)
        result = {}
        for name, place in places.items():
            try:
                value = place(request, found)
            except Mismatch as problem:
                problem.path.insert(0, name)
                raise
            if value is not None:
                result[name] = value
        read_body(request.body, result)
        return result

    return read


def _body_reader(
    shape: Shape, places: dict[str, _Place], compile_body: Callable[[Shape], Plan], decode: Callable[[bytes], Any]
) -> Callable[[Any, dict[str, Any]], None]:
    """Adds what the body holds to the parameters: one payload member, or every member without a place of its own."""
    payload = shape.serialization.get("payload")
    if payload is None:
        plan = compile_body(shape) if len(places) < len(shape.members) else None

        def read_members(body: bytes, result: dict[str, Any]) -> None:
            if plan and body:
                result.update((name, value) for name, value in plan(decode(body)).items() if name not in places)

        return read_members
    member = shape.members[payload]
    if member.type_name in ("blob", "string"):

        def read_raw(body: Any, result: dict[str, Any]) -> None:
            if body != b"" or member.serialization.get("streaming"):
                result[payload] = body.decode() if member.type_name == "string" else body

        return read_raw
    plan = compile_body(member)

    def read_payload(body: bytes, result: dict[str, Any]) -> None:
        if body:
            result[payload] = plan(decode(body))

    return read_payload


def _place(name: str, member: Shape) -> _Place:
    location = member.serialization["location"]
    wire_name = member.serialization.get("name", name)
    if location == "uri":
        convert = _from_text(member)
        return lambda request, found: convert(found[wire_name]) if wire_name in found else None
    if location == "querystring":
        return _in_query(wire_name, member)
    if location == "headers":
        prefix = wire_name.lower()
        return lambda request, found: _header_map(request.headers, prefix)
    header, convert = wire_name.lower(), _from_text(member)
    return lambda request, found: convert(request.headers[header]) if header in request.headers else None


def _in_query(wire_name: str, member: Shape) -> _Place:
    if member.type_name == "map":
        return lambda request, found: dict(request.query) or None
    if member.type_name == "list":
        convert_item = _from_text(member.member)
        return lambda request, found: [convert_item(value) for key, value in request.query if key == wire_name] or None
    convert = _from_text(member)

    def read(request: RequestParts, found: dict[str, str]) -> Any:
        for key, value in request.query:
            if key == wire_name:
                return convert(value)
        return None

    return read


def _header_map(headers: dict[str, str], prefix: str) -> dict[str, str] | None:
    return {name[len(prefix) :]: value for name, value in headers.items() if name.startswith(prefix)} or None


def _from_text(member: Shape) -> Callable[[str], Any]:
    """The reader of a label, query value or header."""
    if member.type_name != "list":
        return FROM_TEXT[member.type_name]
    convert = FROM_TEXT[member.member.type_name]
    return lambda text: [convert(item) for item in _header_items(text)]


def _header_items(text: str) -> list[str]:
    """The items of a comma separated header; an item with commas or quotes is quoted, `"a,\\"b"`."""
    from urllib.request import parse_http_list

    items = []
    for item in parse_http_list(text):
        if len(item) >= 2 and item[0] == item[-1] == '"':
            item = item[1:-1].replace('\\"', '"')
        items.append(item)
    return items


class XmlReader(Compiler):
    """Plans `elements -> value`, where `elements` are the siblings that carry the member's name."""

    def of_structure(self, shape: Shape) -> Plan:
        members, attributes = {}, {}
        for name, member in shape.members.items():
            traits = member.serialization
            if traits.get("xmlAttribute"):
                attributes[traits["name"].rpartition(":")[2]] = name
            elif "location" not in traits:
                members[traits.get("name", name)] = (name, self.plan(member))

        def read(elements: list[Element]) -> dict[str, Any]:
            children: dict[str, list[Element]] = {}
            for child in elements[0]:
                children.setdefault(_local(child.tag), []).append(child)
            result = {attributes[_local(k)]: v for k, v in elements[0].items() if _local(k) in attributes}
            for tag, found in children.items():
                if tag in members:
                    name, plan = members[tag]
                    result[name] = plan(found)
            return result

        return read

    def of_list(self, shape: Shape) -> Plan:
        plan = self.plan(shape.member)
        if shape.serialization.get("flattened"):
            return lambda elements: [plan([element]) for element in elements]
        wrapper = shape.member.serialization.get("name", "member")
        return lambda elements: [plan([child]) for child in elements[0] if _local(child.tag) == wrapper]

    def of_map(self, shape: Shape) -> Plan:
        key_plan, value_plan = self.plan(shape.key), self.plan(shape.value)
        key_name = shape.key.serialization.get("name", "key")
        value_name = shape.value.serialization.get("name", "value")
        flattened = shape.serialization.get("flattened")

        def read(elements: list[Element]) -> dict[str, Any]:
            result = {}
            for entry in elements if flattened else elements[0]:
                parts = {_local(child.tag): child for child in entry}
                if key_name not in parts or value_name not in parts:
                    raise Mismatch("Every map entry needs a key and a value")
                result[key_plan([parts[key_name]])] = value_plan([parts[value_name]])
            return result

        return read

    def of_string(self, shape: Shape) -> Plan:
        convert = FROM_TEXT[shape.type_name]
        return lambda elements: convert(elements[0].text or "")

    of_character = of_boolean = of_integer = of_long = of_float = of_double = of_blob = of_timestamp = of_string


def _local(tag: str) -> str:
    """The tag without its namespace: clients send S3 bodies with and without one."""
    return tag.rpartition("}")[2]
