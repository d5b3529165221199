"""Everything that decides how a linear learner is trained, under the names of the hosted algorithm's hyperparameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Literal

from clary.algorithms.linear import losses
from clary.algorithms.linear.candidates import AUTO, Auto
from clary.algorithms.linear.losses import Loss
from clary.algorithms.linear.optimizers import OPTIMIZERS, Schedule, Settings

PredictorType = Literal["binary_classifier", "multiclass_classifier", "regressor"]
CRITERIA = ("accuracy", "f_beta", "precision_at_target_recall", "recall_at_target_precision", "loss_function")
EXACT = "exact"
AUTO_SCHEDULE = Schedule(step=10, factor=0.99, minimum=1e-5)
"""What the hosted algorithm's logs print for candidates that won."""
CALIBRATION_SCORES = 10_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train. Numbers that are `auto` are ours to choose; the manual page says what each means.

    `optimizer` may be `exact` too: the normal equations of a squared loss, instead of descent.
    """

    predictor_type: PredictorType = "binary_classifier"
    loss: str = AUTO
    optimizer: str = AUTO
    epochs: int = 15
    mini_batch_size: int = 1000
    num_models: int = 1
    learning_rate: float | Auto = AUTO
    l1: float | Auto = AUTO
    wd: float | Auto = AUTO
    use_bias: bool = True
    normalize_data: bool | Auto = True
    unbias_data: bool | Auto = AUTO
    normalize_label: bool | Auto = AUTO
    unbias_label: bool | Auto = AUTO
    num_point_for_scaler: int = 10_000
    positive_example_weight_mult: float | Literal["balanced", "auto"] = 1.0
    balance_multiclass_weights: bool = False
    binary_classifier_model_selection_criteria: str = "loss_function"
    f_beta: float = 1.0
    target_precision: float = 0.8
    target_recall: float = 0.8
    num_calibration_samples: int | Auto = AUTO
    early_stopping_patience: int = 3
    early_stopping_tolerance: float = 0.001
    momentum: float | Auto = AUTO
    beta_1: float | Auto = AUTO
    beta_2: float | Auto = AUTO
    bias_lr_mult: float | Auto = AUTO
    bias_wd_mult: float | Auto = AUTO
    use_lr_scheduler: bool = True
    lr_scheduler_step: int | Auto = AUTO
    lr_scheduler_factor: float | Auto = AUTO
    lr_scheduler_minimum_lr: float | Auto = AUTO
    init_method: Literal["uniform", "normal"] = "uniform"
    init_scale: float = 0.07
    init_sigma: float = 0.01
    init_bias: float = 0.0
    huber_delta: float = 1.0
    margin: float = 1.0
    quantile: float = 0.5
    loss_insensitivity: float = 0.01

    def __post_init__(self) -> None:
        """Raises `ValueError` naming the parameter and what it takes."""
        _one_of("predictor_type", self.predictor_type, tuple(losses.OF_PREDICTOR))
        _one_of("loss", self.loss, (AUTO, *losses.OF_PREDICTOR[self.predictor_type]))
        _one_of("optimizer", self.optimizer, (AUTO, *OPTIMIZERS, EXACT))
        _one_of("init_method", self.init_method, ("uniform", "normal"))
        _one_of("binary_classifier_model_selection_criteria", self.binary_classifier_model_selection_criteria, CRITERIA)
        for name in ("epochs", "mini_batch_size", "num_models", "num_point_for_scaler", "early_stopping_patience"):
            _require(
                name, getattr(self, name), lambda value: value >= 1 and int(value) == value, "a whole number of at least 1"
            )
        for name in ("learning_rate", "bias_lr_mult", "lr_scheduler_minimum_lr", "f_beta"):
            _require(name, getattr(self, name), lambda value: value > 0, "a number above 0")
        for name in ("l1", "wd", "bias_wd_mult", "loss_insensitivity", "early_stopping_tolerance", "margin", "huber_delta"):
            _require(name, getattr(self, name), lambda value: value >= 0, "a number of at least 0")
        for name in ("target_precision", "target_recall", "quantile", "lr_scheduler_factor"):
            _require(name, getattr(self, name), lambda value: 0 < value < 1, "a number between 0 and 1")
        for name in ("momentum", "beta_1", "beta_2"):
            _require(name, getattr(self, name), lambda value: 0 <= value < 1, "a number from 0 to below 1")
        if self.positive_example_weight_mult not in ("balanced", AUTO):
            _require("positive_example_weight_mult", self.positive_example_weight_mult, lambda value: value > 0, "above 0")
        if self.optimizer == EXACT and (self.loss_name != "squared_loss" or _chosen(self.l1, 0.0) > 0):
            raise ValueError("optimizer='exact' solves squared_loss without l1 only; use optimizer='adam'")

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]

    @property
    def loss_name(self) -> str:
        return losses.OF_PREDICTOR[self.predictor_type][0] if self.loss == AUTO else self.loss

    @property
    def objective(self) -> Loss:
        parameters = {
            "hinge_loss": self.margin,
            "huber_loss": self.huber_delta,
            "quantile_loss": self.quantile,
            "eps_insensitive_squared_loss": self.loss_insensitivity,
            "eps_insensitive_absolute_loss": self.loss_insensitivity,
        }
        return Loss(self.loss_name, parameters.get(self.loss_name, 0.0))

    @property
    def criterion(self) -> str:
        """What the best model is best at; without two classes it is the loss."""
        binary = self.predictor_type == "binary_classifier"
        return self.binary_classifier_model_selection_criteria if binary else "loss_function"

    @property
    def settings(self) -> Settings:
        """What all candidates share; `auto` filled in."""
        schedule = Schedule(
            _chosen(self.lr_scheduler_step, AUTO_SCHEDULE.step),
            _chosen(self.lr_scheduler_factor, AUTO_SCHEDULE.factor),
            _chosen(self.lr_scheduler_minimum_lr, AUTO_SCHEDULE.minimum),
        )
        return Settings(
            "adam" if self.optimizer == AUTO else self.optimizer,
            momentum=_chosen(self.momentum, 0.0),
            beta_1=_chosen(self.beta_1, 0.9),
            beta_2=_chosen(self.beta_2, 0.999),
            bias_lr_mult=_chosen(self.bias_lr_mult, 1.0),
            bias_wd_mult=_chosen(self.bias_wd_mult, 0.0),
            schedule=schedule if self.use_lr_scheduler else Schedule(),
        )

    @property
    def calibration_rows(self) -> int:
        """Rows whose scores choose the threshold; `auto` shares ten million scores among the models."""
        return int(_chosen(self.num_calibration_samples, CALIBRATION_SCORES // self.num_models))


def _chosen(value: Any, ours: Any) -> Any:
    return ours if value == AUTO else value


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}")


def _require(name: str, value: Any, holds: Any, wanted: str) -> None:
    if value == AUTO:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not holds(value):
        raise ValueError(f"{name} must be {wanted}; got {value!r}")
