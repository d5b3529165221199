"""The train program: channels in, log lines, `model/xgboost-model` out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xgboost

from clary.algorithms.hosted import log
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.algorithms.hosted.xgboost import artifact, cross_validation, data, parameters, run, team
from clary.algorithms.hosted.xgboost.checkpoints import Checkpoints
from clary.algorithms.hosted.xgboost.data import Data
from clary.algorithms.hosted.xgboost.frames import without_pandas
from clary.algorithms.hosted.xgboost.run import Plan, Start
from clary.algorithms.hosted.xgboost.team import Team
from clary.catalog.builtin.xgboost import ALGORITHM

_GIVEN_MODEL = "model"
"""The channel of a model to go on from."""


def train(opt_ml: Path) -> None:
    """Train as the job under `opt_ml` says. Raises `CustomerError` for the user's mistakes."""
    job = TrainingJob.read(opt_ml, default_tag="3.0-5")
    log.line(f"Running XGBoost in algorithm mode: image tag {job.tag}, trained by XGBoost {xgboost.__version__}")
    values = job.values(ALGORITHM)
    parameters.refuse_impossible(values, len(job.hosts))
    job.require(ALGORITHM)
    for name in parameters.ignored(values):
        log.line(f"Hyperparameter {name} has no effect in XGBoost {xgboost.__version__}", "WARNING")
    with without_pandas():
        rows = data.read(job, values)
        if len(job.hosts) == 1:
            data.require_rows(rows)
            _train_alone(job, values, rows)
        else:
            _train_together(job, values, rows)


def _train_alone(job: TrainingJob, values: dict[str, Any], rows: Data) -> None:
    everyone = team.alone(rows, data.columns(rows))
    if "_kfold" in values:
        cross_validation.validate(job, values, rows, everyone.columns)
    else:
        _train_one(job, values, rows, everyone)


def _train_together(job: TrainingJob, values: dict[str, Any], rows: Data) -> None:
    log.line(f"Distributed node training with {len(job.hosts)} hosts: {job.hosts}")
    if values.get("objective") == "survival:cox":
        log.line("survival:cox compares the rows of each host with each other only", "WARNING")
    if all(rows.values()):
        data.columns(rows)  # what is wrong here is said before the others wait for it
    with Cluster.join(job) as hosts, team.gathered(hosts, rows) as members:
        if members:
            _train_one(job, values, rows, members)


def _train_one(job: TrainingJob, values: dict[str, Any], rows: Data, members: Team) -> None:
    """One model of all rows, saved by the leader."""
    version = job.version(ALGORITHM)
    plan = Plan.of(values, version, members.rows, members.size)
    checkpoints = Checkpoints.of(job)
    start = _start(job, checkpoints, members)
    watched = run.matrices(plan, rows, members.columns)
    booster, _ = run.boost(plan, watched, start, is_leader=members.is_leader, checkpoints=checkpoints)
    if members.is_leader:
        artifact.save(booster, job.model_directory / artifact.NAME, version)
        log.line(f"Saved the model of {booster.num_boosted_rounds()} rounds")


def _start(job: TrainingJob, checkpoints: Checkpoints | None, members: Team) -> Start:
    """From the newest checkpoint, else from the model of the channel `model`, else from nothing; on all hosts the same."""
    saved = checkpoints.newest() if checkpoints and members.is_leader else None
    rounds = int(team.together(np.array([saved[1] if saved else 0])).max())
    if model := team.model_of_leader(members, saved[0] if saved else None):
        log.line(f"Resuming from iteration {rounds}")
        return Start(model, rounds)
    if _GIVEN_MODEL not in job.channels:
        return Start()
    given = artifact.given(job.opt_ml / "input" / "data" / _GIVEN_MODEL)
    if given.num_features() != members.columns:
        raise CustomerError(
            f"Channel model: its model was trained on {given.num_features()} columns where train has {members.columns}"
        )
    log.line(f"Going on from a model of {given.num_boosted_rounds()} rounds")
    given.set_attr(best_score=None, best_iteration=None)  # its data are not the ones that are watched now
    return Start(bytes(given.save_raw("ubj")))
