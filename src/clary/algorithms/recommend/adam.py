"""Factorization machines trained in mini-batches by Adam (Kingma and Ba 2015), with a step size and a decay per kind of term.

The gradient of a parameter p is clip(rescale * sum over the batch of dloss/dp + decay * p), as in MXNet's Adam, and only what
occurs in a batch is updated ("lazy" updates): a step costs the values of the batch, whatever the number of features.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms.recommend.adam_kernels import train
from clary.algorithms.recommend.parameters import Parameters, csr_arrays, kernel_array


@dataclass(frozen=True, slots=True)
class Settings:
    """rates, decays : of (bias, weights, factors). batch : rows per step.

    rescale : what the summed gradient is multiplied by; None is 1 / batch. clip : its largest size; None is no limit.
    """

    rates: tuple[float, float, float]
    decays: tuple[float, float, float]
    batch: int
    logistic: bool
    eps: float = 1e-8
    rescale: float | None = None
    clip: float | None = None


@dataclass(slots=True)
class Adam:
    """Trains `parameters` in place. The moments of a parameter are kept beside it: memory is three times the model."""

    parameters: Parameters
    settings: Settings
    step: int = 0
    bias_moments: np.ndarray = field(init=False)
    weight_moments: np.ndarray = field(init=False)
    factor_moments: np.ndarray = field(init=False)
    _slots: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        features, width = self.parameters.factors.shape
        self.bias_moments = np.zeros(2, np.float32)
        self.weight_moments = np.zeros((2, features), np.float32)
        self.factor_moments = np.zeros((2, features, width), np.float32)
        self._slots = np.full(features, -1, np.int32)

    def train(self, features: csr_matrix, labels: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """One pass over the rows in their order: a step per batch. The scores (rows,) float32 of each before its step.

        `labels` (rows,) are 0 and 1 for logistic loss, any for squared loss (y - score)^2 / 2; `weights` (rows,) multiply it.
        """
        values, columns, starts = csr_arrays(features)
        rows = len(labels)
        scores = np.empty(rows, np.float32)
        given, machine = self.settings, self.parameters
        rescale = 1 / given.batch if given.rescale is None else given.rescale
        limit = np.inf if given.clip is None else given.clip
        self.step = train(
            (values, columns, starts),
            kernel_array(labels),
            np.ones(rows, np.float32) if weights is None else kernel_array(weights),
            scores,
            (machine.bias, machine.weights, machine.factors),
            (self.bias_moments, self.weight_moments, self.factor_moments),
            self._workspace(starts),
            np.array(given.rates, np.float32),
            np.array(given.decays, np.float32),
            np.array([given.eps, rescale, limit], np.float32),
            (given.batch, self.step, given.logistic),
        )
        return scores

    def _workspace(self, starts: np.ndarray) -> tuple[np.ndarray, ...]:
        """Where the gradients of a batch are summed: a slot per feature that occurs in it."""
        features, width = self.parameters.factors.shape
        ends = np.append(starts[:: self.settings.batch], starts[-1])
        slots = int(min(features, np.diff(ends).max(initial=1)))
        return (
            self._slots,
            np.empty(slots, np.int32),
            np.empty((slots, 2), np.float32),
            np.empty((slots, width), np.float32),
            np.empty(width, np.float32),
        )
