"""Matern-5/2 with a weight per column, over numbers warped by Kumaraswamy's distribution and over categories."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clary.tuning.encoding import Encoding

EDGE = 1e-6
"""Numbers are kept this far from 0 and 1, where the slope of a warp is not finite."""
ROOT5 = np.sqrt(5.0)


@dataclass(frozen=True)
class Features:
    """How rows of an encoding become points of a Euclidean space: a column per number, one per category (0 or 1).

    column : (features,) the row's column of each feature. half : (features,) 1 for numbers, 1/2 for categories, so that two
    different categories are 1 apart (squared) before weighting. numeric : the columns that are numbers.
    """

    column: np.ndarray
    half: np.ndarray
    numeric: np.ndarray
    categories: tuple[int, ...]

    @classmethod
    def of(cls, encoding: Encoding) -> Features:
        counts = encoding.categories
        column = np.repeat(np.arange(len(counts)), [max(1, count) for count in counts])
        numeric = np.flatnonzero(encoding.numeric)
        return cls(column, np.where(np.isin(column, numeric), 1.0, 0.5), numeric, tuple(counts))

    @property
    def numbers(self) -> np.ndarray:
        """The features that are numbers, in the order of their columns."""
        return np.flatnonzero(self.half == 1.0)

    @property
    def columns(self) -> int:
        return len(self.categories)

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """(n, features) before warping and weighting."""
        parts = [
            (rows[:, i : i + 1] == np.arange(count)).astype(float) if count else rows[:, i : i + 1]
            for i, count in enumerate(self.categories)
        ]
        return np.hstack(parts)


def warp(x: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Kumaraswamy's distribution function 1 - (1 - x^a)^b (Snoek et al. 2014; Jones 2009) of (n, d) numbers in [0, 1], and its
    derivatives: by x, by log a, by log b."""
    x = np.clip(x, EDGE, 1 - EDGE)
    log_x = np.log(x)
    power = np.exp(a * log_x)
    log_rest = np.log1p(-power)
    rest = np.exp(b * log_rest)
    by_power = b * np.exp((b - 1) * log_rest)  # of the whole by x^a
    return 1 - rest, by_power * a * power / x, by_power * power * log_x * a, -rest * log_rest * b


def squared_distances(U: np.ndarray, V: np.ndarray) -> np.ndarray:
    """(n, m) between the rows of weighted features."""
    r2 = (U * U).sum(axis=1)[:, None] + (V * V).sum(axis=1) - 2 * (U @ V.T)
    return np.maximum(r2, 0, out=r2)


def matern(r2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k = (1 + s + s^2/3) exp(-s), s = sqrt(5 r2), and its derivative by r2: -5/6 (1 + s) exp(-s)."""
    s = ROOT5 * np.sqrt(r2)
    decay = np.exp(-s)
    slope = (1 + s) * decay
    return slope + (5 / 3) * r2 * decay, slope * (-5 / 6)
