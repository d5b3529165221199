"""Linear learner: image `linear-learner:1`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clary.catalog.algorithms import Metric
from clary.catalog.first_party import channels, first_party
from clary.catalog.hyperparameters import (
    Boolean,
    Categorical,
    Continuous,
    Integer,
    Interval,
    InvalidHyperparameter,
    Schema,
    Tunable,
)

_ABOVE_ZERO = Interval(0, open_minimum=True)
_NOT_NEGATIVE = Interval(0)
_BETWEEN = Interval(0, 1, open_minimum=True, open_maximum=True)
_BELOW_ONE = Interval(0, 1, open_maximum=True)

_LOSSES = {
    "binary_classifier": ("auto", "logistic", "hinge_loss"),
    "multiclass_classifier": ("auto", "softmax_loss"),
    "regressor": (
        "auto",
        "squared_loss",
        "absolute_loss",
        "eps_insensitive_squared_loss",
        "eps_insensitive_absolute_loss",
        "quantile_loss",
        "huber_loss",
    ),
}


@dataclass(frozen=True, slots=True)
class PositiveWeight(Continuous):
    """A number, or the word `balanced`."""

    def parse(self, text: str) -> Any:
        return text if text == "balanced" else Continuous.parse(self, text)

    def accepts(self, value: Any) -> bool:
        return value == "balanced" or value in self.range

    @property
    def valid(self) -> str:
        return f"{self.range} or balanced"


def _check_classes(values: Mapping[str, Any]) -> None:
    if values["predictor_type"] != "multiclass_classifier":
        return
    if "num_classes" not in values:
        raise InvalidHyperparameter("num_classes", "u'num_classes' is a required property of a multiclass_classifier")
    if values["num_classes"] < 2:
        raise InvalidHyperparameter("num_classes", "num_classes of a multiclass_classifier must be at least 2")


def _check_loss(values: Mapping[str, Any]) -> None:
    accepted = _LOSSES[values["predictor_type"]]
    if values["loss"] not in accepted:
        raise InvalidHyperparameter(
            "loss", f"loss {values['loss']} does not go with predictor_type {values['predictor_type']}, which takes {accepted}"
        )


HYPERPARAMETERS = Schema(
    words="json-schema",
    declarations=(
        Categorical("predictor_type", "What is learned", required=True, values=tuple(_LOSSES)),
        Integer("num_classes", "Classes of a multiclass_classifier, which needs it", range=Interval(1, 1_000_000)),
        Integer(
            "feature_dim", "Features of a row; auto is as many as the data have", range=Interval(1), auto=True, default="auto"
        ),
        Integer("accuracy_top_k", "k of multiclass_top_k_accuracy", range=Interval(1), default="3"),
        Boolean("balance_multiclass_weights", "Weigh classes by 1 / frequency", default="false"),
        Continuous("beta_1", "Adam: decay of the mean gradient; auto is 0.9", range=_BELOW_ONE, auto=True, default="auto"),
        Continuous("beta_2", "Adam: decay of the squared gradient; auto is 0.999", range=_BELOW_ONE, auto=True, default="auto"),
        Continuous(
            "bias_lr_mult", "Learning rate of the bias, as a multiple; auto is 1", range=_ABOVE_ZERO, auto=True, default="auto"
        ),
        Continuous(
            "bias_wd_mult", "Weight decay of the bias, as a multiple; auto is 0", range=_NOT_NEGATIVE, auto=True, default="auto"
        ),
        Categorical(
            "binary_classifier_model_selection_criteria",
            "What the best of the models is best at, and its threshold is chosen for (f1: f_beta with beta 1)",
            values=(
                "accuracy",
                "f_beta",
                "f1",
                "precision_at_target_recall",
                "recall_at_target_precision",
                "loss_function",
                "cross_entropy_loss",
            ),
            default="accuracy",
        ),
        Integer("early_stopping_patience", "Epochs without improvement before training stops", range=Interval(1), default="3"),
        Continuous("early_stopping_tolerance", "Relative change that is an improvement", range=_ABOVE_ZERO, default="0.001"),
        Integer("epochs", "Passes over the data, at most", range=Interval(1), default="15"),
        Continuous("f_beta", "Weight of recall against precision", range=_ABOVE_ZERO, default="1.0"),
        Continuous("huber_delta", "Where huber_loss turns linear, in standardised labels", range=_NOT_NEGATIVE, default="1.0"),
        Continuous("init_bias", "First bias, in standardised space", default="0"),
        Categorical("init_method", "Distribution of first weights", values=("uniform", "normal"), default="uniform"),
        Continuous("init_scale", "First weights are drawn from [-init_scale, init_scale]", range=_ABOVE_ZERO, default="0.07"),
        Continuous("init_sigma", "Standard deviation of normal first weights", range=_ABOVE_ZERO, default="0.01"),
        Continuous(
            "l1",
            "L1 of standardised weights; auto is searched, 0 for one model",
            range=_NOT_NEGATIVE,
            auto=True,
            default="auto",
            tunable=Tunable(1e-7, 1, "Logarithmic"),
        ),
        Continuous(
            "learning_rate",
            "Step size; auto is searched, 0.03 for one model",
            range=_ABOVE_ZERO,
            auto=True,
            default="auto",
            tunable=Tunable(1e-5, 1, "Logarithmic"),
        ),
        Categorical("loss", "What is minimised", values=tuple(dict.fromkeys(sum(_LOSSES.values(), ()))), default="auto"),
        Continuous("loss_insensitivity", "Error that eps_insensitive losses forgive", range=_ABOVE_ZERO, default="0.01"),
        Continuous(
            "lr_scheduler_factor", "Learning rate is multiplied by it; auto is 0.99", range=_BETWEEN, auto=True, default="auto"
        ),
        Continuous(
            "lr_scheduler_minimum_lr", "Lowest learning rate; auto is 1e-5", range=_ABOVE_ZERO, auto=True, default="auto"
        ),
        Integer(
            "lr_scheduler_step", "Steps between two cuts of the rate; auto is 10", range=Interval(1), auto=True, default="auto"
        ),
        Continuous("margin", "Margin of hinge_loss", range=_NOT_NEGATIVE, default="1.0"),
        Integer("mini_batch_size", "Rows of a step", range=Interval(1), default="1000", tunable=Tunable(100, 5000)),
        Continuous("momentum", "sgd: momentum; auto is 0", range=_BELOW_ONE, auto=True, default="auto"),
        Boolean("normalize_data", "Scale features to a standard deviation of 1", auto=True, default="true"),
        Boolean("normalize_label", "Scale a regression's labels; auto does", auto=True, default="auto"),
        Integer(
            "num_calibration_samples",
            "Rows that choose the threshold; auto is ten million by the number of models",
            range=Interval(1),
            auto=True,
            default="auto",
        ),
        Integer("num_models", "Models trained side by side; auto is 32", range=Interval(1), auto=True, default="auto"),
        Integer("num_point_for_scaler", "Rows that mean and deviation come from", range=Interval(1), default="10000"),
        Categorical("optimizer", "auto is adam", values=("auto", "sgd", "adam", "rmsprop"), default="auto"),
        PositiveWeight(
            "positive_example_weight_mult",
            "Weight of positive rows; balanced is n_negative / n_positive, auto is searched",
            range=_ABOVE_ZERO,
            auto=True,
            default="1.0",
            tunable=Tunable(1e-5, 1e5, "Logarithmic"),
        ),
        Continuous("quantile", "Quantile of quantile_loss", range=_BETWEEN, default="0.5"),
        Continuous("target_precision", "For recall_at_target_precision", range=_BETWEEN, default="0.8"),
        Continuous("target_recall", "For precision_at_target_recall", range=_BETWEEN, default="0.8"),
        Boolean("unbias_data", "Shift features to a mean of 0; auto does when there is a bias", auto=True, default="auto"),
        Boolean("unbias_label", "Shift a regression's labels likewise", auto=True, default="auto"),
        Boolean("use_bias", "Learn a bias", default="true"),
        Boolean("use_lr_scheduler", "Let the learning rate decay", default="true"),
        Continuous(
            "wd",
            "L2 of standardised weights; auto is searched, 0 for one model",
            range=_NOT_NEGATIVE,
            auto=True,
            default="auto",
            tunable=Tunable(1e-7, 1, "Logarithmic"),
        ),
    ),
    rules=(_check_classes, _check_loss),
)

_LOWER = ("absolute_loss", "mse", "rmse", "multiclass_log_loss")
_HIGHER = (
    "binary_classification_accuracy",
    "precision",
    "recall",
    "roc_auc_score",
    "dcg",
    "macro_precision",
    "macro_recall",
    "multiclass_accuracy",
    "multiclass_balanced_accuracy",
)
_PARAMETRIC = {
    "binary_f_beta": r"binary_f_\S+",
    "macro_f_beta": r"macro_f_\S+",
    "multiclass_top_k_accuracy": r"multiclass_top_k_accuracy_\S+",
}
"""Metrics whose names in the log end in a number."""


def _metrics() -> tuple[Metric, ...]:
    found = []
    for channel in ("train", "validation", "test"):
        line = rf"#quality_metric: host=\S+, {channel}"
        each = rf"#quality_metric: host=\S+, epoch=\S+, {channel} \S+_objective <loss>=(\S+)"
        last = rf"{line} \S+_objective <loss>=(\S+)"
        if channel == "test":
            found.append(Metric("test:objective_loss", last, "Minimize"))
        else:
            found.append(Metric(f"{channel}:objective_loss", each, "Minimize"))
            found.append(Metric(f"{channel}:objective_loss:final", last, "Minimize"))
        found += [Metric(f"{channel}:{name}", rf"{line} {name} <loss>=(\S+)", "Minimize") for name in _LOWER]
        found += [Metric(f"{channel}:{name}", rf"{line} {name} <score>=(\S+)", "Maximize") for name in _HIGHER]
        found += [
            Metric(f"{channel}:{name}", rf"{line} {pattern} <score>=(\S+)", "Maximize") for name, pattern in _PARAMETRIC.items()
        ]
    return tuple(found)


ALGORITHM = first_party("linear-learner", HYPERPARAMETERS, _metrics(), channels("validation", "test"))
