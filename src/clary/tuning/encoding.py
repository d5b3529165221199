"""Configurations <-> rows of numbers that strategies work on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clary.tuning.space import Categorical, Continuous, Integer, Parameter, Scale, Space, Values, choices, scale_of


@dataclass(frozen=True)
class Encoding:
    """Rows of float64, a column per parameter of the space.

    Numbers lie in [0, 1] on their scale; an integer owns an interval that reaches half a step to both sides (Garrido-Merchán
    and Hernández-Lobato 2020) and is written as the place of its value in it. A categorical's column holds its value's number.
    """

    space: Space

    @cached_property
    def numeric(self) -> np.ndarray:
        """(columns,) bool: not categorical."""
        return np.array([not isinstance(p, Categorical) for p in self.space.parameters])

    @cached_property
    def continuous(self) -> np.ndarray:
        """(columns,) bool: of a continuum of values."""
        return np.array([choices(p) is None for p in self.space.parameters])

    @cached_property
    def categories(self) -> list[int]:
        """Values of each column; 0 for numbers."""
        return [len(p.values) if isinstance(p, Categorical) else 0 for p in self.space.parameters]

    def to_unit(self, configurations: Sequence[Values]) -> np.ndarray:
        """(n, columns), the rows of n configurations of the space."""
        columns = [_written(p, [values[p.name] for values in configurations]) for p in self.space.parameters]
        return np.array(columns, dtype=np.float64).reshape(len(columns), len(configurations)).T.copy()

    def from_unit(self, row: np.ndarray) -> Values:
        """The configuration of one row (columns,)."""
        return {
            p.name: _plain(p, _read(p, row[i : i + 1])[0]) for i, p in enumerate(self.space.parameters)
        }  # fmt: skip

    def snap(self, rows: np.ndarray) -> np.ndarray:
        """(n, columns): numbers of [0, 1) become those of configurations; also categoricals, from n-ths of [0, 1)."""
        snapped = np.empty_like(rows)
        for i, p in enumerate(self.space.parameters):
            if isinstance(p, Categorical):
                snapped[:, i] = np.minimum((rows[:, i] * len(p.values)).astype(int), len(p.values) - 1)
            else:
                snapped[:, i] = rows[:, i] if self.continuous[i] else _place(p, _read(p, rows[:, i]))
        return snapped

    def round(self, rows: np.ndarray) -> np.ndarray:
        """(n, columns) whose integers lie anywhere become those of configurations; categoricals hold their number already."""
        rounded = rows.copy()
        for i, p in enumerate(self.space.parameters):
            if isinstance(p, Integer):
                rounded[:, i] = _place(p, _read(p, rows[:, i]))
        return rounded

    def every(self) -> np.ndarray:
        """(size, columns): all configurations of a finite space."""
        axes = [
            np.arange(len(p.values), dtype=float) if isinstance(p, Categorical) else _place(p, np.arange(p.low, p.high + 0.5))
            for p in self.space.parameters
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _written(p: Parameter, values: Sequence[float | int | str]) -> np.ndarray:
    if isinstance(p, Categorical):
        return np.array([p.values.index(str(value)) for value in values], dtype=np.float64)
    return _place(p, np.array(values, dtype=np.float64))


def _read(p: Parameter, places: np.ndarray) -> np.ndarray:
    """Values of a parameter at places of its column; a categorical's are numbers still."""
    if isinstance(p, Categorical):
        return places
    low, high = _ends(p)
    start, end = _scaled(np.array([low, high]), scale_of(p))
    values = _unscaled(start + np.clip(places, 0, 1) * (end - start), scale_of(p))
    return np.clip(np.rint(values) if isinstance(p, Integer) else values, p.low, p.high)


def _place(p: Continuous | Integer, values: np.ndarray) -> np.ndarray:
    low, high = _ends(p)
    if low == high:
        return np.full(values.shape, 0.5)
    start, end = _scaled(np.array([low, high]), scale_of(p))
    return np.clip((_scaled(values, scale_of(p)) - start) / (end - start), 0, 1)


def _ends(p: Continuous | Integer) -> tuple[float, float]:
    """An integer's interval reaches half a step beyond its ends, so that every value has its share of the column."""
    return (p.low - 0.5, p.high + 0.5) if isinstance(p, Integer) else (p.low, p.high)


def _scaled(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "Logarithmic":
        return np.log(values)
    return -np.log1p(-values) if scale == "ReverseLogarithmic" else values


def _unscaled(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "Logarithmic":
        return np.exp(values)
    return -np.expm1(-values) if scale == "ReverseLogarithmic" else values


def _plain(p: Parameter, value: float) -> float | int | str:
    if isinstance(p, Categorical):
        return p.values[int(value)]
    return int(value) if isinstance(p, Integer) else float(value)
