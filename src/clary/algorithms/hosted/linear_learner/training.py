"""The train program of the linear learner."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.hosted import log
from clary.algorithms.hosted import rows as job_rows
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.linear_learner import artifact
from clary.algorithms.hosted.linear_learner.effects import without_effect
from clary.algorithms.hosted.linear_learner.reporting import Reporter
from clary.algorithms.hosted.linear_learner.sampling import Reservoir, first_rows
from clary.algorithms.hosted.rows import Rows
from clary.algorithms.hosted.stop_request import StopRequest
from clary.algorithms.linear import judging, training
from clary.algorithms.linear.candidates import AUTO, NUM_MODELS
from clary.algorithms.linear.judging import Judgement
from clary.algorithms.linear.learner import Learner
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.statistics import Statistics
from clary.algorithms.linear.training import MiniBatch
from clary.catalog.builtin.linear_learner import ALGORITHM
from clary.formats.batch import Batch
from clary.formats.channel import join

_CRITERIA = {"f1": "f_beta", "cross_entropy_loss": "loss_function"}
"""Other names of selection criteria."""


def train(opt_ml: Path) -> None:
    """Train the models of the job under `opt_ml` and keep the best. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="1")
    if (opt_ml / "input" / "config" / "checkpointconfig.json").exists():
        log.first_party("linear-learner keeps no checkpoints; a job that is interrupted begins anew", "WARNING")
    values = job.share_of_batch(job.begin(ALGORITHM))
    with Cluster.join(job) as cluster:
        _Training(job, values, cluster).run()


def recipe_of(values: dict[str, Any]) -> Recipe:
    """Hyperparameters as a recipe. A tuning job's choice is one model: its objective judges the numbers it has drawn."""
    given = {name: values[name] for name in Recipe.names() if name in values}
    criterion = values["binary_classifier_model_selection_criteria"]
    given["binary_classifier_model_selection_criteria"] = _CRITERIA.get(criterion, criterion)
    if criterion == "f1":
        given["f_beta"] = 1.0
    if "_tuning_objective_metric" in values:
        given["num_models"] = 1
    elif given["num_models"] == AUTO:
        given["num_models"] = NUM_MODELS
    return Recipe(**given)


def _classes(values: dict[str, Any]) -> int:
    """Classes of the labels; 0 in regression."""
    if values["predictor_type"] == "multiclass_classifier":
        return int(values["num_classes"])
    return 2 if values["predictor_type"] == "binary_classifier" else 0


