"""Hyperparameters as declarations: what a name accepts, since which version, and the words of a refusal.

On the wire every value is a string. `Schema.parse` gives typed values, or raises `InvalidHyperparameter` with the text that
the hosted containers use. There are two families: XGBoost's toolkit (`Hyperparameter eta: value 3 not in range [0, 1]`) and
the first-party algorithms, which validate with JSON schema (`Additional properties are not allowed (u'x' was unexpected)`).
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Version = tuple[int, ...]
Scale = Literal["Linear", "Logarithmic"]
Rule = Callable[[Mapping[str, Any]], None]
Words = Literal["toolkit", "json-schema"]
AUTO = "auto"


class InvalidHyperparameter(ValueError):
    """The user's mistake; `name` is the hyperparameter it is about."""

    def __init__(self, name: str, message: str):
        super().__init__(message)
        self.name = name


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of numbers; None is unbounded. The `open_` ends are not part of it."""

    minimum: float | None = None
    maximum: float | None = None
    open_minimum: bool = False
    open_maximum: bool = False

    def __contains__(self, value: float) -> bool:
        above = self.minimum is None or value > self.minimum or (value == self.minimum and not self.open_minimum)
        below = self.maximum is None or value < self.maximum or (value == self.maximum and not self.open_maximum)
        return above and below

    def __str__(self) -> str:
        low = "(-inf" if self.minimum is None else f"{'(' if self.open_minimum else '['}{self.minimum}"
        high = "+inf)" if self.maximum is None else f"{self.maximum}{')' if self.open_maximum else ']'}"
        return f"{low}, {high}"


@dataclass(frozen=True, slots=True)
class Tunable:
    """The range a tuning job is advised to search."""

    minimum: float
    maximum: float
    scale: Scale = "Linear"


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One name. Subclasses say how its text is read and what values pass.

    default : the text that stands for a value not given; None leaves the name out of the parsed values
    auto : whether the text `auto` passes; it is the parsed value too
    """

    name: str
    description: str = ""
    required: bool = False
    aliases: tuple[str, ...] = ()
    since: Version = ()
    """First version that knows the name; `()` is all of them."""
    until: Version | None = None
    """Last version that knows the name."""
    tunable: Tunable | None = None
    default: str | None = None
    auto: bool = False

    kind = "text"

    def exists_in(self, version: Version) -> bool:
        return self.since <= version and (self.until is None or version <= self.until)

    def parse(self, text: str) -> Any:
        """The typed value; `ValueError` when `text` is none."""
        return text

    def accepts(self, value: Any) -> bool:
        return True

    @property
    def valid(self) -> str:
        """What is accepted, for messages and manuals."""
        return "any text"


@dataclass(frozen=True, slots=True)
class Integer(Hyperparameter):
    range: Interval = field(default_factory=Interval)

    kind = "integer"

    def parse(self, text: str) -> int:
        number = float(text)
        if not number.is_integer():
            raise ValueError(f"{text} is not a whole number")
        return int(number)  # the hosted containers take "5.0" for 5 as well

    def accepts(self, value: int) -> bool:
        return value in self.range

    @property
    def valid(self) -> str:
        return str(self.range)


@dataclass(frozen=True, slots=True)
class Continuous(Hyperparameter):
    range: Interval = field(default_factory=Interval)

    kind = "continuous"

    def parse(self, text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text} is not a finite number")
        return value

    def accepts(self, value: float) -> bool:
        return value in self.range

    @property
    def valid(self) -> str:
        return str(self.range)


@dataclass(frozen=True, slots=True)
class Categorical(Hyperparameter):
    values: tuple[str, ...] = ()
    values_since: Mapping[str, Version] = field(default_factory=dict)
    """Values that later versions added."""

    kind = "categorical"

    def accepts(self, value: str) -> bool:
        return value in self.values

    @property
    def valid(self) -> str:
        return str(list(self.values))


@dataclass(frozen=True, slots=True)
class Boolean(Hyperparameter):
    """`true` or `false` in any case; the parsed value is a bool."""

    kind = "boolean"

    def parse(self, text: str) -> bool:
        known = {"true": True, "false": False, "1": True, "0": False}
        if text.strip().lower() not in known:
            raise ValueError(f"{text} is neither true nor false")
        return known[text.strip().lower()]

    @property
    def valid(self) -> str:
        return "true, false"


@dataclass(frozen=True, slots=True)
class JsonList(Hyperparameter):
    """A JSON list of names: `["msd", "ssd"]`."""

    values: tuple[str, ...] = ()

    kind = "JSON list"

    def parse(self, text: str) -> list[str]:
        found = json.loads(text)
        if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
            raise ValueError(f"{text} is no JSON list of strings")
        return found

    def accepts(self, value: list[str]) -> bool:
        return all(item in self.values for item in value)

    @property
    def valid(self) -> str:
        return json.dumps(list(self.values))


@dataclass(frozen=True, slots=True)
class CommaList(Hyperparameter):
    values: tuple[str, ...] = ()
    with_threshold: tuple[str, ...] = ()
    """Values that may carry a number: `error@0.7`, `ndcg@5`."""

    kind = "comma-separated list"

    def parse(self, text: str) -> list[str]:
        return [item.strip() for item in text.split(",")]

    def accepts(self, value: list[str]) -> bool:
        return all(item in self.values or self._has_threshold(item) for item in value)

    def _has_threshold(self, item: str) -> bool:
        name, at, threshold = item.partition("@")
        # ndcg and map take a trailing minus: "empty lists count as 0"
        return bool(at) and name in self.with_threshold and _is_number(threshold.removesuffix("-"))

    @property
    def valid(self) -> str:
        return str(list(self.values))


