"""How good each candidate is on rows that it is judged by: its loss, or a criterion at its best threshold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.algorithms.linear import losses, thresholds
from clary.algorithms.linear.learner import Learner
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.thresholds import Goal
from clary.formats.batch import Batch

CHUNK_ROWS = 4096


@dataclass(slots=True)
class Judgement:
    """Of every candidate: the mean loss in raw units, what it is judged by (lower is better), and its threshold.

    `error` is the standard error of the costs: models that differ by less are told apart by their losses, which are surer.
    `latest`: later models count as better whatever the costs, as those are of the way and not of the model it led to.
    """

    losses: np.ndarray
    costs: np.ndarray
    thresholds: np.ndarray
    error: float = 0.0
    latest: bool = False

    def best(self, tolerance: float) -> int:
        """The candidate with the lowest loss of those whose cost is about the lowest: up to the standard error above it
        (the rule of Breiman et al. 1984), or a share of `tolerance`. One whose numbers went out of range never wins.
        """
        costs = np.where(np.isfinite(self.losses), self.costs, np.inf)
        near = costs <= costs.min() + max(tolerance * abs(costs.min()), self.error)
        return int(np.argmin(np.where(near, self.losses, np.inf)))

    def arrays(self) -> dict[str, np.ndarray]:
        return {"losses": self.losses, "costs": self.costs, "thresholds": self.thresholds, "error": np.asarray(self.error)}


def by_training_loss(learner: Learner, recipe: Recipe) -> Judgement:
    """By the losses of the epoch's own rows, each counted before it was learned from."""
    mean = learner.losses / max(learner.rows, 1) * losses.unit(recipe.loss_name, learner.scaling.label_stdev)
    return Judgement(mean, mean, _default_thresholds(learner, recipe), latest=True)


def by_rows(learner: Learner, recipe: Recipe, batches: Iterable[Batch]) -> Judgement:
    """By labelled rows, `batches` of them; the criterion is that of the first `recipe.calibration_rows`."""
    total, rows = np.zeros(len(learner.candidates)), 0
    scores: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    wanted = recipe.calibration_rows if recipe.criterion != "loss_function" else 0
    for features, truth in chunks(batches):
        margins = learner.margins(features)
        total += _losses(learner, margins, truth)
        rows += len(truth)
        if wanted > 0:
            scores.append(score(margins[:, 0, :wanted], recipe.loss_name))
            labels.append(truth[:wanted])
            wanted -= len(labels[-1])
    mean = total / rows * losses.unit(recipe.loss_name, learner.scaling.label_stdev)
    if not scores:
        return Judgement(mean, mean, _default_thresholds(learner, recipe))
    goal = Goal(recipe.criterion, recipe.f_beta, recipe.target_precision, recipe.target_recall)
    default, truth = thresholds.DEFAULT[recipe.loss_name], np.concatenate(labels)
    chosen = [thresholds.best(each, truth, goal, default) for each in np.concatenate(scores, axis=1)]
    cuts, values = (np.array(each) for each in zip(*chosen, strict=True))
    share = float(np.clip(values.max(), 0, 1))
    return Judgement(mean, -values, cuts, error=(share * (1 - share) / len(truth)) ** 0.5)


def chunks(batches: Iterable[Batch]) -> Iterable[tuple[Any, np.ndarray]]:
    """Features and labels of `batches` in pieces that bound the memory of their margins."""
    for batch in batches:
        assert batch.labels is not None
        for start in range(0, batch.rows, CHUNK_ROWS):
            end = start + CHUNK_ROWS
            yield batch.features[start:end], batch.labels[start:end]


def score(margins: np.ndarray, loss: str) -> np.ndarray:
    """What a binary classifier answers: the probability of the positive class, or the margin of a hinge; never a view."""
    return losses.sigmoid(margins) if loss == "logistic" else margins.copy()


def _losses(learner: Learner, margins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(models,) sums of the unweighted losses of `margins` (models, outputs, n)."""
    if learner.loss.name == "softmax_loss":
        return losses.softmax(margins, labels)[0].sum(axis=1, dtype=np.float64)
    standard = (labels - learner.scaling.label_mean) / learner.scaling.label_stdev
    values, _ = losses.POINTWISE[learner.loss.name](margins[:, 0], standard.astype(np.float32), learner.loss.parameter)
    return values.sum(axis=1, dtype=np.float64)


def _default_thresholds(learner: Learner, recipe: Recipe) -> np.ndarray:
    return np.full(len(learner.candidates), thresholds.DEFAULT.get(recipe.loss_name, 0.0))
