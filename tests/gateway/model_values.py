"""Values of botocore shapes, made up from a seed: enough to send through a protocol and see whether they come back.

`Values(random.Random(1)).of(shape)` satisfies the shape's constraints where it can: enums, lengths, ranges, and patterns that
Python's `re` reads. Timestamps are whole seconds and floats are multiples of 1/4, which every protocol carries exactly.
"""

from __future__ import annotations

import random
import re
import re._constants as ops
import re._parser as sre
import string
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

TEXT = string.ascii_letters + string.digits + " _.:/=+-@&<>\"'%?#[]{}äß–日本"
HEADER_TEXT = string.ascii_letters + string.digits + "_.:/=+-@"
CONTAINERS = ("structure", "list", "map")
_CATEGORIES = {
    ops.CATEGORY_DIGIT: string.digits,
    ops.CATEGORY_WORD: string.ascii_letters + string.digits + "_",
    ops.CATEGORY_SPACE: " ",
    ops.CATEGORY_NOT_SPACE: string.ascii_letters + string.digits + "_.:/",
    ops.CATEGORY_NOT_DIGIT: string.ascii_letters,
    ops.CATEGORY_NOT_WORD: " -./",
}
_PRINTABLE = string.ascii_letters + string.digits + " _.:/=+-@"


class Values:
    """Makes values; `required_only` leaves out every optional member, `depth` bounds recursive shapes.

    `known` holds values that mean something to the receiver, by member name; they are used for half of those members.
    """

    def __init__(
        self,
        source: random.Random,
        *,
        required_only: bool = False,
        depth: int = 5,
        known: Mapping[str, Sequence[Any]] | None = None,
    ):
        self.source = source
        self.required_only = required_only
        self.depth = depth
        self.known = known or {}

    def of(self, shape: Any, depth: int = 0) -> Any:
        return getattr(self, f"_{shape.type_name}")(shape, depth)

    def _structure(self, shape: Any, depth: int) -> dict[str, Any]:
        if shape.is_document_type:
            return {"a": [1, "b", None]}
        members = dict(shape.members)
        if shape.is_tagged_union:
            name = self.source.choice(sorted(members))
            return {name: self.of(members[name], depth + 1)}
        required = set(shape.required_members)
        if not self.required_only:
            deeper = depth < self.depth
            required |= {name for name, member in members.items() if deeper or member.type_name not in CONTAINERS}
        return {
            name: self._member(name, member, depth + 1)
            for name, member in members.items()
            if name in required and not member.serialization.get("eventstream")
        }

    def _member(self, name: str, shape: Any, depth: int) -> Any:
        if name in self.known and shape.type_name == "string" and self.source.random() < 0.5:
            return self.source.choice(self.known[name])
        return self.of(shape, depth)

    def _list(self, shape: Any, depth: int) -> list[Any]:
        return [self.of(shape.member, depth + 1) for _ in range(self._size(shape, 1 if depth > 2 else 2))]

    def _map(self, shape: Any, depth: int) -> dict[str, Any]:
        if shape.serialization.get("location") == "headers":
            return {f"name-{n}": "".join(self.source.choices(HEADER_TEXT, k=6)) for n in range(2)}
        return {self.of(shape.key): self.of(shape.value, depth + 1) for _ in range(self._size(shape, 2))}

    def _size(self, shape: Any, wanted: int) -> int:
        low, high = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 1 << 30))
        return min(max(low, wanted), high)

    def _string(self, shape: Any, depth: int = 0) -> str:
        if shape.enum:
            return self.source.choice(shape.enum)
        low, high = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 1 << 30))
        pattern = shape.metadata.get("pattern")
        if pattern:
            made = self._matching(pattern, low, high)
            if made is not None:
                return made
        length = min(max(low, 1, self.source.randint(1, 12)), high)
        return "".join(self.source.choices(_alphabet(shape), k=length))

    _character = _string

    def _matching(self, pattern: str, low: int, high: int) -> str | None:
        """A string that matches and fits, or None where none was found."""
        try:
            parsed, compiled = sre.parse(pattern), re.compile(pattern, re.ASCII)
        except re.error:
            return None
        for attempt in range(40):
            text = _from_pattern(parsed, self.source, max(1, low - attempt % 3))
            if low <= len(text) <= high and compiled.fullmatch(text) and text == text.strip():
                return text
        return None

    def _integer(self, shape: Any, depth: int) -> int:
        low, high = int(shape.metadata.get("min", -5)), int(shape.metadata.get("max", 1 << 20))
        return self.source.randint(low, max(low, high))

    _long = _integer

    def _float(self, shape: Any, depth: int) -> float:
        low, high = float(shape.metadata.get("min", -10)), float(shape.metadata.get("max", 1000))
        return max(low, self.source.randint(int(low), int(high)) - 0.25)

    _double = _float

    def _boolean(self, shape: Any, depth: int) -> bool:
        return self.source.random() < 0.5

    def _timestamp(self, shape: Any, depth: int) -> datetime:
        return datetime.fromtimestamp(self.source.randint(0, 4_000_000_000), UTC)

    def _blob(self, shape: Any, depth: int) -> bytes:
        length = self._size(shape, self.source.randint(1, 20))
        return self.source.randbytes(length)


def _alphabet(shape: Any) -> str:
    if shape.serialization.get("hostLabel"):
        return string.ascii_letters
    return HEADER_TEXT if shape.serialization.get("location") == "header" or "pattern" in shape.metadata else TEXT


def _from_pattern(parsed: Any, source: random.Random, low: int) -> str:
    return "".join(_from_node(op, argument, source, low) for op, argument in parsed)


def _from_node(op: Any, argument: Any, source: random.Random, low: int) -> str:
    if op is ops.LITERAL:
        return chr(argument)
    if op is ops.NOT_LITERAL:
        return source.choice([c for c in _PRINTABLE if ord(c) != argument])
    if op is ops.ANY:
        return source.choice(HEADER_TEXT)
    if op is ops.IN:
        return source.choice(_class(argument))
    if op in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        least, most, body = argument
        fitting = min(most, max(least, low))
        count = source.choice((fitting, fitting, least, source.randint(least, max(least, min(most, 3)))))
        return "".join(_from_pattern(body, source, low) for _ in range(count))
    if op is ops.SUBPATTERN:
        return _from_pattern(argument[3], source, low)
    if op is ops.BRANCH:
        return _from_pattern(source.choice(argument[1]), source, low)
    return ""  # anchors and look-arounds: the caller checks the whole


def _class(items: Any) -> list[str]:
    """The characters of `[...]`, a negated class within printable ASCII."""
    characters: set[str] = set()
    for op, argument in items:
        if op is ops.LITERAL:
            characters.add(chr(argument))
        elif op is ops.RANGE:
            characters.update(map(chr, range(argument[0], min(argument[1], argument[0] + 200) + 1)))
        elif op is ops.CATEGORY:
            characters.update(_CATEGORIES[argument])
    if items[0][0] is ops.NEGATE:
        return [c for c in _PRINTABLE if c not in characters]
    printable = sorted(c for c in characters if c.isprintable())
    return printable or sorted(characters)
