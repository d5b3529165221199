"""Writers of XML documents, for query and rest-xml answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clary.gateway.wire.plans import Compiler
from clary.gateway.wire.scalars import to_text

if TYPE_CHECKING:
    from botocore.model import Shape

Write = Callable[[str, Any, list[str]], None]
"""`write(tag, value, out)` appends one element (or several, for a flattened list)."""

# XML 1.0 has no way to write these characters, not even as references.
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_SPECIAL = re.compile(r"[&<>\"\r]|" + _UNWRITABLE.pattern)
_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"}


def escape(text: str) -> str:
    """`text` as XML content or attribute value; what XML cannot carry becomes U+FFFD."""
    if text.isalnum():  # most values: names, numbers, words of an enumeration
        return text
    return _SPECIAL.sub(lambda found: _REFERENCES.get(found[0], "\ufffd"), text)


def element(tag: str, text: str) -> str:
    return f"<{tag}>{escape(text)}</{tag}>"


def namespace(declared: dict[str, str] | str | None) -> str:
    """The attribute for a shape's `xmlNamespace`."""
    if not declared:
        return ""
    if isinstance(declared, str):
        return f' xmlns="{escape(declared)}"'
    prefix = f":{declared['prefix']}" if declared.get("prefix") else ""
    return f' xmlns{prefix}="{escape(declared["uri"])}"'


class XmlWriter(Compiler):
    """Plans of the form `Write`."""

    def of_structure(self, shape: Shape) -> Write:
        attributes, members = _attributes(shape), self.members(shape)
        xmlns = namespace(shape.serialization.get("xmlNamespace"))

        def write(tag: str, value: dict[str, Any], out: list[str]) -> None:
            written = "".join(f' {wire}="{escape(value[name])}"' for name, wire in attributes.items() if name in value)
            out.append(f"<{tag}{xmlns}{written}>")
            write_members(members, value, out)
            out.append(f"</{tag}>")

        return write

    def members(self, shape: Shape) -> list[tuple[str, str, Write]]:
        """(name, tag, writer) of a structure's members that go into the body, in the model's order."""
        return [
            (name, _tag(name, member), self.plan(member))
            for name, member in shape.members.items()
            if "location" not in member.serialization and not member.serialization.get("xmlAttribute")
        ]

    def of_list(self, shape: Shape) -> Write:
        write_item = self.plan(shape.member)
        if shape.serialization.get("flattened"):

            def write_flat(tag: str, value: list[Any], out: list[str]) -> None:
                for item in value:
                    write_item(tag, item, out)

            return write_flat
        wrapper = shape.member.serialization.get("name", "member")

        def write(tag: str, value: list[Any], out: list[str]) -> None:
            out.append(f"<{tag}>")
            for item in value:
                write_item(wrapper, item, out)
            out.append(f"</{tag}>")

        return write

    def of_map(self, shape: Shape) -> Write:
        write_key, write_value = self.plan(shape.key), self.plan(shape.value)
        key_tag = shape.key.serialization.get("name", "key")
        value_tag = shape.value.serialization.get("name", "value")
        flattened = shape.serialization.get("flattened")

        def write(tag: str, value: dict[str, Any], out: list[str]) -> None:
            entry = tag if flattened else "entry"
            out.append("" if flattened else f"<{tag}>")
            for key, item in value.items():
                out.append(f"<{entry}>")
                write_key(key_tag, key, out)
                write_value(value_tag, item, out)
                out.append(f"</{entry}>")
            out.append("" if flattened else f"</{tag}>")

        return write

    def of_string(self, shape: Shape) -> Write:
        return lambda tag, value, out: out.append(f"<{tag}>{escape(str(value))}</{tag}>")

    of_character = of_string

    def of_integer(self, shape: Shape) -> Write:
        """Scalars whose text has nothing to escape."""
        convert = to_text(shape.type_name, shape.serialization.get("timestampFormat", "iso8601"))
        return lambda tag, value, out: out.append(f"<{tag}>{convert(value)}</{tag}>")

    of_boolean = of_long = of_float = of_double = of_blob = of_timestamp = of_integer


def write_members(members: list[tuple[str, str, Write]], value: dict[str, Any], out: list[str]) -> None:
    for name, tag, write in members:
        item = value.get(name)
        if item is not None:
            write(tag, item, out)


def _attributes(shape: Shape) -> dict[str, str]:
    return {n: m.serialization["name"] for n, m in shape.members.items() if m.serialization.get("xmlAttribute")}


def _tag(name: str, member: Shape) -> str:
    """A flattened list's elements bear the list member's name where that has one (as botocore's parser expects)."""
    own = member.serialization.get("name", name)
    if member.type_name == "list" and member.serialization.get("flattened"):
        return member.member.serialization.get("name", own)
    return own
