"""The parameters of a factorization machine, and its scores (Rendle 2010, "Factorization Machines", equations 1 and 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from scipy.sparse import csr_matrix

from clary.algorithms.recommend.lanes import LANES, add, load, multiply, splat, subtract, total
from clary.algorithms.vectors import padded


@dataclass(slots=True)
class Parameters:
    """bias : (1,), weights : (features,), factors : (features, factors padded to a multiple of 8 with zeros); float32."""

    bias: np.ndarray
    weights: np.ndarray
    factors: np.ndarray

    @classmethod
    def of(cls, bias: float, weights: np.ndarray, factors: np.ndarray) -> Parameters:
        """Copies of `weights` and of `factors` (features, num_factors), which have no padding."""
        wide = np.zeros((len(weights), padded(factors.shape[1], LANES)), np.float32)
        wide[:, : factors.shape[1]] = factors
        return cls(np.array([bias], np.float32), np.array(weights, np.float32), wide)

    @classmethod
    def empty(cls, features: int, factors: int) -> Parameters:
        """All zero."""
        width = padded(factors, LANES)
        return cls(np.zeros(1, np.float32), np.zeros(features, np.float32), np.zeros((features, width), np.float32))

    def scores(self, features: csr_matrix) -> np.ndarray:
        """(rows,) float32: bias + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j."""
        scores = np.empty(features.shape[0], np.float32)
        bias, weights, factors = (kernel_array(array) for array in (self.bias, self.weights, self.factors))
        score_rows(*csr_arrays(features), bias, weights, factors, scores)
        return scores


def csr_arrays(features: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (float32), columns (int32) and row starts (int64) of a CSR matrix, as the kernels take them."""
    parts = (features.data, np.float32), (features.indices, np.int32), (features.indptr, np.int64)
    values, columns, starts = (kernel_array(part, dtype) for part, dtype in parts)
    return values, columns, starts


def kernel_array(values: Any, dtype: Any = np.float32) -> np.ndarray:
    """`values` as a kernel's signature wants them: contiguous and writable. Arrays that joblib maps into workers are read-only
    and are copied; others are not.
    """
    return np.require(values, dtype, ["C", "W"])


def reference_scores(features: np.ndarray, bias: float, weights: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """The same as `Parameters.scores` in plain NumPy, of dense `features` (rows, features), in the inputs' precision."""
    pairs = ((features @ factors) ** 2 - features**2 @ factors**2).sum(axis=1) / 2
    return bias + features @ weights + pairs


@njit("void(f4[::1], i4[::1], i8[::1], f4[::1], f4[::1], f4[:,::1], f4[::1])", cache=True, nogil=True, error_model="numpy")
def score_rows(values, columns, starts, bias, weights, factors, scores):  # type: ignore[no-untyped-def]
    """Fill `scores` (rows,) for the CSR rows `values`, `columns`, `starts`."""
    width = factors.shape[1]
    for row in range(len(scores)):
        linear = bias[0]
        pairs = splat(np.float32(0))
        for place in range(starts[row], starts[row + 1]):
            linear += weights[columns[place]] * values[place]
        for lane in range(0, width, LANES):
            summed = splat(np.float32(0))
            for place in range(starts[row], starts[row + 1]):
                term = multiply(load(factors, columns[place] * width + lane), splat(values[place]))
                summed = add(summed, term)
                pairs = subtract(pairs, multiply(term, term))
            pairs = add(pairs, multiply(summed, summed))
        scores[row] = linear + np.float32(0.5) * total(pairs)
