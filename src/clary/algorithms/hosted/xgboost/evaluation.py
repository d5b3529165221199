"""Metrics of each round: the library's and the hosted container's own, as log lines, and what stops training early."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import xgboost

from clary.algorithms import metrics
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost import team
from clary.catalog.builtin.xgboost import MAXIMIZED
from clary.catalog.hyperparameters import Version

Metric = Callable[[np.ndarray, np.ndarray], float]

_OF_CLASSES: dict[str, Metric] = {
    "accuracy": metrics.accuracy,
    "balanced_accuracy": metrics.balanced_accuracy,
    "f1": metrics.f1,
    "f1_binary": lambda truth, predicted: metrics.f1(truth, predicted, "binary"),
    "f1_macro": metrics.f1,
    "precision": metrics.precision,
    "precision_macro": lambda truth, predicted: metrics.precision(truth, predicted, "macro"),
    "precision_micro": lambda truth, predicted: metrics.precision(truth, predicted, "micro"),
    "recall": metrics.recall,
    "recall_macro": lambda truth, predicted: metrics.recall(truth, predicted, "macro"),
    "recall_micro": lambda truth, predicted: metrics.recall(truth, predicted, "micro"),
}
_OF_VALUES: dict[str, Metric] = {"r2": metrics.r2, "mse": metrics.mse}
OWN_METRICS = frozenset(_OF_CLASSES) | frozenset(_OF_VALUES)
"""Computed here; the library computes the others."""


def chosen(values: dict[str, Any]) -> list[str]:
    """Metrics to report: `eval_metric` and the tuning job's objective metric, each once, in the order that counts."""
    tuned = values.get("_tuning_objective_metric", "").rpartition(":")[2]
    named = [*values.get("eval_metric", []), *([tuned] if tuned else [])]
    return list(dict.fromkeys(named))


def deciding(values: dict[str, Any]) -> str | None:
    """The metric that early stopping watches: the tuning job's, else the last; None is the objective's own."""
    return next(reversed(chosen(values)), None)


def library_name(name: str, settings: dict[str, Any]) -> str:
    """The library's name of a metric: it wants to be told the variance power of reg:tweedie."""
    return f"{name}@{settings.get('tweedie_variance_power', 1.5)}" if name == "tweedie-nloglik" else name


def shown_name(name: str) -> str:
    """The name in log lines of a metric as the library calls it."""
    return "tweedie-nloglik" if name.startswith("tweedie-nloglik@") else name


def own_metrics(names: list[str], objective: str) -> Callable[[np.ndarray, xgboost.DMatrix], list[tuple[str, float]]] | None:
    """A `custom_metric` for the library that computes those of `names` that are ours; None when there are none.

    With several hosts the values are those of the rows of all of them.
    """
    ours = [name for name in names if name in OWN_METRICS]
    if not ours:
        return None

    def evaluate(predicted: np.ndarray, data: xgboost.DMatrix) -> list[tuple[str, float]]:
        truth, all_predicted = team.together(data.get_label()), team.together(predicted)
        return [(name, _value(name, truth, all_predicted, objective)) for name in ours]

    return evaluate


def _value(name: str, truth: np.ndarray, predicted: np.ndarray, objective: str) -> float:
    if name in _OF_VALUES:
        if predicted.ndim == 2:
            raise CustomerError(f"Metric '{name}' can not be applied for objective '{objective}'")
        return _OF_VALUES[name](truth, predicted)
    try:
        return _OF_CLASSES[name](truth, metrics.labels(predicted, objective))
    except ValueError as error:
        raise CustomerError(str(error)) from error


class MetricLines(xgboost.callback.TrainingCallback):
    """Prints `[3]<tab>train-error:0.03629<tab>validation-error:0.06306` after each round, counted from `first_round`."""

    def __init__(self, version: Version, first_round: int = 0):
        self._shape = "{:.5f}" if version >= (1, 3) else "{:g}"
        self._first_round = first_round

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, dict[str, list[Any]]]) -> bool:
        cells = [self._cell(data, name, values[-1]) for data, log in evals_log.items() for name, values in log.items()]
        print("\t".join([f"[{self._first_round + epoch}]", *cells]), flush=True)
        return False

    def _cell(self, data: str, name: str, value: Any) -> str:
        return f"{data}-{shown_name(name)}:{self._value(value)}"

    def _value(self, value: float) -> str:
        return self._shape.format(value)


class StopWhenTold(xgboost.callback.TrainingCallback):
    """SIGTERM ends training after the current round, so that the model so far is saved; on all hosts after the same round."""

    def __init__(self) -> None:
        self.told = False

    def before_training(self, model: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._tell)
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: dict[str, Any]) -> bool:
        return team.any_of_team(self.told)

    def _tell(self, signal_number: int, frame: Any) -> None:
        self.told = True


class EarlyStopping(xgboost.callback.EarlyStopping):
    """The library's early stopping that also knows the best round of the checkpoint it goes on from."""

    def before_training(self, model: Any) -> Any:
        known = model.attr("best_score"), model.attr("best_iteration")
        self._known = (float(known[0]), int(known[1])) if known[0] and known[1] else None
        return super().before_training(model)

    def _update_rounds(self, *, score: Any, name: str, metric: str, model: Any, epoch: int) -> bool:
        if self._known and not self.stopping_history:
            best, at = self._known
            self.stopping_history[name], self.best_scores[name] = {metric: [best]}, {metric: [best]}
            self.current_rounds = epoch - 1 - at
        return super()._update_rounds(score=score, name=name, metric=metric, model=model, epoch=epoch)


def early_stopping(values: dict[str, Any], watched: str) -> EarlyStopping | None:
    """Early stopping on the data set named `watched`, if it is asked for; the best round's model is kept."""
    rounds = values.get("early_stopping_rounds")
    if not rounds:
        return None
    metric = deciding(values)
    metric = library_name(metric, values) if metric else None
    # the library knows the direction of its own metrics only
    maximize = metric in MAXIMIZED if metric in OWN_METRICS else None
    return EarlyStopping(rounds=rounds, metric_name=metric, data_name=watched, maximize=maximize, save_best=True)
