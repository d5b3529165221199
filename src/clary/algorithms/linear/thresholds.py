"""The score above which a row counts as positive, chosen so that a criterion is best on rows with known labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DEFAULT = {"logistic": 0.5, "hinge_loss": 0.0}
"""Where the two classes are equally likely, by loss: scores are probabilities, or margins."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is wanted: a criterion, and the numbers it depends on."""

    criterion: str
    f_beta: float = 1.0
    target_precision: float = 0.8
    target_recall: float = 0.8


def best(scores: np.ndarray, labels: np.ndarray, goal: Goal, default: float = 0.5) -> tuple[float, float]:
    """The threshold with the highest `value`, and that value, over all thresholds that part (n,) `scores` differently.

    Of equally good ones the nearest to `default` wins. A target that no threshold meets gives the nearest to it.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order].astype(np.float64), labels[order] > 0
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    claimed = np.append(0, last_of_tie + 1)
    right = np.append(0, np.cumsum(truth)[last_of_tie])
    values = value(right, claimed, int(truth.sum()), len(truth), goal)
    between = (ranked[last_of_tie[:-1]] + ranked[last_of_tie[:-1] + 1]) / 2
    cuts = np.concatenate([[ranked[0]], between, [np.nextafter(ranked[-1], -np.inf)]])
    at_best = np.flatnonzero(values == values.max())
    chosen = at_best[np.argmin(np.abs(cuts[at_best] - default))]
    return float(cuts[chosen]), float(values[chosen])


def value(right: np.ndarray, claimed: np.ndarray, positive: int, rows: int, goal: Goal) -> np.ndarray:
    """The criterion where `claimed` of `rows` are called positive and `right` of them are; `positive` truly are.

    Accuracy, F-beta, or a precision (recall) as long as recall (precision) meets its target. Below the target the value is
    how much of it is reached, less 1, so that it is always lower than any that meets it.
    """
    if goal.criterion == "accuracy":
        return (right + (rows - positive) - (claimed - right)) / rows
    precision = np.divide(right, claimed, out=np.zeros(len(right)), where=claimed > 0)
    recall = right / max(positive, 1)
    if goal.criterion == "precision_at_target_recall":
        return np.where(recall >= goal.target_recall, precision, recall / goal.target_recall - 1)
    if goal.criterion == "recall_at_target_precision":
        return np.where(precision >= goal.target_precision, recall, precision / goal.target_precision - 1)
    square = goal.f_beta**2
    return np.divide((1 + square) * right, square * positive + claimed, out=np.zeros(len(right)), where=claimed > 0)
