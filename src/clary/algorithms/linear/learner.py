"""Candidate models trained side by side on a stream of mini-batches: one pass over the data, whatever their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from clary.algorithms.linear import kernels, losses
from clary.algorithms.linear.candidates import Candidate
from clary.algorithms.linear.losses import Loss
from clary.algorithms.linear.optimizers import Optimizer, Settings
from clary.algorithms.linear.scaling import Scaling


class Learner:
    """Linear models in standardised space, one per candidate, with `outputs` margins each (classes for softmax, else 1).

    Columns of weights are model-major: model 0's outputs, model 1's, ... Rows go in through `step`; what was learned comes
    out through `raw_weights`, in the space of the rows as they came.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        loss: Loss,
        scaling: Scaling,
        settings: Settings,
        *,
        start: np.ndarray,
        outputs: int = 1,
        class_weights: np.ndarray | None = None,
        use_bias: bool = True,
    ):
        """`start` (outputs, features + 1): the first weights of every candidate, bias last. `class_weights` (outputs,)."""
        self.candidates = list(candidates)
        self.loss, self.scaling, self.outputs = loss, scaling, outputs
        self.losses = np.zeros(len(self.candidates))
        self.rows = 0
        self._class_weights = class_weights
        self._positive = np.array([candidate.positive for candidate in self.candidates], np.float32)
        rates, l1, wd = (self._by_column(name) for name in ("learning_rate", "l1", "wd"))
        weights = np.tile(start.astype(np.float32), (len(self.candidates), 1))
        self.optimizer = Optimizer(weights, rates, l1, wd, settings)
        self._mean = scaling.mean.astype(np.float32)
        self._inverse = (1 / scaling.stdev).astype(np.float32)
        self._bias = np.float32(use_bias)
        self._gradient = np.zeros_like(weights)
        self._ones = np.ones(0, np.float32)
        self._buffers: tuple[np.ndarray, np.ndarray] | None = None

    def _by_column(self, name: str) -> np.ndarray:
        """(columns,) the setting `name` of the candidate that each column of weights belongs to."""
        return np.repeat([getattr(candidate, name) for candidate in self.candidates], self.outputs)

    @property
    def features(self) -> int:
        return len(self._mean)

    def begin_epoch(self) -> None:
        """Forget the losses of the last epoch, and start the mean of the weights anew."""
        self.losses[:] = 0
        self.rows = 0
        self.optimizer.begin_epoch()

    def step(
        self, features: Any, labels: np.ndarray, weights: np.ndarray | None = None, rows: np.ndarray | None = None
    ) -> None:
        """One mini-batch: add its losses under the weights so far, then move them.

        features : (n, features) float32, dense or CSR
        labels, weights : (n,) float32; regression labels are raw
        rows : int64 indices of the rows that are the mini-batch; all when None
        """
        rows = np.arange(len(labels)) if rows is None else rows
        labels = labels[rows]
        weights = self._equal_weights(len(rows)) if weights is None else weights[rows]
        if issparse(features):
            self._sparse_gradient(features, rows, labels, weights)
        else:
            standard, margins = self._standard_margins(features, rows, self.optimizer.weights)
            self._differentiate(margins, labels, weights)
            np.matmul(margins, standard, out=self._gradient)
        self.rows += len(rows)
        self._gradient *= np.float32(1 / len(rows))
        self.optimizer.step(self._gradient)

    def _equal_weights(self, rows: int) -> np.ndarray:
        if len(self._ones) < rows:
            self._ones = np.ones(rows, np.float32)
        return self._ones[:rows]

    def margins(self, features: Any) -> np.ndarray:
        """Margins (models, outputs, n) float32 of (n, features) rows under the mean weights; labels' own space is left out.

        The array is used again by the next call with as many rows.
        """
        rows = np.arange(features.shape[0])
        if issparse(features):
            margins = self._sparse_margins(features, rows, self.optimizer.mean)
        else:
            _, margins = self._standard_margins(features, rows, self.optimizer.mean)
        return margins.reshape(len(self.candidates), self.outputs, -1)

    def _standard_margins(self, features: np.ndarray, rows: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standardised rows (n, features + 1) and their margins (columns, n), in memory that is used again."""
        if self._buffers is None or len(self._buffers[0]) != len(rows):
            shapes = (len(rows), self.features + 1), (len(weights), len(rows))
            self._buffers = np.empty(shapes[0], np.float32), np.empty(shapes[1], np.float32)
        standard, margins = self._buffers
        kernels.standardize(np.ascontiguousarray(features), rows, self._mean, self._inverse, self._bias, standard)
        np.matmul(weights, standard.T, out=margins)
        return standard, margins

    def _sparse_margins(self, features: Any, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Rows stay sparse: centring and scaling are applied to the weights instead."""
        scaled = weights[:, :-1] * self._inverse
        margins = np.empty((len(scaled), len(rows)), np.float32)
        kernels.sparse_margins(*_csr(features), rows, np.ascontiguousarray(scaled.T), margins)
        margins += (self._bias * weights[:, -1] - scaled @ self._mean)[:, None]
        return margins

    def _sparse_gradient(self, features: Any, rows: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        margins = self._sparse_margins(features, rows, self.optimizer.weights)
        self._differentiate(margins, labels, weights)
        gradient = np.zeros((self.features, len(margins)), np.float32)
        kernels.sparse_gradient(*_csr(features), rows, margins, gradient)
        slopes = margins.sum(axis=1)
        self._gradient[:, :-1] = (gradient.T - slopes[:, None] * self._mean) * self._inverse
        self._gradient[:, -1] = self._bias * slopes

    def _differentiate(self, margins: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        """Add the losses of `margins` (columns, n), and put their derivatives in their place."""
        if self.loss.name == "softmax_loss":
            if self._class_weights is not None:
                weights = weights * self._class_weights[labels.astype(np.int64)]
            kernels.softmax(margins.reshape(len(self.candidates), self.outputs, -1), labels, weights, self.losses)
        elif self.loss.name == "logistic":
            kernels.logistic(margins, labels, weights, self._positive, self.losses)
        else:
            self._differentiate_plainly(margins, labels, weights)

    def _differentiate_plainly(self, margins: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> None:
        if self.loss.name in losses.REGRESSION:
            labels = ((labels - self.scaling.label_mean) / self.scaling.label_stdev).astype(np.float32)
            by_model = weights
        else:
            by_model = weights * np.where(labels > 0, self._positive[:, None], np.float32(1))
        values, derivatives = losses.POINTWISE[self.loss.name](margins, labels, self.loss.parameter)
        self.losses += (values * by_model).sum(axis=1, dtype=np.float64)
        np.multiply(derivatives, by_model, out=margins)

    def raw_weights(self, models: Sequence[int] | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Weights (models, outputs, features) and biases (models, outputs) for raw features, float64."""
        means = self.optimizer.mean.reshape(len(self.candidates), self.outputs, -1)[models].astype(np.float64)
        flat = means.reshape(-1, means.shape[2])
        weights, bias = self.scaling.raw_weights(flat[:, :-1], flat[:, -1])
        return weights.reshape(*means.shape[:2], -1), bias.reshape(means.shape[:2])

    def state(self) -> dict[str, np.ndarray]:
        """What hosts exchange: everything that `step` changes, weighted by the rows it has seen so that sums are means."""
        optimizer = self.optimizer
        arrays = {"weights": optimizer.weights, "mean": optimizer.mean, "first": optimizer.first, "second": optimizer.second}
        weighted = {name: array.astype(np.float64) * self.rows for name, array in arrays.items()}
        return weighted | {"losses": self.losses, "rows": np.asarray(float(self.rows))}

    def merge(self, total: dict[str, np.ndarray]) -> Self:
        """Take over the sum of several learners' `state`: the mean of their models, weighted by rows."""
        rows = float(total["rows"])
        for name in ("weights", "mean", "first", "second"):
            getattr(self.optimizer, name)[:] = total[name] / rows
        self.losses[:] = total["losses"]
        self.rows = int(rows)
        return self


def _csr(features: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values, column indices and row ends in the types of the kernels."""
    return features.data, features.indices.astype(np.int32, copy=False), features.indptr.astype(np.int64, copy=False)
