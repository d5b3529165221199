"""Ranges that a tuning job searches, and those that nobody gave: advised by the algorithm, or around an example value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from clary.catalog.hyperparameters import Boolean, Categorical, Continuous, Hyperparameter, Integer

Scaling = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]

_SPREAD = 10
"""A number without a declared range is searched from a tenth of its hint to ten times as much, by orders of magnitude."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """A hyperparameter that is searched between two numbers, both included."""

    name: str
    low: float
    high: float
    integer: bool
    scaling: Scaling = "Auto"

    @property
    def size(self) -> float:
        return self.high - self.low + 1 if self.integer else math.inf


@dataclass(frozen=True, slots=True)
class CategoryRange:
    """A hyperparameter that takes one of some texts."""

    name: str
    values: tuple[str, ...]

    @property
    def size(self) -> float:
        return len(self.values)


Range = NumberRange | CategoryRange


class UnknownRange(ValueError):
    """Neither the algorithm nor the hint says what could be searched."""


def from_catalog(declared: Hyperparameter) -> Range:
    """The range that the algorithm's manual advises. Raises `UnknownRange` where it advises none."""
    advised = declared.tunable
    if advised is None:
        raise UnknownRange(declared.name)
    return NumberRange(declared.name, advised.minimum, advised.maximum, isinstance(declared, Integer), advised.scale)


def from_hint(name: str, hint: str, declared: Hyperparameter | None) -> Range:
    """The declared range, else one around the example value `hint`. Raises `UnknownRange`."""
    if declared is not None and declared.tunable:
        return from_catalog(declared)
    if isinstance(declared, Categorical):
        return CategoryRange(name, declared.values)
    if isinstance(declared, Boolean) or hint.lower() in ("true", "false"):
        return CategoryRange(name, ("true", "false") if hint.islower() else ("True", "False"))
    try:
        value = float(hint)
    except ValueError:
        raise UnknownRange(name) from None
    if not 0 < value < math.inf:
        raise UnknownRange(name)
    integer = isinstance(declared, Integer) or (declared is None and hint.isdigit())
    low, high = _bounds(declared, value, integer)
    return NumberRange(name, low, high, integer, "Logarithmic" if low > 0 else "Auto")


def _bounds(declared: Hyperparameter | None, value: float, integer: bool) -> tuple[float, float]:
    """From a tenth to ten times `value`; shares and rates stay below 1, declared numbers within what is declared."""
    low, high = value / _SPREAD, value * _SPREAD if value >= 1 else min(value * _SPREAD, 1.0)
    if isinstance(declared, Integer | Continuous):
        least, most = declared.range.minimum, declared.range.maximum
        low = low if least is None else max(low, least)
        high = high if most is None else min(high, most)
    return (max(1, round(low)), max(1, round(high))) if integer else (low, high)
