"""What a principal component analysis finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FULL = 0.2
"""Share of entries from which on sparse rows are faster, and lose fewer digits, as dense ones."""


@dataclass(frozen=True, slots=True)
class Spectrum:
    """squares : (k,) float64, squared singular values of the (centred) rows, largest first
    vectors : (k, columns) float64, the right singular vectors; the largest entry of each is positive
    total : sum of all squared singular values
    """

    squares: np.ndarray
    vectors: np.ndarray
    total: float

    @classmethod
    def of(cls, squares: np.ndarray, vectors: np.ndarray, total: float) -> Spectrum:
        """From ascending or descending pairs, `vectors` in columns, as LAPACK gives them."""
        order = np.argsort(squares)[::-1]
        rows = vectors.T[order]
        largest = np.abs(rows).argmax(axis=1)
        signs = np.where(rows[np.arange(len(rows)), largest] < 0, -1.0, 1.0)
        return cls(np.maximum(squares[order], 0), rows * signs[:, None], float(total))
