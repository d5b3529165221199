"""From a recipe to the best of its candidates: epochs over mini-batches, judged after each, stopped when nothing improves."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.algorithms.linear.candidates import AUTO, Candidate, grid
from clary.algorithms.linear.judging import Judgement
from clary.algorithms.linear.learner import Learner
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.statistics import Statistics

MiniBatch = tuple[Any, np.ndarray, np.ndarray | None, np.ndarray | None]
"""Arguments of `Learner.step`: features, labels, weights, which rows."""


@dataclass(slots=True)
class Model:
    """What training gives: raw-space `weights` (outputs, columns) and `bias` (outputs,), float64, and where they are from."""

    weights: np.ndarray
    bias: np.ndarray
    threshold: float
    candidate: Candidate
    number: int
    epoch: int
    loss: float


@dataclass(frozen=True, slots=True)
class Report:
    """What is told after each epoch; `best` is the number of the candidate that is best then."""

    epoch: int
    learner: Learner
    judgement: Judgement
    best: int


def learner(
    recipe: Recipe,
    statistics: Statistics,
    seed: int,
    start: tuple[np.ndarray, np.ndarray] | None = None,
) -> Learner:
    """A learner for `recipe` that has seen nothing; it starts from raw weights and bias when `start` has them."""
    scaling = statistics.scaling(recipe)
    outputs = len(statistics.classes) if recipe.predictor_type == "multiclass_classifier" else 1
    candidates = grid(
        recipe.num_models,
        learning_rate=recipe.learning_rate,
        l1=_single(recipe, recipe.l1),
        wd=_single(recipe, recipe.wd),
        positive=statistics.positive_weights(recipe),
    )
    first = (
        _drawn(recipe, outputs, len(scaling.mean), seed) if start is None else np.column_stack(scaling.standard_weights(*start))
    )
    return Learner(
        candidates,
        recipe.objective,
        scaling,
        recipe.settings,
        start=first,
        outputs=outputs,
        class_weights=statistics.class_weights(recipe),
        use_bias=recipe.use_bias,
    )


@np.errstate(over="ignore", invalid="ignore")  # a candidate may diverge; it never wins
def train(
    learner: Learner,
    recipe: Recipe,
    batches: Callable[[], Iterable[MiniBatch]],
    judge: Callable[[Learner], Judgement],
    *,
    synchronise: Callable[[Learner], None] = lambda learner: None,
    report: Callable[[Report], None] = lambda report: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Model:
    """Run up to `recipe.epochs` epochs and give the best model of any of them.

    batches : the mini-batches of one epoch, each time it is called
    judge : how good the candidates are now
    synchronise : called at the end of an epoch, for hosts to merge what they learned
    stopped : whether the epoch that ended, perhaps before its time, is the last
    """
    model, race = None, _Race(recipe.early_stopping_tolerance, recipe.early_stopping_patience)
    for epoch in range(recipe.epochs):
        learner.begin_epoch()
        for batch in batches():
            learner.step(*batch)
        synchronise(learner)
        if not np.isfinite(learner.losses).any():  # what is not finite in the data spoils all candidates
            raise FloatingPointError("training diverged: the loss is not finite; use a lower learning_rate")
        judgement = judge(learner)
        best = judgement.best(recipe.early_stopping_tolerance)
        report(Report(epoch, learner, judgement, best))
        leads = race.enter(float(judgement.costs[best]), float(judgement.losses[best]), judgement.error)
        if model is None or leads or judgement.latest:
            model = _model(learner, judgement, best, epoch)
        if race.over or stopped():
            break
    assert model is not None
    return model


class _Race:
    """The best model of each epoch in turn: which leads, and whether more epochs are worth while.

    Costs that differ by no more than a share of `tolerance`, or their standard error, are equal, and the lower loss decides.
    """

    def __init__(self, tolerance: float, patience: int):
        self._tolerance, self._patience, self._left = tolerance, patience, patience
        self._cost = self._loss = np.inf

    def enter(self, cost: float, loss: float, error: float) -> bool:
        """Whether a model of this cost, with its standard error, and loss is better than all before it."""
        band = self._tolerance * abs(self._cost) if np.isfinite(self._cost) else 0.0
        improves = cost < self._cost - band
        self._left = self._patience if improves else self._left - 1
        slack = max(band, error)
        leads = cost < self._cost - slack or (cost <= self._cost + slack and loss < self._loss)
        self._cost = min(cost, self._cost)
        if leads:
            self._loss = loss
        return leads

    @property
    def over(self) -> bool:
        """Whether so many epochs as there is patience have not improved."""
        return self._left <= 0


def _model(learner: Learner, judgement: Judgement, number: int, epoch: int) -> Model:
    weights, bias = learner.raw_weights([number])
    if not np.isfinite(weights).all():
        raise FloatingPointError("training diverged: the weights are no longer finite; use a lower learning_rate")
    threshold, loss = float(judgement.thresholds[number]), float(judgement.losses[number])
    return Model(weights[0], bias[0], threshold, learner.candidates[number], number, epoch, loss)


def _drawn(recipe: Recipe, outputs: int, columns: int, seed: int) -> np.ndarray:
    """First weights (outputs, columns + 1) in standardised space: drawn, with the given bias last."""
    rng = np.random.default_rng(seed)
    if recipe.init_method == "normal":
        weights = rng.normal(0, recipe.init_sigma, (outputs, columns))
    else:
        weights = rng.uniform(-recipe.init_scale, recipe.init_scale, (outputs, columns))
    return np.column_stack([weights, np.full(outputs, recipe.init_bias * recipe.use_bias)])


def _single(recipe: Recipe, value: Any) -> Any:
    """Regularisation of a single model: none where it is `auto`."""
    return 0.0 if recipe.num_models == 1 and value == AUTO else value
