"""Bayesian factorization machines by Gibbs sampling (Freudenthaler, Schmidt-Thieme and Rendle 2011).

Each coefficient has a Gaussian prior whose mean and precision belong to its group and its factor and are drawn too, so there
is nothing to tune but the number of factors. The score is linear in a feature's weight and factors together, so these are drawn
jointly from their exact conditional (a block), which mixes faster than one coefficient at a time as in libFM. Classes follow
the probit model with latent scores (Albert and Chib 1993).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import ndtr, ndtri

from clary.algorithms.recommend.gibbs_kernels import sweep
from clary.algorithms.recommend.lanes import LANES
from clary.algorithms.recommend.parameters import Parameters
from clary.algorithms.vectors import padded

_SHAPE, _RATE, _STRENGTH = 1.0, 1.0, 1.0
"""Gamma prior of precisions, and rows that the prior of means (zero) counts for."""


class Sampler:
    """The state of a chain; `run` moves it. `labels`, `importance` and `scores` are (rows,), in an order of its own.

    Features are divided by the largest of their values, if that is above 1: squares of larger ones are too much for float32.
    """

    def __init__(
        self,
        features: csr_matrix,
        labels: np.ndarray,
        groups: np.ndarray,
        *,
        factors: int,
        seed: int,
        probit: bool,
        importance: np.ndarray | None = None,
    ):
        """features : (rows, features). labels : (rows,), 0 and 1 for probit. groups : (features,) 0, 1, ...: a prior each.

        importance : (rows,) how many rows each row counts for.
        """
        order = _order(features)
        self._random = np.random.default_rng(seed)
        self._scale = np.float32(max(1, np.abs(features.data).max(initial=0)))
        self._features = features[order] / self._scale
        self._by_column = self._features.tocsc()
        self.labels = np.asarray(labels, np.float32)[order]
        self.importance = np.ones_like(self.labels) if importance is None else np.asarray(importance, np.float32)[order]
        self._rows = float(self.importance.sum(dtype=np.float64))
        self._probit = probit
        self._groups = groups.astype(np.int32)
        self._used = factors + 1
        self._coefficients = np.zeros((features.shape[1], padded(self._used, LANES)), np.float32)
        self._coefficients[:, 1 : self._used] = 0.1 * self._random.standard_normal((features.shape[1], factors))
        self._bias = 0.0 if probit else float(np.average(self.labels, weights=self.importance))
        kinds = int(groups.max()) + 1
        self._sizes = np.bincount(groups, minlength=kinds)
        self._means = np.zeros((kinds, self._coefficients.shape[1]), np.float32)
        self._precisions = np.ones_like(self._means)
        self._precision = 1.0

    def run(self, sweeps: int) -> Iterator[Parameters]:
        """The machine after each sweep."""
        columns = self._by_column
        data = columns.data.astype(np.float32), columns.indices.astype(np.int32), columns.indptr.astype(np.int64)
        sums = np.ascontiguousarray(self._features @ self._coefficients, np.float32)
        self.scores = self._machine(1).scores(self._features)
        for _ in range(sweeps):
            targets = self._latent(self.scores) if self._probit else self.labels
            residuals = targets - self.scores
            if not self._probit:
                self._precision = float(self._gamma(self._rows, float(residuals**2 @ self.importance)))
            residuals -= self._move_bias(residuals)
            self._draw_priors()
            chain = self._coefficients, sums, residuals, self.importance * np.float32(self._precision)
            sweep(*data, *chain, self._means, self._precisions, self._groups, self._noise())
            self.scores = targets - residuals
            yield self._machine(float(self._scale))

    def _machine(self, scale: float) -> Parameters:
        """A copy of the machine as it stands, for features that are not divided by `scale`."""
        coefficients = self._coefficients[:, : self._used] / np.float32(scale)
        return Parameters.of(self._bias, coefficients[:, 0], coefficients[:, 1:])

    def _latent(self, scores: np.ndarray) -> np.ndarray:
        """Normal around the scores, truncated to above zero for class 1 and to below for class 0, by the inverse of its CDF."""
        sign = np.where(self.labels > 0, 1.0, -1.0)
        beyond = ndtr(sign * scores.astype(np.float64))  # probability of the class
        uniform = np.clip(self._random.random(len(scores)) * beyond, 1e-300, 1 - 1e-16)
        drawn = sign * scores - ndtri(uniform)
        return (sign * np.maximum(drawn, 0)).astype(np.float32)  # of scores beyond the range of the CDF: the bound itself

    def _gamma(self, count: float, squares: np.ndarray | float) -> np.ndarray:
        """Precisions of Gaussians, given `count` values with a sum of `squares`."""
        return self._random.gamma((_SHAPE + count) / 2, 2 / (_RATE + squares))

    def _move_bias(self, residuals: np.ndarray) -> np.float32:
        """Draw the bias; returns by how much it moved."""
        precision = self._precision * self._rows + _STRENGTH
        mean = self._precision * (float(residuals @ self.importance) + self._rows * self._bias) / precision
        before, self._bias = self._bias, mean + self._random.standard_normal() / math.sqrt(precision)
        return np.float32(self._bias - before)

    def _draw_priors(self) -> None:
        """Draw mean and precision of each group's coefficients, from their normal-gamma posterior."""
        used = self._used
        for group, size in enumerate(self._sizes):
            members = self._coefficients[self._groups == group, :used].astype(np.float64)
            mean = self._means[group, :used]
            squares = ((members - mean) ** 2).sum(axis=0) + _STRENGTH * mean**2
            precisions = self._gamma(size + 1, squares)
            spread = self._random.standard_normal(used) / np.sqrt((size + _STRENGTH) * precisions)
            self._precisions[group, :used] = precisions
            self._means[group, :used] = members.sum(axis=0) / (size + _STRENGTH) + spread

    def _noise(self) -> np.ndarray:
        noise = np.zeros_like(self._coefficients)
        noise[:, : self._used] = self._random.standard_normal((len(noise), self._used), dtype=np.float32)
        return noise


def _order(features: csr_matrix) -> np.ndarray:
    """Rows by their first feature: rows that a sweep visits together lie together in memory, which halves its time."""
    filled = np.diff(features.indptr) > 0
    first = np.zeros(features.shape[0], np.int64)
    first[filled] = features.indices[features.indptr[:-1][filled]]
    return np.argsort(first, kind="stable")
