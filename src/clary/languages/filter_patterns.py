"""The filter pattern language of CloudWatch Logs: which messages a pattern matches.

    ERROR "two words" -DEBUG          every term occurs (case-sensitive), except those after a minus
    ?ERROR ?WARN                      any of the terms occurs
    { $.level = "E*" && $.n > 5 }     fields of a JSON message
    [ip, user, ..., status=4*, size]  fields of a space-delimited message

Source: "Filter pattern syntax" in the CloudWatch Logs user guide. Regular expressions (`%...%`) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import orjson

Matcher = Callable[[str], bool]
"""Whether a message matches."""
Predicate = Callable[[Any], bool]
"""Whether a value (of a JSON field, or all fields of a line) matches."""


class FilterPatternError(ValueError):
    """The pattern does not follow the language."""


def compile_pattern(pattern: str) -> Matcher:
    """The matcher of a pattern; the empty pattern matches everything. Raises `FilterPatternError`."""
    text = pattern.strip()
    if text.startswith("{"):
        return _json_matcher(_inside(text, "{}"))
    if text.startswith("["):
        return _line_matcher(_inside(text, "[]"))
    return _term_matcher(text)


def _inside(text: str, brackets: str) -> str:
    if not text.endswith(brackets[1]):
        raise FilterPatternError(f"Invalid filter pattern: {brackets[0]!r} is not closed")
    return text[1:-1]


# Terms

_TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))')


def _term_matcher(text: str) -> Matcher:
    signed = list(_terms(text))
    wanted = [term for sign, term in signed if sign == ""]
    excluded = [term for sign, term in signed if sign == "-"]
    optional = [term for sign, term in signed if sign == "?"]
    if optional and (wanted or excluded):
        wanted, optional = wanted + optional, []  # documented: a question mark beside other terms is ignored

    def matches(message: str) -> bool:
        return (
            all(term in message for term in wanted)
            and not any(term in message for term in excluded)
            and (not optional or any(term in message for term in optional))
        )

    return matches


def _terms(text: str) -> Iterator[tuple[str, str]]:
    """`(sign, term)` of each term."""
    position = 0
    while position < len(text):
        found = _TERM.match(text, position)
        if found is None:
            raise FilterPatternError(f"Invalid filter pattern: cannot read {text[position:]!r}")
        sign, quoted, bare = found.groups()
        if bare is not None and bare.startswith("%") and bare.endswith("%"):
            raise FilterPatternError("Regular expressions in filter patterns are not supported by Clary yet")
        yield sign, bare if quoted is None else _unescape(quoted)
        position = found.end()


def _unescape(quoted: str) -> str:
    return re.sub(r"\\(.)", r"\1", quoted)


# Conditions, which JSON and space-delimited patterns share

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<operator>&&|\|\||!=|<=|>=|=|<|>|\(|\)|,)
    | (?P<ellipsis>\.\.\.)
    | (?P<word>[^\s"&|!=<>(),]+)
    )""",
    re.VERBOSE,
)


_DEEPEST = 50


