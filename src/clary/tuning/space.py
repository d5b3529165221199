"""What may be tuned: parameters and their ranges. Pure Python, so that a server can hold a `Space` without numpy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Scale = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
"""How a range is searched (AWS's words). Logarithmic: uniform in log(x), needs low > 0. ReverseLogarithmic: uniform in
log(1 - x), needs 0 <= low <= high < 1, continuous only. Auto: see `scale_of`."""

Values = dict[str, float | int | str]
"""What a trial is given, by the parameters' names: float (Continuous), int (Integer), str (Categorical)."""

WIDE = 100
"""From this ratio of its ends on a range is searched logarithmically when the scale is Auto."""


@dataclass(frozen=True, slots=True)
class Continuous:
    """A float in [low, high], both ends included."""

    name: str
    low: float
    high: float
    scale: Scale = "Auto"


@dataclass(frozen=True, slots=True)
class Integer:
    """An int in [low, high], both ends included."""

    name: str
    low: int
    high: int
    scale: Scale = "Auto"


@dataclass(frozen=True, slots=True)
class Categorical:
    """One of `values`, which have no order."""

    name: str
    values: tuple[str, ...]


Parameter = Continuous | Integer | Categorical


@dataclass(frozen=True, slots=True)
class Space:
    """What a tuning job searches.

    Raises ValueError when there is no parameter, a name comes twice, a range is upside down or not finite, or a scale does not
    fit its range.
    """

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        if not names:
            raise ValueError("a space needs at least one parameter")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"parameter {min(twice)} is given twice")
        for parameter in self.parameters:
            _check(parameter)

    @property
    def size(self) -> int | None:
        """How many configurations there are; None when a range is continuous."""
        sizes = [choices(parameter) for parameter in self.parameters]
        return None if None in sizes else math.prod(size for size in sizes if size)

    def holds(self, values: Values) -> bool:
        """Whether `values` are a configuration of this space: every parameter, of its type and in its range."""
        return values.keys() >= {p.name for p in self.parameters} and all(_fits(p, values[p.name]) for p in self.parameters)


def choices(parameter: Parameter) -> int | None:
    """How many values a parameter can take; None: a continuum."""
    if isinstance(parameter, Categorical):
        return len(parameter.values)
    if isinstance(parameter, Integer) or parameter.low == parameter.high:
        return int(parameter.high) - int(parameter.low) + 1
    return None


def scale_of(parameter: Continuous | Integer) -> Scale:
    """The scale that is searched: what is stated, and for Auto Logarithmic when low > 0 and high / low >= 100;
    ReverseLogarithmic when a continuous range lies in [0, 1) and (1 - low) / (1 - high) >= 100; else Linear."""
    if parameter.scale != "Auto":
        return parameter.scale
    if parameter.low > 0 and parameter.high / parameter.low >= WIDE:
        return "Logarithmic"
    if isinstance(parameter, Continuous) and parameter.low >= 0 and parameter.high < 1:
        return "ReverseLogarithmic" if (1 - parameter.low) / (1 - parameter.high) >= WIDE else "Linear"
    return "Linear"


def _check(parameter: Parameter) -> None:
    name = parameter.name
    if isinstance(parameter, Categorical):
        if not parameter.values or len(set(parameter.values)) < len(parameter.values):
            raise ValueError(f"parameter {name} needs values, each once")
        return
    low, high = parameter.low, parameter.high
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"parameter {name}: the range {low} to {high} is upside down or not finite")
    if parameter.scale == "Logarithmic" and low <= 0:
        raise ValueError(f"parameter {name}: Logarithmic scaling needs a range above 0, not from {low}")
    if parameter.scale == "ReverseLogarithmic" and (isinstance(parameter, Integer) or low < 0 or high >= 1):
        raise ValueError(f"parameter {name}: ReverseLogarithmic scaling needs a continuous range in [0, 1)")


def _fits(parameter: Parameter, value: float | int | str) -> bool:
    if isinstance(parameter, Categorical):
        return value in parameter.values
    if isinstance(value, str) or (isinstance(parameter, Integer) and value != int(value)):
        return False
    return parameter.low <= value <= parameter.high
