"""Hyperparameters as axes of a chart: where a value lies, and which ticks are labelled."""

from __future__ import annotations

import math
from dataclasses import dataclass

from clary.catalog.ranges import CategoryRange, Range
from clary.catalog.tuning import Definition
from clary.tuning.space import Categorical, Continuous, Integer, Parameter, Scale, Space, scale_of

_STEPS = (1, 2, 5)
_FEW_DECADES = 1.5
"""Ranges of fewer orders of magnitude have ticks between the powers of ten too."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A hyperparameter's axis. `low`, `high` and `ticks` are positions: of a number on its scale (log10 of it where the scale
    is Logarithmic, -log10(1 - x) where it is ReverseLogarithmic), of a category its number."""

    name: str
    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    scale: Scale | None
    """None: categories."""
    categories: tuple[str, ...] = ()

    def place(self, value: float | int | str) -> float:
        """The position of a value."""
        if isinstance(value, str):
            return float(self.categories.index(value))
        return _position(value, self.scale)


def space_of(definition: Definition) -> Space:
    """What a definition searches, as the tuning library has it."""
    return Space(tuple(_parameter(one) for one in definition.ranges))


def _parameter(searched: Range) -> Parameter:
    if isinstance(searched, CategoryRange):
        return Categorical(searched.name, searched.values)
    if searched.integer:
        return Integer(searched.name, int(searched.low), int(searched.high), searched.scaling)
    return Continuous(searched.name, searched.low, searched.high, searched.scaling)


def axis_of(parameter: Parameter) -> Axis:
    """The axis on which `parameter` is searched."""
    if isinstance(parameter, Categorical):
        places = tuple(map(float, range(len(parameter.values))))
        return Axis(parameter.name, -0.25, len(places) - 0.75, places, parameter.values, None, parameter.values)
    scale = scale_of(parameter)
    low, high = _position(parameter.low, scale), _position(parameter.high, scale)
    if low == high:
        low, high = low - 0.5, high + 0.5
    values = _ticks(parameter, scale)
    labels = tuple(f"{value:.10g}" for value in values)
    return Axis(parameter.name, low, high, tuple(_position(value, scale) for value in values), labels, scale)


def _position(value: float, scale: Scale | None) -> float:
    match scale:
        case "Logarithmic":
            return math.log10(value)
        case "ReverseLogarithmic":
            return -math.log10(1 - value)
        case _:
            return float(value)


def _ticks(parameter: Continuous | Integer, scale: Scale) -> list[float]:
    """Round values within the range."""
    low, high = parameter.low, parameter.high
    match scale:
        case "Logarithmic":
            return _log_ticks(low, high)
        case "ReverseLogarithmic":
            return [round(1 - rest, 12) for rest in reversed(_log_ticks(1 - high, 1 - low))]
        case _:
            return _even_ticks(low, high, isinstance(parameter, Integer))


def _log_ticks(low: float, high: float) -> list[float]:
    steps = _STEPS if math.log10(high / low) < _FEW_DECADES else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{step}e{exponent}") for exponent in exponents for step in steps]
    return [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)] or [low, high]


def _even_ticks(low: float, high: float, whole: bool) -> list[float]:
    if low == high:
        return [low]
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    step = max(step, 1.0) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [round(number * step, 12) for number in range(first, math.floor(high / step + 1e-9) + 1)]
