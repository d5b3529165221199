"""Quality of predictions: functions of truth (rows,) and prediction (rows,), larger is better unless it is an error."""

from __future__ import annotations

from typing import Literal

import numpy as np

Average = Literal["binary", "macro", "micro"]


def labels(predicted: np.ndarray, objective: str) -> np.ndarray:
    """The class that XGBoost's prediction for `objective` means: (rows,) int64.

    `predicted` is (rows, classes) probabilities, or (rows,) probabilities, margins (`binary:logitraw`) or classes.
    """
    if predicted.ndim == 2:
        return predicted.argmax(axis=1)
    if objective == "binary:logitraw":
        return (predicted > 0).astype(np.int64)
    if objective == "binary:logistic":
        return (predicted > 0.5).astype(np.int64)
    return np.rint(predicted).astype(np.int64)


def accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean(truth == predicted))


def balanced_accuracy(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean recall of the classes that the truth has."""
    _, right, _, actual = _counts(truth, predicted)
    return float(np.mean(right[actual > 0] / actual[actual > 0]))


def precision(truth: np.ndarray, predicted: np.ndarray, average: Average = "binary") -> float:
    """Share of the predicted that is true; 0 where nothing is predicted. `binary` is class 1's, which needs two classes."""
    classes, right, claimed, _ = _counts(truth, predicted)
    return _average(classes, _ratio(right, claimed), right.sum() / max(claimed.sum(), 1), average)


def recall(truth: np.ndarray, predicted: np.ndarray, average: Average = "binary") -> float:
    """Share of the true that is predicted; 0 where nothing is true."""
    classes, right, _, actual = _counts(truth, predicted)
    return _average(classes, _ratio(right, actual), right.sum() / max(actual.sum(), 1), average)


def f1(truth: np.ndarray, predicted: np.ndarray, average: Average = "macro") -> float:
    """Harmonic mean of precision and recall: 2 right / (predicted + true)."""
    classes, right, claimed, actual = _counts(truth, predicted)
    return _average(classes, _ratio(2 * right, claimed + actual), 2 * right.sum() / max((claimed + actual).sum(), 1), average)


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Share of the variance that is explained; 1 is perfect, 0 is the mean's."""
    truth = truth.astype(np.float64)
    total = float(((truth - truth.mean()) ** 2).sum())
    residual = float(((truth - predicted) ** 2).sum())
    if total == 0:
        return 1.0 if residual == 0 else 0.0
    return 1 - residual / total


def mse(truth: np.ndarray, predicted: np.ndarray) -> float:
    """Mean squared error."""
    return float(np.mean((truth.astype(np.float64) - predicted) ** 2))


def _counts(truth: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The classes that occur in either and, for each, its rows rightly predicted, predicted, and true."""
    classes, codes = np.unique(np.concatenate([truth, predicted]), return_inverse=True)
    true_codes, predicted_codes = codes[: len(truth)], codes[len(truth) :]
    right = np.bincount(true_codes[true_codes == predicted_codes], minlength=len(classes))
    claimed, actual = (np.bincount(rows, minlength=len(classes)) for rows in (predicted_codes, true_codes))
    return classes, right, claimed, actual


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _average(classes: np.ndarray, per_class: np.ndarray, micro: float, average: Average) -> float:
    if average == "micro":
        return float(micro)
    if average == "macro":
        return float(per_class.mean())
    if not np.isin(classes, (0, 1)).all():
        raise ValueError("Target is multiclass but average='binary'. Please choose another average setting: macro or micro.")
    return float(per_class[classes == 1].sum())  # 0 where class 1 does not occur
