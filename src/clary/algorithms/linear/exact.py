"""Least squares by the normal equations: one pass over the rows, then one small system for every amount of weight decay."""

from __future__ import annotations

import contextlib
from typing import Any, Self

import numpy as np
from scipy.linalg import solve
from scipy.sparse import issparse

BLOCK_ROWS = 4096
"""Rows whose products are summed in float32; the blocks are summed in float64."""


class NormalEquations:
    """X'X and X'y of rows seen so far, moved by a fixed `shift` so that large offsets cost no digits. Sums of hosts add up.

    shift : (columns + 1,) float64, about the mean of every feature and of the label
    """

    def __init__(self, shift: np.ndarray):
        self.shift = shift
        width = len(shift) + 1
        self.products = np.zeros((width, width))
        """Sums of products of (features, label, 1), weighted."""

    def add(self, features: Any, labels: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Count (n, columns) float32 rows, dense or CSR, and their (n,) labels."""
        moved = self.shift.astype(np.float32)
        buffer = np.ones((BLOCK_ROWS, len(self.products)), np.float32)
        for start in range(0, len(labels), BLOCK_ROWS):
            end = min(start + BLOCK_ROWS, len(labels))
            block = buffer[: end - start]
            part = features[start:end]
            np.subtract(part.toarray() if issparse(part) else part, moved[:-1], out=block[:, :-2])
            np.subtract(labels[start:end], moved[-1], out=block[:, -2])
            weighed = block if weights is None else block * weights[start:end, None]
            self.products += weighed.T @ block
        return self

    def solve(self, wd: float, *, stdev: np.ndarray, use_bias: bool = True) -> tuple[np.ndarray, float]:
        """Raw weights (columns,) and bias that minimise mean squared error / 2 + wd / 2 * sum of (weight * stdev)²."""
        shift = self.shift.astype(np.float32).astype(np.float64)
        products = self.products
        if use_bias:
            sums = products[:-1, -1]
            products = products[:-1, :-1] - np.outer(sums, sums) / products[-1, -1]
            centre = shift + sums / self.products[-1, -1]
        else:
            sums, rows = products[:-1, -1], products[-1, -1]
            products = products[:-1, :-1] + np.outer(sums, shift) + np.outer(shift, sums) + rows * np.outer(shift, shift)
            centre = np.zeros(len(shift))
        gram = products[:-1, :-1] / self.products[-1, -1] / np.outer(stdev, stdev)
        gram[np.diag_indices_from(gram)] += wd
        weights = _solve(gram, products[:-1, -1] / self.products[-1, -1] / stdev) / stdev
        return weights, float(centre[-1] - weights @ centre[:-1])


def _solve(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The solution of a symmetric system; where it has many (columns that repeat each other), the shortest."""
    with contextlib.suppress(np.linalg.LinAlgError):  # not positive definite: some columns are combinations of others
        solution = solve(gram, right, assume_a="pos")
        if np.linalg.norm(gram @ solution - right) <= 1e-6 * np.linalg.norm(right):
            return solution
    return np.linalg.lstsq(gram, right, rcond=1e-6)[0]
