"""Metrics of a machine's scores: of a batch, of an epoch, of the test channel."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, xlogy

from clary.algorithms.hosted.metric_lines import Kind

Value = tuple[str, float, Kind]
_LEAST = 1e-7
"""Probabilities are kept so far from 0 and 1 when their logarithm is taken: float32 scores say no more."""


@dataclass(slots=True)
class Quality:
    """Sums over the rows added so far. Classes are 0 and 1; class 1 is predicted from a probability of 0.5 on."""

    binary: bool
    rows: int = 0
    sums: np.ndarray = field(default_factory=lambda: np.zeros(4))
    """Of a regressor squared and absolute errors; of a classifier right ones, cross-entropy, true positives, positives of
    either kind (predicted and actual)."""

    def add(self, scores: np.ndarray, labels: np.ndarray) -> None:
        """`scores` (rows,) of the machine, before any sigmoid."""
        self.rows += len(labels)
        self.sums += _classified(scores, labels) if self.binary else _regressed(scores, labels)

    def values(self) -> list[Value]:
        """Name, value, and whether more is better; of at least one row."""
        if not self.binary:
            squared, absolute = self.sums[:2] / self.rows
            return [("rmse", float(np.sqrt(squared)), "loss"), ("mse", squared, "loss"), ("absolute_loss", absolute, "loss")]
        right, entropy, hits, positives = self.sums
        return [
            ("binary_classification_accuracy", right / self.rows, "score"),
            ("binary_classification_cross_entropy", entropy / self.rows, "loss"),
            ("binary_f_1.000", 2 * hits / positives if positives else 0.0, "score"),
        ]


def _regressed(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    errors = scores.astype(np.float64) - labels
    return np.array([errors @ errors, np.abs(errors).sum(), 0, 0])


def _classified(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    likely = np.clip(expit(scores.astype(np.float64)), _LEAST, 1 - _LEAST)
    predicted = scores >= 0
    entropy = -(xlogy(labels, likely) + xlogy(1 - labels, 1 - likely)).sum()
    return np.array([(predicted == labels).sum(), entropy, (predicted * labels).sum(), predicted.sum() + labels.sum()])
