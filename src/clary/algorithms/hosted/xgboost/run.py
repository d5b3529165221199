"""One run of boosting: the library's parameters and metrics for a job, its callbacks, and what its errors mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import xgboost

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost import data, evaluation, parameters
from clary.algorithms.hosted.xgboost.checkpoints import Checkpoints, SaveCheckpoints
from clary.algorithms.hosted.xgboost.data import Data
from clary.algorithms.hosted.xgboost.folds import History
from clary.algorithms.hosted.xgboost.library_errors import explanation
from clary.catalog.hyperparameters import Version

Watched = list[tuple[xgboost.DMatrix, str]]
"""Matrices and their names, the one to train on first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What does not differ between the models of a job.

    settings : parameters of the library, its metrics among them
    metrics : all metrics, ours too
    termination : ends training when the job is stopped; None where it is to end at once
    """

    values: dict[str, Any]
    version: Version
    settings: dict[str, Any]
    metrics: list[str]
    termination: evaluation.StopWhenTold | None

    @classmethod
    def of(cls, values: dict[str, Any], version: Version, rows: int, hosts: int = 1) -> Plan:
        settings = parameters.library_parameters(values, version, rows, hosts)
        default = parameters.default_metric(settings["objective"], version)
        names = evaluation.chosen(values) or ([default] if default else [])
        library = [evaluation.library_name(name, settings) for name in names if name not in evaluation.OWN_METRICS]
        if library:
            settings["eval_metric"] = library
        elif names:
            settings["disable_default_eval_metric"] = True
        termination = evaluation.StopWhenTold() if _keeps_model(values) else None
        return cls(values, version, settings, names, termination)


def _keeps_model(values: dict[str, Any]) -> bool:
    """Whether a stopped job saves the model so far: when asked to, and in a tuning job, whose early stopping keeps models."""
    tuned = "true" if "_tuning_objective_metric" in values else "false"
    return values.get("save_model_on_termination", tuned) == "true"


@dataclass(frozen=True, slots=True)
class Start:
    """Where boosting starts: from a `model` (None is from nothing) that has seen `rounds` rounds of this very job."""

    model: bytes | None = None
    rounds: int = 0


def matrices(plan: Plan, rows: Data, columns: int) -> Watched:
    """The matrix of each channel. Raises `CustomerError` for what the library explains."""
    try:
        return data.matrices(rows, plan.settings, columns)
    except xgboost.core.XGBoostError as error:
        raise _explained(error, plan.values) from error


def boost(
    plan: Plan, watched: Watched, start: Start, *, is_leader: bool = True, checkpoints: Checkpoints | None = None
) -> tuple[xgboost.Booster, History]:
    """The model after all rounds, and its metrics in each. Raises `CustomerError` for what the library explains."""
    history: dict[str, dict[str, list[float]]] = {}
    settings = dict(plan.settings)
    try:
        given = xgboost.Booster(model_file=bytearray(start.model)) if start.model else None
        if given is not None:
            if not plan.values.get("early_stopping_rounds"):
                given.set_attr(best_score=None, best_iteration=None)  # of a training that stopped early, which this is not
            settings.pop("base_score", None)  # the given model has its own, and its trees count from there
            settings["seed"] = settings.get("seed", 0) + given.num_boosted_rounds()  # else it draws the same rows again
        booster = xgboost.train(
            settings,
            watched[0][0],
            num_boost_round=max(plan.values["num_round"] - start.rounds, 0),
            evals=watched,
            evals_result=history,
            custom_metric=evaluation.own_metrics(plan.metrics, plan.settings["objective"]),
            callbacks=_callbacks(plan, watched, start.rounds, checkpoints, is_leader),
            xgb_model=given,
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise _explained(error, plan.values) from error
    return booster, history


def _callbacks(
    plan: Plan, watched: Watched, first_round: int, checkpoints: Checkpoints | None, is_leader: bool
) -> list[xgboost.callback.TrainingCallback]:
    callbacks: list[xgboost.callback.TrainingCallback] = []
    if is_leader:
        callbacks.append(evaluation.MetricLines(plan.version, first_round))
    if is_leader and checkpoints:
        callbacks.append(SaveCheckpoints(checkpoints, first_round))  # before early stopping cuts the model
    if stopping := evaluation.early_stopping(plan.values, watched[-1][1]):
        callbacks.append(stopping)
    if plan.termination:
        callbacks.append(plan.termination)
    return callbacks


def _explained(error: xgboost.core.XGBoostError, values: dict[str, Any]) -> Exception:
    """A `CustomerError` with the library's explanation; what it cannot explain is no mistake of the user's."""
    reason = explanation(error) if "/collective/" not in str(error) else None
    if reason and "base_score must be in (0,1)" in reason and "base_score" not in values:
        return CustomerError("all labels of the train channel are the same; classification needs rows of both classes")
    return CustomerError(f"XGBoost: {reason}") if reason else error
