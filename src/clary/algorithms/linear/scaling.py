"""Mean and standard deviation of columns, counted batch by batch, and the way between raw and standardised space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse


@dataclass(slots=True)
class Moments:
    """Rows seen, and per column the mean, the sum of squared deviations from it, and the entries held; all float64.

    Two of them merge exactly (Chan, Golub and LeVeque 1983), so hosts can count apart.
    """

    rows: float
    mean: np.ndarray
    squares: np.ndarray
    held: np.ndarray

    @classmethod
    def of(cls, values: Any) -> Self:
        """Of (rows, columns) values. A dense row holds all its entries; those that a CSR row does not hold are zeros."""
        rows = values.shape[0]
        if issparse(values):
            mean = np.asarray(values.mean(axis=0, dtype=np.float64)).ravel()
            raw = np.asarray(values.multiply(values).sum(axis=0, dtype=np.float64)).ravel()
            held = np.bincount(values.indices, minlength=values.shape[1]).astype(np.float64)
            return cls(rows, mean, np.maximum(raw - rows * mean * mean, 0), held)
        mean = values.mean(axis=0, dtype=np.float64)
        return cls(rows, mean, np.square(values - mean).sum(axis=0), np.full(values.shape[1], float(rows)))

    def merged(self, other: Self) -> Self:
        """The moments of the rows of both."""
        rows = self.rows + other.rows
        if rows == 0:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.rows / rows)
        squares = self.squares + other.squares + apart * apart * (self.rows * other.rows / rows)
        return type(self)(rows, mean, squares, self.held + other.held)

    @property
    def stdev(self) -> np.ndarray:
        """(columns,) deviation from the mean of entries held; 1 where a column is constant, which cannot be scaled.

        Of dense columns it is the standard deviation. A word that few sparse rows hold is not blown up as that would: its
        weight would be decided by its first rows.
        """
        stdev = np.sqrt(self.squares / np.maximum(self.held, 1))
        constant = stdev <= 1e-7 * np.abs(self.mean)  # what float32 cannot tell from rounding
        return np.where(constant, 1.0, stdev)


@dataclass(frozen=True, slots=True)
class Scaling:
    """standardised = (raw - mean) / stdev, per feature and for the label; float64."""

    mean: np.ndarray
    stdev: np.ndarray
    label_mean: float = 0.0
    label_stdev: float = 1.0

    @classmethod
    def none(cls, columns: int) -> Self:
        return cls(np.zeros(columns), np.ones(columns))

    def raw_weights(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights (outputs, columns) and biases (outputs,) that act on raw features and give raw labels."""
        raw = weights / self.stdev * self.label_stdev
        return raw, bias * self.label_stdev + self.label_mean - raw @ self.mean

    def standard_weights(self, weights: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The inverse of `raw_weights`."""
        standard = weights * self.stdev / self.label_stdev
        return standard, (bias - self.label_mean + weights @ self.mean) / self.label_stdev
