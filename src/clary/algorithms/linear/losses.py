"""What a linear model minimises: losses of margins, in plain NumPy.

Margins are (columns, rows): a column is one output of one candidate model. A loss gives, for each of them, its value and
its derivative. `kernels` has the two that need an exponential in a faster form; these are its reference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Pointwise = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]
"""`loss(margins, labels, parameter) -> (values, derivatives)`; labels broadcast against the margins."""

BINARY = ("logistic", "hinge_loss")
MULTICLASS = ("softmax_loss",)
REGRESSION = (
    "squared_loss",
    "absolute_loss",
    "eps_insensitive_squared_loss",
    "eps_insensitive_absolute_loss",
    "quantile_loss",
    "huber_loss",
)
OF_PREDICTOR = {"binary_classifier": BINARY, "multiclass_classifier": MULTICLASS, "regressor": REGRESSION}
"""Predictor type -> its losses; the first is what `auto` means."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss and the number it depends on: the margin of a hinge, delta of Huber, the quantile, the insensitivity."""

    name: str
    parameter: float = 0.0


def logistic(margins: np.ndarray, labels: np.ndarray, _: float) -> tuple[np.ndarray, np.ndarray]:
    """log(1 + exp(-margin)) where the label is 1, log(1 + exp(margin)) where it is 0."""
    return np.logaddexp(0, margins) - labels * margins, sigmoid(margins) - labels


def hinge(margins: np.ndarray, labels: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """max(0, width - margin) where the label is 1, max(0, width + margin) where it is 0."""
    signs = 2 * labels - 1
    short = width - signs * margins
    return np.maximum(short, 0), np.where(short > 0, -signs, 0)


def squared(margins: np.ndarray, labels: np.ndarray, _: float) -> tuple[np.ndarray, np.ndarray]:
    """(margin - label)² / 2."""
    errors = margins - labels
    return errors * errors / 2, errors


def absolute(margins: np.ndarray, labels: np.ndarray, _: float) -> tuple[np.ndarray, np.ndarray]:
    """|margin - label|."""
    errors = margins - labels
    return np.abs(errors), np.sign(errors)


def eps_squared(margins: np.ndarray, labels: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """max(0, |margin - label| - eps)² / 2."""
    errors = margins - labels
    beyond = np.sign(errors) * np.maximum(np.abs(errors) - eps, 0)
    return beyond * beyond / 2, beyond


def eps_absolute(margins: np.ndarray, labels: np.ndarray, eps: float) -> tuple[np.ndarray, np.ndarray]:
    """max(0, |margin - label| - eps)."""
    errors = margins - labels
    beyond = np.maximum(np.abs(errors) - eps, 0)
    return beyond, np.where(beyond > 0, np.sign(errors), 0)


def quantile(margins: np.ndarray, labels: np.ndarray, q: float) -> tuple[np.ndarray, np.ndarray]:
    """The pinball loss, least where a share `q` of the labels lies below the margin (Koenker and Bassett 1978)."""
    errors = margins - labels
    return np.where(errors > 0, (1 - q) * errors, -q * errors), np.where(errors > 0, 1 - q, -q)


def huber(margins: np.ndarray, labels: np.ndarray, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Squared within `delta`, linear beyond (Huber 1964)."""
    errors = margins - labels
    clipped = np.clip(errors, -delta, delta)
    return clipped * (errors - clipped / 2), clipped


POINTWISE: dict[str, Pointwise] = {
    "logistic": logistic,
    "hinge_loss": hinge,
    "squared_loss": squared,
    "absolute_loss": absolute,
    "eps_insensitive_squared_loss": eps_squared,
    "eps_insensitive_absolute_loss": eps_absolute,
    "quantile_loss": quantile,
    "huber_loss": huber,
}


def unit(loss: str, label_stdev: float) -> float:
    """What turns a loss of standardised labels into one of raw labels. A squared loss is reported without its 1/2."""
    if loss not in REGRESSION:
        return 1.0
    if loss == "huber_loss":
        return label_stdev**2
    return 2 * label_stdev**2 if "squared" in loss else label_stdev


def softmax(margins: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy of softmax: `margins` (models, classes, rows), `labels` (rows,) -> values (models, rows), derivatives."""
    rows, truth = np.arange(margins.shape[2]), labels.astype(np.int64)
    above = margins - margins.max(axis=1, keepdims=True)
    values = np.log(np.exp(above).sum(axis=1)) - above[:, truth, rows]
    derivatives = softmax_shares(margins, axis=1)
    derivatives[:, truth, rows] -= 1
    return values, derivatives


def sigmoid(margins: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-margin)), without overflow."""
    small = np.exp(-np.abs(margins))
    return np.where(margins >= 0, 1, small) / (1 + small)


def softmax_shares(margins: np.ndarray, axis: int = -1) -> np.ndarray:
    """exp(margin) / sum of exp(margins) along `axis`, without overflow."""
    powers = np.exp(margins - margins.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)
