"""Hyperparameters of an image version as parameters of the installed XGBoost.

Every version is trained by the one installed library, so where a default has changed since, the old one is given
explicitly, and names that the library has dropped are left out, with a line in the log. What says "GPU" in an old way
(`gpu_hist`, Dask) becomes the library's `device`.
"""

from __future__ import annotations

from typing import Any

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.xgboost import gpu
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


def refuse_impossible(values: dict[str, Any], hosts: int) -> None:
    """Raise `CustomerError` for hyperparameters that this machine or the installed library cannot follow."""
    for updater in _DROPPED_UPDATERS:
        if updater in values.get("updater", []):
            raise CustomerError(
                f"Hyperparameter updater: {updater} does not exist in the installed XGBoost; use grow_histmaker"
            )
    if (wanted := _wanted_gpu(values)) and (obstacle := gpu.obstacle()):
        raise CustomerError(f"{wanted} needs a GPU, but {obstacle}; train with tree_method hist")
    if "_kfold" in values:
        _refuse_folds(values, hosts)
    if hosts > 1:
        _refuse_apart(values)


def _wanted_gpu(values: dict[str, Any]) -> str | None:
    """Which hyperparameter asks for a GPU."""
    if values.get("use_dask_gpu_training") == "true":
        if values.get("tree_method") not in ("hist", "gpu_hist"):
            raise CustomerError("Hyperparameter use_dask_gpu_training: tree_method must be hist or gpu_hist for it")
        return "use_dask_gpu_training"
    if values.get("tree_method") == "gpu_hist":
        return "tree_method gpu_hist"
    return "predictor gpu_predictor" if values.get("predictor") == "gpu_predictor" else None


def _refuse_folds(values: dict[str, Any], hosts: int) -> None:
    if hosts > 1:
        raise CustomerError("Hyperparameter _kfold: cross validation needs all rows on one host; set InstanceCount to 1")
    if values.get("objective", "").startswith("rank:"):
        raise CustomerError("Hyperparameter _kfold: folds would cut the groups of a ranking objective; remove it")


def _refuse_apart(values: dict[str, Any]) -> None:
    """What several hosts cannot train together."""
    if values.get("tree_method") == "exact" or "grow_colmaker" in values.get("updater", []):
        raise CustomerError("Hyperparameter tree_method: exact trees need all rows on one host; use hist or approx")
    if values.get("booster") == "gblinear":
        # the library would train a model per host, without a word
        raise CustomerError("Hyperparameter booster: gblinear needs all rows on one host; set InstanceCount to 1")


def ignored(values: dict[str, Any]) -> list[str]:
    """Given names that change nothing in the installed library."""
    return [name for name in values if name in _WITHOUT_EFFECT]


def library_parameters(values: dict[str, Any], version: Version, rows: int, hosts: int = 1) -> dict[str, Any]:
    """What `xgboost.train` gets for `values` in image `version`, with `rows` training rows on all `hosts`."""
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
    if _wanted_gpu(values):
        kept |= {"tree_method": "hist", "device": "cuda"}
    return _former_defaults(kept, version) | kept | _former_tree_method(kept, version, rows, hosts)


def _former_defaults(kept: dict[str, Any], version: Version) -> dict[str, Any]:
    objective = kept.get("objective", "reg:squarederror")
    defaults: dict[str, Any] = {"objective": objective, "verbosity": 1}
    if version < (2, 0):
        defaults["base_score"] = 0.5  # estimated from the labels since 2.0
        if objective.startswith("rank:"):
            defaults |= {"lambdarank_pair_method": "mean", "lambdarank_num_pair_per_sample": 1}  # top-k pairs since 2.0
    return defaults


def _former_tree_method(kept: dict[str, Any], version: Version, rows: int, hosts: int) -> dict[str, Any]:
    """`auto` is hist since 2.0; before, it chose by size."""
    automatic = kept.get("tree_method", "auto") == "auto" and kept.get("booster") != "gblinear" and "updater" not in kept
    if version >= (2, 0) or not automatic:
        return {}
    if kept.get("grow_policy") == "lossguide" or kept.get("max_leaves"):
        return {"tree_method": "hist"}  # exact trees grow by depth only
    return {"tree_method": "exact" if rows <= EXACT_UP_TO_ROWS and hosts == 1 else "approx"}


def default_metric(objective: str, version: Version) -> str | None:
    """The metric of an objective where it differs from the installed library's; None where it does not."""
    if objective.startswith("rank:") and version < (2, 0):
        return "ndcg"  # map once, which the installed library refuses for graded labels
    if version >= (1, 3):
        return None
    if objective in ("binary:logistic", "binary:logitraw"):
        return "error"  # logloss since 1.3
    return "merror" if objective.startswith("multi:") else None  # mlogloss since 1.3