@dataclass(frozen=True, slots=True)
class Literals(Hyperparameter):
    """A Python literal of integers, flat (`(1,-1,0)`) or nested once (`[[0,1],[2]]`)."""

    range: Interval = field(default_factory=Interval)
    nested: bool = False

    @property
    def kind(self) -> str:  # type: ignore[override]
        return "nested list" if self.nested else "tuple"

    def parse(self, text: str) -> Any:
        try:
            return ast.literal_eval(text.strip())
        except (SyntaxError, MemoryError, RecursionError) as error:
            raise ValueError(str(error)) from error

    def accepts(self, value: Any) -> bool:
        groups = value if self.nested else [value]
        return isinstance(groups, list | tuple) and all(self._accepts_group(group) for group in groups)

    def _accepts_group(self, group: Any) -> bool:
        return isinstance(group, list | tuple) and all(type(item) is int and item in self.range for item in group)

    @property
    def valid(self) -> str:
        return str(self.range)


@dataclass(frozen=True, slots=True)
class Schema:
    """All hyperparameters of an algorithm, and the `rules` between them (called with the typed values).

    words : the family of containers whose messages a refusal uses
    """

    declarations: tuple[Hyperparameter, ...]
    rules: tuple[Rule, ...] = ()
    words: Words = "toolkit"

    def names(self, version: Version) -> list[str]:
        return [declared.name for declared in self.declarations if declared.exists_in(version)]

    def defaults(self, version: Version) -> dict[str, str]:
        """The texts that stand for names not given."""
        known = (d for d in self.declarations if d.exists_in(version))
        return {declared.name: declared.default for declared in known if declared.default is not None}

    def parse(self, given: Mapping[str, str], version: Version) -> dict[str, Any]:
        """Typed values by canonical name, defaults filled in. Undeclared names that begin with `_` pass as text.

        Raises `InvalidHyperparameter` for the first mistake: a missing name, an unknown one, a value that cannot be read or
        is out of range, then the rules between them.
        """
        known = {name: d for d in self.declarations if d.exists_in(version) for name in (d.name, *d.aliases)}
        self._check_required(given, version)
        values: dict[str, Any] = {}
        for name, text in given.items():
            declared = known.get(name)
            if declared is None and not name.startswith("_"):
                raise InvalidHyperparameter(name, _UNKNOWN[self.words].format(name=name))
            canonical = name if declared is None else declared.name
            if canonical in values:
                raise InvalidHyperparameter(name, f"Hyperparameter {canonical} is given twice; {name} is another name for it")
            values[canonical] = text if declared is None else self._value(declared, text, version)
        for name, text in self.defaults(version).items():
            if name not in values:
                values[name] = self._value(known[name], text, version)
        for rule in self.rules:
            rule(values)
        return values

    def _check_required(self, given: Mapping[str, str], version: Version) -> None:
        for declared in self.declarations:
            required = declared.required and declared.exists_in(version)
            if required and not any(name in given for name in (declared.name, *declared.aliases)):
                raise InvalidHyperparameter(declared.name, _MISSING[self.words].format(name=declared.name))

    def _value(self, declared: Hyperparameter, text: str, version: Version) -> Any:
        if declared.auto and text.strip().lower() == AUTO:
            return AUTO
        try:
            value = declared.parse(text)
        except ValueError:
            raise InvalidHyperparameter(declared.name, _UNREADABLE[self.words].format(**_shown(declared, text))) from None
        if not declared.accepts(value):
            raise InvalidHyperparameter(declared.name, _OUT_OF_RANGE[self.words].format(**_shown(declared, text)))
        if isinstance(declared, Categorical) and version < declared.values_since.get(value, ()):
            raise InvalidHyperparameter(
                declared.name,
                f"Hyperparameter {declared.name}: value {value} is not known to version {'.'.join(map(str, version))}",
            )
        return value


_UNKNOWN: dict[str, str] = {
    "toolkit": "Extraneous hyperparameter found: {name}",
    "json-schema": "Additional properties are not allowed (u'{name}' was unexpected)",
}
_MISSING: dict[str, str] = {
    "toolkit": "Missing required hyperparameter: {name}",
    "json-schema": "u'{name}' is a required property",
}
_UNREADABLE: dict[str, str] = {
    "toolkit": "Hyperparameter {name}: could not parse value {text!r}; it takes {kind} values",
    "json-schema": "u'{text}' is not of type '{kind}'{or_auto}: hyperparameter {name}",
}
_OUT_OF_RANGE: dict[str, str] = {
    "toolkit": "Hyperparameter {name}: value {text} not in range {valid}",
    "json-schema": "u'{text}' is not valid: hyperparameter {name} takes {kind} values in {valid}{or_auto}",
}


def _shown(declared: Hyperparameter, text: str) -> dict[str, str]:
    or_auto = f" or '{AUTO}'" if declared.auto else ""
    return {"name": declared.name, "text": text, "kind": declared.kind, "valid": declared.valid, "or_auto": or_auto}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
