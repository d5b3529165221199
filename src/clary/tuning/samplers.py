"""Strategies that do not look at results: random, Sobol and grid.

A proposal depends on the space, the seed and its index only. Configurations of a finite space are proposed once each, until
none is left; then random and Sobol search begin again, and a grid is exhausted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from clary.tuning.encoding import Encoding
from clary.tuning.space import Categorical, Continuous, Space, Values
from clary.tuning.trial import Trial


@dataclass(frozen=True, slots=True)
class Random:
    """Independent draws, uniform on each parameter's scale."""

    seed: int
    minimize: bool = True

    def suggest(
        self, space: Space, trials: Sequence[Trial], index: int, prior: Sequence[Trial] = (), transfer: bool = False
    ) -> Values | None:
        encoding = Encoding(space)
        if space.size is None:
            row = np.random.default_rng([self.seed, index]).random((1, len(space.parameters)))
            return encoding.from_unit(encoding.snap(row)[0])
        return encoding.from_unit(
            _distinct(encoding, index, lambda n: np.random.default_rng(self.seed).random((n, _columns(space))))
        )


@dataclass(frozen=True, slots=True)
class Sobol:
    """The scrambled Sobol sequence (Owen 1998), which fills the cube more evenly than random draws."""

    seed: int
    minimize: bool = True

    def suggest(
        self, space: Space, trials: Sequence[Trial], index: int, prior: Sequence[Trial] = (), transfer: bool = False
    ) -> Values | None:
        encoding = Encoding(space)
        if space.size is None:
            return encoding.from_unit(encoding.snap(sobol(_columns(space), self.seed, index, 1))[0])
        return encoding.from_unit(_distinct(encoding, index, lambda n: sobol(_columns(space), self.seed, 0, n)))


@dataclass(frozen=True, slots=True)
class Grid:
    """Every combination once, in an order that the seed shuffles; None when all were proposed.

    Raises ValueError when a parameter is continuous: give categorical or integer parameters.
    """

    seed: int
    minimize: bool = True

    def suggest(
        self, space: Space, trials: Sequence[Trial], index: int, prior: Sequence[Trial] = (), transfer: bool = False
    ) -> Values | None:
        size = space.size
        if size is None:
            name = next(p.name for p in space.parameters if isinstance(p, Continuous) and p.low < p.high)
            raise ValueError(f"a grid needs categorical or integer parameters; {name} is continuous")
        return _cell(space, _shuffled(index, size, self.seed)) if index < size else None


def sobol(dimensions: int, seed: int, start: int, n: int) -> np.ndarray:
    """(n, dimensions): points `start` to `start + n` of the scrambled sequence of a seed."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(dimensions, rng=np.random.default_rng(seed))
    if start:
        sequence.fast_forward(start)
    with np.errstate(all="ignore"):
        return _quietly(sequence, n)


def _quietly(sequence: object, n: int) -> np.ndarray:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that n is no power of two
        return sequence.random(n)  # type: ignore[attr-defined]


def _distinct(encoding: Encoding, index: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """The index-th distinct row of a stream of draws; after the last of a finite space the count begins again."""
    size = encoding.space.size or 1
    index %= size
    n = 64
    while True:
        rows = encoding.snap(draw(n))
        _, first = np.unique(rows, axis=0, return_index=True)
        if len(first) > index:
            return rows[np.sort(first)[index]]
        if n >= 16 * size:  # the rest is too rare to wait for: take what the stream did not give, in order
            every = encoding.every()
            missing = every[~(every[:, None] == rows[first][None]).all(axis=2).any(axis=1)]
            return missing[index - len(first)]
        n *= 4


def _shuffled(index: int, size: int, seed: int) -> int:
    """A permutation of range(size), whatever its size: a step that shares no divisor with it."""
    rng = np.random.default_rng(seed)
    step, shift = (int(rng.integers(min(size, 1 << 62))) for _ in range(2))
    while math.gcd(step, size) != 1:
        step += 1
    return (step * index + shift) % size


def _cell(space: Space, number: int) -> Values:
    values: Values = {}
    for p in space.parameters:
        if isinstance(p, Categorical):
            number, at = divmod(number, len(p.values))
            values[p.name] = p.values[at]
        else:
            number, at = divmod(number, int(p.high) - int(p.low) + 1)
            values[p.name] = p.low + at
    return values


def _columns(space: Space) -> int:
    return len(space.parameters)
