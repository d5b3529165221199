"""Count, mean and scatter matrix of rows that come in batches: exact, mergeable, and stable for any offset.

Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance": blocks of rows are multiplied about a mean that
is known already, and what lies between the means of blocks is added in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import eigh
from scipy.sparse import issparse

from clary.algorithms.decomposition.products import gram
from clary.algorithms.decomposition.spectrum import FULL, Spectrum

_BUFFER_BYTES = 16 << 20
_FEWEST_ROWS, _MOST_ROWS = 4096, 16384
"""Rows of a block: adding it to the matrix costs as much as multiplying some hundred, and its float32 sums lose digits."""


class Scatter:
    """rows : how many were seen
    mean : (columns,) float64
    matrix : (columns, columns) float64, Σ (x − mean)(x − mean)ᵀ

    Dense blocks are multiplied on `device`, PyTorch's, if one is named. `update` leaves rows in a buffer;
    `flush` brings all three up to date.
    """

    def __init__(self, columns: int, device: str | None = None):
        self._device = device
        self.rows = 0
        self.mean = np.zeros(columns)
        self.matrix = np.zeros((columns, columns))
        self._buffer = np.empty((0, columns), np.float32)
        self._shift = np.zeros(columns)
        self._filled = 0

    def update(self, X: Any) -> None:
        """Take in rows: (n, columns) float32, float64 or CSR."""
        if not issparse(X):
            self._update_dense(X)
        elif X.nnz < FULL * X.shape[0] * X.shape[1]:
            self._add(*_moments_of_sparse(X))
        else:
            for start in range(0, X.shape[0], _FEWEST_ROWS):
                self._update_dense(X[start : start + _FEWEST_ROWS].toarray())

    def flush(self) -> None:
        """Add what waits in the buffer."""
        block, self._filled = self._buffer[: self._filled], 0
        if not len(block):
            return
        offset = block.sum(axis=0, dtype=block.dtype).astype(np.float64) / len(block)
        products = gram(block, self._device).astype(np.float64)
        products -= np.outer(offset * len(block), offset)
        self._add(len(block), self._shift.astype(block.dtype) + offset, products)
        self._shift = self.mean

    def spectrum(self, count: int, centered: bool = True) -> Spectrum:
        """The `count` largest principal components, about the mean or about zero."""
        self.flush()
        matrix = self.matrix if centered else self.matrix + self.rows * np.outer(self.mean, self.mean)
        columns = len(self.mean)
        squares, vectors = eigh(matrix, subset_by_index=(columns - count, columns - 1), check_finite=False)
        return Spectrum.of(squares, vectors, np.trace(matrix))

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for a file or another host."""
        self.flush()
        return {"rows": np.array([self.rows]), "mean": self.mean, "matrix": self.matrix}

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray]) -> Scatter:
        scatter = cls(len(arrays["mean"]))
        scatter._add(arrays["rows"].item(), arrays["mean"], arrays["matrix"])
        return scatter

    def _update_dense(self, X: np.ndarray) -> None:
        if self._buffer.dtype != X.dtype or not len(self._buffer):
            self._renew(X)
        start = 0
        while start < len(X):
            end = min(len(X), start + len(self._buffer) - self._filled)
            room = self._buffer[self._filled : self._filled + end - start]
            np.subtract(X[start:end], self._shift.astype(X.dtype), out=room)
            self._filled += end - start
            start = end
            if self._filled == len(self._buffer):
                self.flush()

    def _renew(self, X: np.ndarray) -> None:
        """A buffer for rows like `X`, which are about their mean if they are the first."""
        self.flush()
        height = min(max(_FEWEST_ROWS, _BUFFER_BYTES // (X.itemsize * X.shape[1])), _MOST_ROWS)
        self._buffer = np.empty((height, X.shape[1]), X.dtype)
        self._shift = self.mean if self.rows else X[:_FEWEST_ROWS].mean(axis=0, dtype=np.float64)

    def _add(self, rows: int, mean: np.ndarray, matrix: np.ndarray) -> None:
        total = self.rows + rows
        apart = mean - self.mean
        self.matrix += matrix
        if self.rows:
            self.matrix += np.outer(apart * (self.rows * rows / total), apart)
        self.mean = self.mean + apart * (rows / total)
        self.rows = total


def merge(parts: Sequence[Scatter]) -> Scatter:
    """The scatter of the rows of all `parts`."""
    whole = Scatter(len(parts[0].mean))
    for part in parts:
        part.flush()
        if part.rows:
            whole._add(part.rows, part.mean, part.matrix)
    return whole


def _moments_of_sparse(X: Any) -> tuple[int, np.ndarray, np.ndarray]:
    wide = X.astype(np.float64)
    mean = np.asarray(wide.sum(axis=0)).ravel() / X.shape[0]
    return X.shape[0], mean, (wide.T @ wide).toarray() - X.shape[0] * np.outer(mean, mean)
