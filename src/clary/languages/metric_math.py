"""Metric math: arithmetic over time series, as in `errors / requests * 100`.

Numbers, query ids, `+ - * / ^`, unary minus and parentheses. Functions (`SUM(METRICS())`, ...) are refused by name.
Source: "Using metric math" in the CloudWatch user guide.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping

Series = dict[int, float]
"""Time (ms since the epoch) to value."""
Value = float | Series

_TOKEN = re.compile(r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+)|(?P<name>[A-Za-z]\w*)|(?P<sign>[-+*/^()]))")
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_NEGATION = 3
_DEEPEST = 50
_APPLY: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": math.pow,
}


class MetricMathError(ValueError):
    """The expression cannot be read, or names something that is not there."""


def names_in(expression: str) -> set[str]:
    """The query ids that an expression refers to. Raises `MetricMathError` when it cannot be read."""
    return {text for kind, text in _tokens(expression) if kind == "name"}


def evaluate(expression: str, values: Mapping[str, Series]) -> Value:
    """The value of an expression over the series of the queries it names. Raises `MetricMathError`."""
    parser = _Parser(_tokens(expression), values)
    value = parser.expression(0, 0)
    if parser.next[0] != "end":
        raise MetricMathError(f"Error in expression: {parser.next[1]!r} was not expected")
    return value


def _tokens(expression: str) -> list[tuple[str, str]]:
    """`(kind, text)` of each token, where the kind is number, name, sign or end."""
    tokens, position, text = [], 0, expression.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            raise MetricMathError(f"Error in expression: cannot read {text[position:]!r}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        position = found.end()
    return [*tokens, ("end", "")]


class _Parser:
    """Precedence climbing, evaluating as it reads."""

    def __init__(self, tokens: list[tuple[str, str]], values: Mapping[str, Series]):
        self._tokens = tokens
        self._values = values
        self._at = 0

    @property
    def next(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def expression(self, binding: int, depth: int) -> Value:
        """What binds stronger than `binding`."""
        if depth > _DEEPEST:
            raise MetricMathError(f"Error in expression: nested more than {_DEEPEST} deep")
        left = self._operand(depth)
        while _PRECEDENCE.get(self.next[1], 0) > binding:
            sign = self._take()[1]
            # `^` is right-associative, the others are left-associative.
            right = self.expression(_PRECEDENCE[sign] - (sign == "^"), depth + 1)
            left = _combine(_APPLY[sign], left, right)
        return left

    def _take(self) -> tuple[str, str]:
        token = self.next
        self._at += 1
        return token

    def _operand(self, depth: int) -> Value:
        kind, text = self._take()
        if kind == "number":
            return float(text)
        if kind == "name":
            return self._named(text)
        if text == "-":
            return _combine(operator.sub, 0.0, self.expression(_NEGATION, depth + 1))
        if text == "(":
            inner = self.expression(0, depth + 1)
            if self._take()[1] != ")":
                raise MetricMathError("Error in expression: a parenthesis is not closed")
            return inner
        raise MetricMathError(f"Error in expression: {text or 'the end'!r} was not expected")

    def _named(self, name: str) -> Series:
        if self.next[1] == "(":
            raise MetricMathError(f"Error in expression: the function {name} is not supported by Clary yet")
        if name not in self._values:
            raise MetricMathError(f"Error in expression: there is no query with the id {name!r}")
        return self._values[name]


def _combine(apply: Callable[[float, float], float], left: Value, right: Value) -> Value:
    """Point by point, where both have a point; a point without a (finite) result is left out."""
    if isinstance(left, float) and isinstance(right, float):
        result = _result(apply, left, right)
        if result is None:
            raise MetricMathError("Error in expression: division by zero")
        return result
    if isinstance(left, dict):
        times = left.keys() & right.keys() if isinstance(right, dict) else left.keys()
    else:
        assert isinstance(right, dict)
        times = right.keys()
    results = {time: _result(apply, _at(left, time), _at(right, time)) for time in sorted(times)}
    return {time: result for time, result in results.items() if result is not None}


def _at(value: Value, time: int) -> float:
    return value[time] if isinstance(value, dict) else value


def _result(apply: Callable[[float, float], float], left: float, right: float) -> float | None:
    try:
        result = apply(left, right)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    return result if math.isfinite(result) else None
