"""The quality of one model on labelled rows, counted batch by batch, under the metric names of the hosted algorithm."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from clary.algorithms.linear import losses
from clary.algorithms.linear.losses import Loss
from clary.algorithms.linear.recipe import Recipe

RANKED_ROWS = 10_000_000
"""Rows whose scores are kept to rank them (roc_auc_score); of more, the first so many."""
OBJECTIVES = {
    "logistic": "binary_classification_cross_entropy_objective",
    "hinge_loss": "hinge_loss_objective",
    "softmax_loss": "multiclass_cross_entropy_objective",
    "squared_loss": "mse_objective",
    "absolute_loss": "absolute_loss_objective",
    "eps_insensitive_squared_loss": "eps_insensitive_squared_loss_objective",
    "eps_insensitive_absolute_loss": "eps_insensitive_absolute_loss_objective",
    "quantile_loss": "quantile_loss_objective",
    "huber_loss": "huber_loss_objective",
}


class Evaluation(Protocol):
    """Counts rows; `values` are the metrics of all so far, and `losses` the names of those that are better when lower."""

    losses: frozenset[str]

    def add(self, margins: np.ndarray, labels: np.ndarray) -> None:
        """Count raw margins (n, outputs) and labels (n,)."""
        ...

    def values(self) -> dict[str, float]: ...


def evaluation(recipe: Recipe, threshold: float, *, label_stdev: float = 1.0, top_k: int = 3) -> Evaluation:
    """An evaluation for the models of `recipe`. `threshold` is a binary model's; `label_stdev` scales a regression loss."""
    if recipe.predictor_type == "regressor":
        return Regression(recipe.objective, label_stdev)
    if recipe.predictor_type == "multiclass_classifier":
        return Multiclass(recipe.f_beta, top_k)
    return Binary(recipe.objective, threshold, recipe.f_beta)


class Binary:
    """Two classes: loss, accuracy, F-beta, precision and recall at the threshold, and the area under the ROC curve."""

    losses = frozenset(OBJECTIVES.values())

    def __init__(self, loss: Loss, threshold: float, f_beta: float):
        self._loss, self._threshold, self._f_beta = loss, threshold, f_beta
        self._total = 0.0
        self._counts = np.zeros((2, 2))
        """Rows by truth and prediction."""
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self._room = RANKED_ROWS

    def add(self, margins: np.ndarray, labels: np.ndarray) -> None:
        margins = margins[:, 0].astype(np.float64)
        values, _ = losses.POINTWISE[self._loss.name](margins, labels, self._loss.parameter)
        self._total += float(values.sum())
        scores = losses.sigmoid(margins) if self._loss.name == "logistic" else margins
        predicted = scores > self._threshold
        np.add.at(self._counts, (labels.astype(np.int64), predicted.astype(np.int64)), 1)
        if self._room > 0:
            self._kept.append((margins[: self._room].astype(np.float32), labels[: self._room] > 0))
            self._room -= len(labels)

    def values(self) -> dict[str, float]:
        (_, false_positive), (false_negative, right) = self._counts
        return {
            OBJECTIVES[self._loss.name]: self._total / self._counts.sum(),
            "binary_classification_accuracy": float(np.trace(self._counts) / self._counts.sum()),
            f"binary_f_{self._f_beta:.3f}": f_score(right, right + false_positive, right + false_negative, self._f_beta),
            "precision": _ratio(right, right + false_positive),
            "recall": _ratio(right, right + false_negative),
            "roc_auc_score": area_under_roc(*map(np.concatenate, zip(*self._kept, strict=True))),
        }


class Multiclass:
    """Several classes: cross entropy, accuracies, averages over classes, and the rank of the truth (DCG)."""

    losses = frozenset({OBJECTIVES["softmax_loss"], "multiclass_log_loss"})

    def __init__(self, f_beta: float, top_k: int):
        self._f_beta, self._top_k = f_beta, top_k
        self._total = self._within = self._gain = 0.0
        self._counts = np.zeros((0, 0))
        """Rows by truth and prediction."""

    def add(self, margins: np.ndarray, labels: np.ndarray) -> None:
        truth = labels.astype(np.int64)
        classes = margins.shape[1]
        if not self._counts.size:
            self._counts = np.zeros((classes, classes))
        own = margins[np.arange(len(truth)), truth][:, None]
        ranks = 1 + (margins > own).sum(axis=1)
        self._total += float(losses.softmax(margins.T[None].astype(np.float64), labels)[0].sum())
        self._within += int((ranks <= self._top_k).sum())
        self._gain += float((1 / np.log2(1 + ranks)).sum())
        np.add.at(self._counts, (truth, margins.argmax(axis=1)), 1)

    def values(self) -> dict[str, float]:
        rows, right = self._counts.sum(), np.diag(self._counts)
        claimed, actual = self._counts.sum(axis=0), self._counts.sum(axis=1)
        present = actual > 0
        recalls = [_ratio(*pair) for pair in zip(right[present], actual[present], strict=True)]
        precisions = [_ratio(*pair) for pair in zip(right[present], claimed[present], strict=True)]
        f_scores = [
            f_score(*each, self._f_beta) for each in zip(right[present], claimed[present], actual[present], strict=True)
        ]
        return {
            OBJECTIVES["softmax_loss"]: self._total / rows,
            "multiclass_accuracy": float(right.sum() / rows),
            f"multiclass_top_k_accuracy_{self._top_k}": self._within / rows,
            "dcg": self._gain / rows,
            "macro_recall": float(np.mean(recalls)),
            "macro_precision": float(np.mean(precisions)),
            f"macro_f_{self._f_beta:.3f}": float(np.mean(f_scores)),
            "multiclass_balanced_accuracy": float(np.mean(recalls)),
            "multiclass_log_loss": self._total / rows,
        }


class Regression:
    """Numbers: the loss that was minimised, and mean squared, root mean squared and mean absolute error, in raw units."""

    losses = frozenset({*OBJECTIVES.values(), "mse", "rmse", "absolute_loss"})

    def __init__(self, loss: Loss, label_stdev: float):
        self._loss, self._stdev = loss, label_stdev
        self._objective = self._squares = self._absolute = 0.0
        self._rows = 0

    def add(self, margins: np.ndarray, labels: np.ndarray) -> None:
        errors = margins[:, 0].astype(np.float64) - labels
        standard, _ = losses.POINTWISE[self._loss.name](errors / self._stdev, np.zeros(1), self._loss.parameter)
        self._objective += float(standard.sum()) * losses.unit(self._loss.name, self._stdev)
        self._squares += float((errors * errors).sum())
        self._absolute += float(np.abs(errors).sum())
        self._rows += len(errors)

    def values(self) -> dict[str, float]:
        mse = self._squares / self._rows
        return {
            OBJECTIVES[self._loss.name]: self._objective / self._rows,
            "mse": mse,
            "rmse": float(np.sqrt(mse)),
            "absolute_loss": self._absolute / self._rows,
        }


def f_score(right: float, claimed: float, actual: float, beta: float) -> float:
    """(1 + beta²) right / (beta² actual + claimed): recall counts beta times as much as precision."""
    return _ratio((1 + beta**2) * right, beta**2 * actual + claimed)


def area_under_roc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The chance that a positive row scores above a negative one, ties counted half; 0.5 where one class is missing."""
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return 0.5
    _, tie, sizes = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(sizes) - (sizes - 1) / 2
    above = mean_rank[tie[positive]].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