class _Tokens:
    """The tokens of a pattern, looked at one ahead. Strings keep their quotes, so that `"1"` is not `1`."""

    def __init__(self, text: str):
        self._tokens: list[str] = []
        position, text = 0, text.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise FilterPatternError(f"Invalid filter pattern: cannot read {text[position:]!r}")
            self._tokens.append(found.group().strip())
            position = found.end()
        self._at = 0
        if self._tokens.count("(") > _DEEPEST:
            raise FilterPatternError(f"Invalid filter pattern: more than {_DEEPEST} parentheses")

    @property
    def next(self) -> str:
        """The token to come, empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    @property
    def second(self) -> str:
        """The token after the next."""
        return self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else ""

    def take(self) -> str:
        token = self.next
        self._at += 1
        return token

    def accept(self, *words: str) -> bool:
        """Step over these words (in any case) if they come next."""
        coming = [token.upper() for token in self._tokens[self._at : self._at + len(words)]]
        if coming != list(words):
            return False
        self._at += len(words)
        return True

    def expect(self, token: str) -> None:
        if not self.accept(token):
            raise FilterPatternError(f"Invalid filter pattern: expected {token!r} before {self.next!r}")


def _disjunction(tokens: _Tokens, comparison: Callable[[_Tokens], Predicate]) -> Predicate:
    """`a && b || (c)`, where `comparison` reads what stands between the operators."""
    options = [_conjunction(tokens, comparison)]
    while tokens.accept("||"):
        options.append(_conjunction(tokens, comparison))
    return options[0] if len(options) == 1 else lambda value: any(option(value) for option in options)


def _conjunction(tokens: _Tokens, comparison: Callable[[_Tokens], Predicate]) -> Predicate:
    parts = [_operand(tokens, comparison)]
    while tokens.accept("&&"):
        parts.append(_operand(tokens, comparison))
    return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)


def _operand(tokens: _Tokens, comparison: Callable[[_Tokens], Predicate]) -> Predicate:
    if not tokens.accept("("):
        return comparison(tokens)
    inner = _disjunction(tokens, comparison)
    tokens.expect(")")
    return inner


_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _comparison(operator: str, literal: str) -> Predicate:
    """`= 5`, `!= "a*"`, `> 3`, ... as a test of one value."""
    if not literal:
        raise FilterPatternError("Invalid filter pattern: a comparison is not complete")
    if literal.startswith("%"):
        raise FilterPatternError("Regular expressions in filter patterns are not supported by Clary yet")
    if operator == "=":
        return _equals(literal)
    if operator == "!=":
        equals = _equals(literal)
        return lambda value: not equals(value)
    if operator not in _ORDER:
        raise FilterPatternError(f"Invalid filter pattern: {operator!r} is not a comparison")
    bound, compare = _number(literal), _ORDER[operator]
    if bound is None:
        raise FilterPatternError(f"Invalid filter pattern: {operator} needs a number, not {literal!r}")

    def in_order(value: Any) -> bool:
        number = _number(value)
        return number is not None and compare(number, bound)

    return in_order


def _equals(literal: str) -> Predicate:
    """Equality with a number, or with a string in which `*` stands for anything."""
    wanted = _number(literal)
    if wanted is not None:
        return lambda value: _number(value) == wanted
    text = _unescape(literal[1:-1]) if literal.startswith('"') else literal
    return lambda value: isinstance(value, str) and _matches_glob(text.split("*"), value)


def _matches_glob(parts: list[str], text: str) -> bool:
    """Whether `text` is the parts in order with anything in between, in linear time."""
    if len(parts) == 1:
        return text == parts[0]
    first, *middle, last = parts
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _number(value: Any) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# JSON

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\*)\]|\['([^']*)'\]")


def _json_matcher(text: str) -> Matcher:
    tokens = _Tokens(text)
    predicate = _disjunction(tokens, _json_comparison)
    if tokens.next:
        raise FilterPatternError(f"Invalid filter pattern: {tokens.next!r} was not expected")

    def matches(message: str) -> bool:
        try:
            document = orjson.loads(message)
        except orjson.JSONDecodeError:
            return False
        return isinstance(document, dict | list) and predicate(document)

    return matches


def _json_comparison(tokens: _Tokens) -> Predicate:
    select = _selector(tokens.take())
    if tokens.accept("IS", "NULL"):
        return lambda document: any(value is None for value in select(document))
    if tokens.accept("IS", "TRUE"):
        return lambda document: any(value is True for value in select(document))
    if tokens.accept("IS", "FALSE"):
        return lambda document: any(value is False for value in select(document))
    if tokens.accept("NOT", "EXISTS"):
        return lambda document: not list(select(document))
    test = _comparison(tokens.take(), tokens.take())
    return lambda document: any(test(value) for value in select(document))


def _selector(text: str) -> Callable[[Any], Iterator[Any]]:
    """`$.a.b[0]` as a function that yields what is there."""
    if not text.startswith("$"):
        raise FilterPatternError(f"Invalid filter pattern: a property selector begins with '$', not {text!r}")
    steps, position = [], 1
    while position < len(text):
        found = _STEP.match(text, position)
        if found is None:
            raise FilterPatternError(f"Invalid filter pattern: cannot read the property selector {text!r}")
        steps.append(found.groups())
        position = found.end()

    def select(document: Any) -> Iterator[Any]:
        values = [document]
        for name, index, quoted in steps:
            values = [found for value in values for found in _step(value, name or quoted, index)]
        yield from values

    return select


def _step(value: Any, name: str | None, index: str | None) -> list[Any]:
    if name is not None:
        return [value[name]] if isinstance(value, dict) and name in value else []
    if not isinstance(value, list):
        return []
    if index == "*":
        return value
    return [value[int(index or 0)]] if int(index or 0) < len(value) else []


# Space-delimited lines

_FIELD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')


def _line_matcher(text: str) -> Matcher:
    columns = _columns(text)
    rest = columns.index(None) if None in columns else None
    if columns.count(None) > 1:
        raise FilterPatternError("Invalid filter pattern: '...' may stand only once")
    before: list = columns if rest is None else columns[:rest]
    after: list = [] if rest is None else columns[rest + 1 :]

    def matches(message: str) -> bool:
        fields = [next(part for part in found if part or not any(found)) for found in _FIELD.findall(message)]
        if len(fields) < len(before) + len(after) or (rest is None and len(fields) != len(before)):
            return False
        tail = fields[len(fields) - len(after) :]
        return all(test(field) for test, field in zip(before + after, fields[: len(before)] + tail, strict=True))

    return matches


def _columns(text: str) -> list[Predicate | None]:
    """A test per field; None for `...`."""
    tokens, columns = _Tokens(text), []
    while tokens.next:
        columns.append(_column(tokens))
        if tokens.next:
            tokens.expect(",")
    if not columns:
        raise FilterPatternError("Invalid filter pattern: '[]' names no field")
    return columns


def _column(tokens: _Tokens) -> Predicate | None:
    """`name`, `name = value`, `name != a && name != b`, or `...`."""
    if tokens.accept("..."):
        return None
    if tokens.second in (",", ""):
        tokens.take()
        return lambda field: True
    return _disjunction(tokens, _field_comparison)


def _field_comparison(tokens: _Tokens) -> Predicate:
    tokens.take()  # the field's name, which is free
    return _comparison(tokens.take(), tokens.take())
