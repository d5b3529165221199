"""Which hyperparameters do nothing beside the others that a job has."""

from __future__ import annotations

from collections.abc import Callable, Collection

from clary.algorithms.linear.recipe import Recipe

_MULTICLASS = ("num_classes", "accuracy_top_k", "balance_multiclass_weights")
_BINARY = ("binary_classifier_model_selection_criteria", "num_calibration_samples", "positive_example_weight_mult")
_LABEL = ("normalize_label", "unbias_label")
_SCHEDULE = ("lr_scheduler_step", "lr_scheduler_factor", "lr_scheduler_minimum_lr")
_BIAS = ("bias_lr_mult", "bias_wd_mult", "init_bias")

_NEEDED: dict[str, Callable[[Recipe], bool]] = {
    **dict.fromkeys(_MULTICLASS, lambda recipe: recipe.predictor_type == "multiclass_classifier"),
    **dict.fromkeys(_BINARY, lambda recipe: recipe.predictor_type == "binary_classifier"),
    **dict.fromkeys(_LABEL, lambda recipe: recipe.predictor_type == "regressor"),
    **dict.fromkeys(_SCHEDULE, lambda recipe: recipe.use_lr_scheduler),
    **dict.fromkeys(_BIAS, lambda recipe: recipe.use_bias),
    **dict.fromkeys(("beta_1", "beta_2"), lambda recipe: recipe.settings.optimizer == "adam"),
    "momentum": lambda recipe: recipe.settings.optimizer == "sgd",
    "f_beta": lambda recipe: recipe.predictor_type != "regressor",
    "target_precision": lambda recipe: recipe.criterion == "recall_at_target_precision",
    "target_recall": lambda recipe: recipe.criterion == "precision_at_target_recall",
    "init_scale": lambda recipe: recipe.init_method == "uniform",
    "init_sigma": lambda recipe: recipe.init_method == "normal",
    "margin": lambda recipe: recipe.loss_name == "hinge_loss",
    "huber_delta": lambda recipe: recipe.loss_name == "huber_loss",
    "quantile": lambda recipe: recipe.loss_name == "quantile_loss",
    "loss_insensitivity": lambda recipe: recipe.loss_name.startswith("eps_insensitive"),
}
"""Hyperparameter -> whether a recipe looks at it; those not named here always count."""


def without_effect(given: Collection[str], recipe: Recipe) -> list[str]:
    """The names in `given` that change nothing in `recipe`."""
    return [name for name in given if name in _NEEDED and not _NEEDED[name](recipe)]
