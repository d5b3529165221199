"""Cross validation: `_kfold` models on all rows but a fold each, `_num_cv_round` times over.

The rows of train and validation together are cut into folds, evenly in each class for classification. Every model is watched on
its own rows (`train`) and on those of its fold (`validation`), and saved as `xgboost-model-0`, `-1`, ...
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xgboost

from clary.algorithms.hosted import log
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.xgboost import artifact, folds, run
from clary.algorithms.hosted.xgboost.checkpoints import Checkpoints
from clary.algorithms.hosted.xgboost.data import Data
from clary.algorithms.hosted.xgboost.folds import History, Predictions
from clary.algorithms.hosted.xgboost.run import Plan, Start
from clary.catalog.builtin.xgboost import ALGORITHM
from clary.formats.batch import Batch
from clary.formats.channel import join


def validate(job: TrainingJob, values: dict[str, Any], rows: Data, columns: int) -> None:
    """Train and save all models; print their mean metrics and write `predictions.csv`."""
    if Checkpoints.of(job):
        log.line("Cross validation keeps no checkpoints", "WARNING")
    everything, labels = _joined(rows)
    count, rounds = values["_kfold"], values.get("_num_cv_round", 1)
    if count > len(labels):
        raise CustomerError(f"Hyperparameter _kfold: {count} folds need as many rows; there are {len(labels)}")
    log.line(f"Run {rounds}-round of {count}-fold cross validation with {len(labels)} rows")
    plan = Plan.of(values, job.version(ALGORITHM), len(labels))
    predictions = Predictions(labels, rounds, plan.settings["objective"])
    cut = list(folds.splits(labels, count, rounds, values.get("seed", 0), predictions.classifies))
    histories: list[History] = []
    for number, held_out in enumerate(cut):
        log.line(f"Train cross validation fold {number % count + 1}")
        booster, history, predicted = _train_fold(plan, everything, held_out, columns)
        artifact.save(booster, job.model_directory / f"{artifact.NAME}-{number}", plan.version)
        if plan.termination and plan.termination.told:
            log.line(f"Stopped after {number + 1} models", "WARNING")
            return
        predictions.record(held_out, number // count, predicted)
        histories.append(history)
        if len(histories) % count == 0:
            log.line(f"The metrics of round {len(histories) // count} cross validation")
            log.plain(folds.metric_line(values["num_round"], histories[-count:]))
    predictions.write(job.opt_ml / "output" / "data" / "predictions.csv")
    if rounds > 1:
        log.line(f"The overall metrics of {rounds}-round cross validation")
        log.plain(folds.metric_line(values["num_round"], histories))


def _joined(rows: Data) -> tuple[Batch, np.ndarray]:
    """The rows of all channels, and their labels."""
    everything = join([batch for batches in rows.values() for batch in batches], "the channels")
    if everything.groups is not None or everything.labels is None:
        raise CustomerError("Hyperparameter _kfold: folds would cut the groups (qid) of the rows; remove it")
    rows.clear()
    return everything, everything.labels


def _train_fold(
    plan: Plan, everything: Batch, held_out: np.ndarray, columns: int
) -> tuple[xgboost.Booster, History, np.ndarray]:
    """The model of all rows but those of a fold, its metrics in each round, and its predictions for the fold."""
    kept = np.setdiff1d(np.arange(everything.rows), held_out)
    parts = {"train": [folds.rows_of(everything, kept)], "validation": [folds.rows_of(everything, held_out)]}
    watched = run.matrices(plan, parts, columns)
    booster, history = run.boost(plan, watched, Start())
    return booster, history, booster.predict(watched[1][0])
