"""The Condition block of a policy statement: operators over condition keys.

Source: "IAM JSON policy elements: Condition operators" and "... multiple keys or values". All tests of a block must hold;
within a test any of the listed values may match (for the negated operators: none of them may).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Compare = Callable[[str, str], bool]
"""(value in the request, value in the policy) -> whether they agree."""


ESCAPE = "\0"
"""Stands before a `*` or `?` that a substituted variable brought along and that means itself; no policy or ARN holds it."""
NOTHING = ESCAPE + ESCAPE
"""A pattern that matches no value: what a variable without a value is replaced by."""


def expression_of(pattern: str) -> str:
    """The regular expression for a pattern in which `*` is any text and `?` any character.

    What follows a `*` is taken where it comes first (an atomic group), so that no pattern takes exponential time.
    """
    parts: list[str] = [""]
    for token in re.findall(r"\0.|[*?]|[^*?\0]+", pattern, re.DOTALL):
        if token == "*":
            parts.append("")
        else:
            parts[-1] += "." if token == "?" else re.escape(_plain(token))
    first, *middle = parts
    if not middle:
        return first
    last = middle.pop()
    return first + "".join(f"(?>.*?{part})" for part in middle if part) + f".*{last}"


def _wildcards(actual: str, pattern: str) -> bool:
    return re.fullmatch(expression_of(pattern), actual, re.DOTALL) is not None


def _plain(pattern: str) -> str:
    """A policy value for operators without wildcards: the escapes of substituted variables taken off again."""
    return re.sub(r"\0(.)", r"\1", pattern, flags=re.DOTALL)


def _arn(actual: str, pattern: str) -> bool:
    parts, patterns = actual.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) and all(_wildcards(part, one) for part, one in zip(parts, patterns, strict=True))


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(actual: str, network: str) -> bool:
    return ipaddress.ip_address(actual) in ipaddress.ip_network(network, strict=False)


def _ordered(convert: Callable[[str], Any]) -> dict[str, Compare]:
    return {
        "Equals": lambda a, b: convert(a) == convert(b),
        "LessThan": lambda a, b: convert(a) < convert(b),
        "LessThanEquals": lambda a, b: convert(a) <= convert(b),
        "GreaterThan": lambda a, b: convert(a) > convert(b),
        "GreaterThanEquals": lambda a, b: convert(a) >= convert(b),
    }


_POSITIVE: dict[str, Compare] = {
    "StringEquals": lambda a, b: a == _plain(b),
    "StringEqualsIgnoreCase": lambda a, b: a.lower() == _plain(b).lower(),
    "StringLike": _wildcards,
    "Bool": lambda a, b: a.lower() == b.lower(),
    "BinaryEquals": lambda a, b: a == b,
    "IpAddress": _in_network,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    **{f"Numeric{name}": compare for name, compare in _ordered(float).items()},
    **{f"Date{name}": compare for name, compare in _ordered(_moment).items()},
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
}
_NAME = re.compile(r"(?:(ForAllValues|ForAnyValue):)?(\w+?)(IfExists)?")


@dataclass(frozen=True, slots=True)
class Test:
    """One operator on one key. `every` and `some` are the set operators ForAllValues and ForAnyValue."""

    operator: str
    key: str
    values: tuple[str, ...]
    every: bool = False
    some: bool = False
    if_exists: bool = False

    def holds(self, context: Mapping[str, tuple[str, ...]], substitute: Callable[[str], str]) -> bool:
        actual = context.get(self.key)
        if self.operator == "Null":
            return any((actual is None) == (value.lower() == "true") for value in self.values)
        if not actual:
            return self.if_exists or self.every or (self.operator in _NEGATED and not self.some)
        wanted = [substitute(value) for value in self.values]
        agrees = [self._agrees(value, wanted) for value in actual]
        return all(agrees) if self.every or (self.operator in _NEGATED and not self.some) else any(agrees)

    def _agrees(self, actual: str, wanted: list[str]) -> bool:
        """A value that cannot be read the operator's way (a word under NumericEquals) agrees with nothing."""
        compare = _POSITIVE[_NEGATED.get(self.operator, self.operator)]
        try:
            found = any(compare(actual, value) for value in wanted)
        except ValueError:
            found = False
        return found != (self.operator in _NEGATED)


def parse(block: Any) -> tuple[Test, ...]:
    """The tests of a Condition block. Raises `ValueError` naming the operator that is not known."""
    if not isinstance(block, dict):
        raise ValueError("Condition must be an object of operators")
    return tuple(_test(operator, key, values) for operator, keys in block.items() for key, values in _items(operator, keys))


def _items(operator: str, keys: Any) -> list[tuple[str, Any]]:
    if not isinstance(keys, dict):
        raise ValueError(f"Condition {operator} must be an object of condition keys")
    return list(keys.items())


def _test(name: str, key: str, values: Any) -> Test:
    match = _NAME.fullmatch(name)
    operator = match[2] if match else name
    if match is None or operator not in _POSITIVE | _NEGATED | {"Null": None}:
        raise ValueError(f"unknown condition operator {name!r}")
    texts = [_text(name, value) for value in (values if isinstance(values, list) else [values])]
    return Test(operator, key.lower(), tuple(texts), match[1] == "ForAllValues", match[1] == "ForAnyValue", bool(match[3]))


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError(f"Condition {name} compares with strings, numbers and booleans")
    return str(value)
