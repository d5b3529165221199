"""The log lines of a linear learner's training."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from clary.algorithms.hosted import log
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.linear import evaluation, judging
from clary.algorithms.linear.learner import Learner
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.scaling import Scaling
from clary.algorithms.linear.training import Model, Report
from clary.formats.batch import Batch

ALGORITHM_NAME = "Linear Learner"
SHOWN_COLUMNS = 1000
"""Of more columns the scale is not printed."""


class Reporter:
    """Writes what happens in training. `validated`: whether there is a validation channel."""

    def __init__(self, job: TrainingJob, recipe: Recipe, validated: bool):
        self._lines, self._recipe, self._validated = job.lines, recipe, validated
        self._host = job.current_host
        self._name = evaluation.OBJECTIVES[recipe.loss_name]
        self._start = time.time()

    def without_effect(self, names: list[str]) -> None:
        if names:
            log.first_party(f"Hyperparameters without effect beside the others: {', '.join(names)}", "WARNING")

    def scaling(self, scaling: Scaling) -> None:
        if len(scaling.mean) > SHOWN_COLUMNS:
            log.first_party(f"Scaling model computed for {len(scaling.mean)} features")
            return
        parameters = {
            "stdev_weight": scaling.stdev.tolist(),
            "mean_weight": scaling.mean.tolist(),
            "stdev_label": scaling.label_stdev,
            "mean_label": scaling.label_mean,
        }
        log.first_party(f"Scaling model parameters: {json.dumps(parameters)}")

    def epoch(self, report: Report) -> None:
        """The loss of every model, the best one's on each channel, what early stopping looks at, progress and throughput."""
        learner, judgement, epoch = report.learner, report.judgement, report.epoch
        training = judging.by_training_loss(learner, self._recipe).losses
        for model in range(len(learner.candidates)):
            values = {f"train_{self._name}": training[model]}
            if self._validated:
                values[f"validation_{self._name}"] = judgement.losses[model]
            self._lines.metrics(ALGORITHM_NAME, "training", values, start=self._start, epoch=epoch, model=model)
        best = report.best
        self._lines.quality("train", self._name, training[best], "loss", epoch=epoch)
        if self._validated:
            self._lines.quality("validation", self._name, judgement.losses[best], "loss", epoch=epoch)
        criterion, value = self._criterion(float(judgement.costs[best]))
        log.first_party(
            f"#early_stopping_criteria_metric: host={self._host}, epoch={epoch}, criteria={criterion}, value={value!r}"
        )
        self._lines.progress(100 * (epoch + 1) / self._recipe.epochs)
        self._lines.throughput(learner.rows, time.time() - self._start)
        self._start = time.time()

    def _criterion(self, cost: float) -> tuple[str, float]:
        """Name and value of what early stopping looks at."""
        if self._recipe.criterion == "loss_function":
            return self._name, cost
        return f"sampled_{self._recipe.criterion}", -cost

    def best(self, model: Model, epochs: int) -> None:
        if epochs < self._recipe.epochs:
            log.first_party("Early stop condition met. Stopping training.")
        log.first_party(f"Best model found for hyperparameters: {json.dumps(asdict(model.candidate))}")
        log.first_party(f"Best model is model {model.number} of epoch {model.epoch}, threshold {model.threshold!r}")

    def final(self, channel: str, learner: Learner, model: Model, batches: Iterable[Batch], top_k: int) -> None:
        """All metrics of the final model on the rows of a channel."""
        counted = evaluation.evaluation(self._recipe, model.threshold, label_stdev=learner.scaling.label_stdev, top_k=top_k)
        for features, labels in judging.chunks(batches):
            counted.add(np.asarray(features.astype(np.float64) @ model.weights.T) + model.bias, labels)
        for name, value in counted.values().items():
            self._lines.quality(channel, name, value, "loss" if name in counted.losses else "score")
        for name, value in counted.values().items():
            self._lines.score(channel, name, value)