class _Training:
    """One job on one host."""

    def __init__(self, job: TrainingJob, values: dict[str, Any], cluster: Cluster):
        self._job, self._values, self._cluster = job, values, cluster
        self._recipe = recipe_of(values)
        self._classes = _classes(values)
        self._counts = np.zeros(self._classes)
        self._reporter = Reporter(job, self._recipe, "validation" in job.channels)
        self._epochs = 0
        self._stop_request = StopRequest()

    def run(self) -> None:
        self._reporter.without_effect(without_effect(self._job.hyperparameters, self._recipe))
        columns = None if self._values["feature_dim"] == AUTO else self._values["feature_dim"]
        self._train_rows = self._rows("train", columns)
        first = self._train_rows.batches(self._recipe.mini_batch_size)
        sample = first_rows(first, self._recipe.num_point_for_scaler)
        self._first_epoch: Iterator[Batch] | None = itertools.chain(sample, first)
        statistics = self._merged(self._statistics(join(sample, "Channel train")))
        learner = training.learner(self._recipe, statistics, seed=0)
        self._columns = learner.features
        self._reporter.scaling(learner.scaling)
        self._reservoir = Reservoir(self._recipe.mini_batch_size, sample[0])
        self._validation = self._rows("validation", learner.features) if "validation" in self._job.channels else None
        try:
            model = training.train(
                learner,
                self._recipe,
                self._mini_batches,
                self._judge,
                synchronise=self._merge,
                report=self._reporter.epoch,
                stopped=lambda: self._stop_request.agreed(self._cluster),
            )
        except FloatingPointError as error:
            raise CustomerError(str(error)) from error
        if self._cluster.is_leader:
            self._reporter.best(model, self._epochs)
            self._evaluate(learner, model)
            artifact.save(self._job.model_file, model, self._recipe, self._classes)

    def _rows(self, channel: str, columns: int | None) -> Rows:
        return job_rows.read(
            self._job,
            channel,
            ALGORITHM,
            columns=columns,
            labels="required",
            classes=self._classes or None,
            sparse=True,
            epochs=self._recipe.epochs,
        )

    def _statistics(self, sample: Batch) -> Statistics:
        assert sample.labels is not None
        return Statistics.of(sample.features, sample.labels, self._classes)

    def _merged(self, own: Statistics) -> Statistics:
        """The statistics of all hosts, the same on each."""
        parts = self._cluster.gather(own.arrays())
        if parts is None:
            return Statistics.from_arrays(self._cluster.broadcast(None))
        total = own
        for part in parts[1:]:
            if len(part["mean"]) != len(own.features.mean) + 1:
                raise CustomerError("the hosts' train channels have different numbers of features; set feature_dim")
            total = total.merged(Statistics.from_arrays(part))
        return Statistics.from_arrays(self._cluster.broadcast(total.arrays()))

    def _mini_batches(self) -> Iterator[MiniBatch]:
        """One epoch. The first one is watched for a sample, and for classes that are missing."""
        batches, self._first_epoch = self._first_epoch, None
        self._epochs += 1
        if batches is None:
            batches = self._train_rows.batches(self._recipe.mini_batch_size)
        else:
            batches = self._counted(self._reservoir.watch(batches))
        for batch in self._stop_request.until_told(batches):
            assert batch.labels is not None
            if batch.columns > self._columns:  # sparse rows of an automatic feature_dim
                raise CustomerError(
                    f"Channel train has rows of {batch.columns} features after rows of {self._columns}; set feature_dim"
                )
            yield batch.features, batch.labels, None, None

    def _counted(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        for batch in batches:
            if self._classes:
                assert batch.labels is not None
                self._counts += np.bincount(batch.labels.astype(np.int64), minlength=self._classes)
            yield batch

    def _merge(self, learner: Learner) -> None:
        """The hosts' models become one, the mean weighted by rows; the first time, their labels are looked at."""
        if self._cluster.size > 1:
            learner.merge(self._cluster.sum(learner.state()))
        if self._epochs == 1 and self._classes:
            counts = self._cluster.sum({"counts": self._counts})["counts"]
            if np.count_nonzero(counts) < 2:
                raise CustomerError(
                    f"Channel train: all labels are {int(counts.argmax())}; a {self._recipe.predictor_type} needs rows of "
                    "at least two classes"
                )

    def _judge(self, learner: Learner) -> Judgement:
        """The leader judges, and all hosts take its word."""
        if self._training_loss_judges:
            return judging.by_training_loss(learner, self._recipe)  # merged: the same on every host
        if not self._cluster.is_leader:
            heard = self._cluster.broadcast(None)
            return Judgement(heard["losses"], heard["costs"], heard["thresholds"], float(heard["error"]))
        judgement = self._judged(learner)
        self._cluster.broadcast(judgement.arrays())
        return judgement

    @property
    def _training_loss_judges(self) -> bool:
        return self._validation is None and self._recipe.num_models == 1 and self._recipe.criterion == "loss_function"

    def _judged(self, learner: Learner) -> Judgement:
        if self._validation is not None:
            return judging.by_rows(learner, self._recipe, self._validation.batches())
        return judging.by_rows(learner, self._recipe, self._reservoir.batches)

    def _evaluate(self, learner: Learner, model: training.Model) -> None:
        """Log the final model's metrics: on the sample of training rows, on validation and on test rows."""
        top_k = self._values["accuracy_top_k"]
        self._reporter.final("train", learner, model, self._reservoir.batches, top_k)
        if self._validation is not None:
            self._reporter.final("validation", learner, model, self._validation.batches(), top_k)
        if "test" in self._job.channels:
            self._reporter.final("test", learner, model, self._rows("test", learner.features).batches(), top_k)
