"""Hyperparameters of an image version as parameters of the installed XGBoost.

Every version is trained by the one installed library, so where a default has changed since, the old one is given
explicitly, and names that the library has dropped are left out, with a line in the log.
"""

from __future__ import annotations

from typing import Any

from clary.algorithms.hosted.errors import CustomerError
from clary.catalog.hyperparameters import Version

_OF_THE_PROGRAM = ("num_round", "csv_weights", "early_stopping_rounds", "save_model_on_termination", "eval_metric")
"""Read by the training program, not by the library."""

_WITHOUT_EFFECT = (
    "silent",
    "sketch_eps",
    "dsplit",
    "predictor",
    "deterministic_histogram",
    "single_precision_histogram",
    "prob_buffer_row",
    "use_dask_gpu_training",
)
"""The library has no such parameter any more, or none on a CPU."""

_RENAMED_UPDATERS = {"grow_local_histmaker": "grow_histmaker"}
_DROPPED_UPDATERS = ("distcol", "grow_skmaker")

EXACT_UP_TO_ROWS = 4 << 20
"""`tree_method=auto` before version 2 was exact for data sets up to this size and approx above."""


def refuse_unsupported(values: dict[str, Any]) -> None:
    """Raise `CustomerError` for hyperparameters that would change the result and are not there yet."""
    if "_kfold" in values:
        raise CustomerError(
            "Hyperparameter _kfold: cross validation is not supported by Clary yet; remove it to train one model"
        )
    if values.get("tree_method") == "gpu_hist" or values.get("predictor") == "gpu_predictor":
        raise CustomerError(
            "tree_method gpu_hist and predictor gpu_predictor need a GPU, which Clary does not use yet; use hist"
        )
    if values.get("use_dask_gpu_training") == "true":
        raise CustomerError("Hyperparameter use_dask_gpu_training: training on GPUs is not supported by Clary yet; remove it")
    for updater in _DROPPED_UPDATERS:
        if updater in values.get("updater", []):
            raise CustomerError(
                f"Hyperparameter updater: {updater} does not exist in the installed XGBoost; use grow_histmaker"
            )


def ignored(values: dict[str, Any]) -> list[str]:
    """Given names that change nothing in the installed library."""
    return [name for name in values if name in _WITHOUT_EFFECT]


def library_parameters(values: dict[str, Any], version: Version, rows: int) -> dict[str, Any]:
    """What `xgboost.train` gets for `values` in image `version`, with `rows` training rows."""
    kept = {
        name: value
        for name, value in values.items()
        if not name.startswith("_") and name not in _OF_THE_PROGRAM and name not in _WITHOUT_EFFECT
    }
    if kept.get("objective") == "reg:linear":
        kept["objective"] = "reg:squarederror"  # the same thing, renamed in 0.90
    if "updater" in kept:
        kept["updater"] = ",".join(_RENAMED_UPDATERS.get(name, name) for name in kept["updater"])
    for name in ("monotone_constraints", "interaction_constraints"):
        if name in kept:
            kept[name] = str(kept[name])
    return _former_defaults(kept, version, rows) | kept | _former_tree_method(kept, version, rows)


def _former_defaults(kept: dict[str, Any], version: Version, rows: int) -> dict[str, Any]:
    objective = kept.get("objective", "reg:squarederror")
    defaults: dict[str, Any] = {"objective": objective, "verbosity": 1}
    if version < (2, 0):
        defaults["base_score"] = 0.5  # estimated from the labels since 2.0
        if objective.startswith("rank:"):
            defaults |= {"lambdarank_pair_method": "mean", "lambdarank_num_pair_per_sample": 1}  # top-k pairs since 2.0
    return defaults


def _former_tree_method(kept: dict[str, Any], version: Version, rows: int) -> dict[str, Any]:
    """`auto` is hist since 2.0; before, it chose by size."""
    automatic = kept.get("tree_method", "auto") == "auto" and kept.get("booster") != "gblinear" and "updater" not in kept
    if version >= (2, 0) or not automatic:
        return {}
    if kept.get("grow_policy") == "lossguide" or kept.get("max_leaves"):
        return {"tree_method": "hist"}  # exact trees grow by depth only
    return {"tree_method": "exact" if rows <= EXACT_UP_TO_ROWS else "approx"}


def default_metric(objective: str, version: Version) -> str | None:
    """The metric of an objective where it differs from the installed library's; None where it does not."""
    if objective.startswith("rank:") and version < (2, 0):
        return "ndcg"  # map once, which the installed library refuses for graded labels
    if version >= (1, 3):
        return None
    if objective in ("binary:logistic", "binary:logitraw"):
        return "error"  # logloss since 1.3
    return "merror" if objective.startswith("multi:") else None  # mlogloss since 1.3
