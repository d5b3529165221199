"""XGBoost: images `sagemaker-xgboost` (0.90-1 to 3.0-5) and the legacy `xgboost:1`, which was XGBoost 0.72."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.catalog.algorithms import Algorithm, Channel, Metric
from clary.catalog.hyperparameters import (
    Categorical,
    CommaList,
    Continuous,
    Integer,
    Interval,
    InvalidHyperparameter,
    Literals,
    Schema,
    Tunable,
)

MAXIMIZED = (
    "accuracy",
    "auc",
    "aucpr",
    "balanced_accuracy",
    "f1",
    "f1_binary",
    "f1_macro",
    "map",
    "ndcg",
    "precision",
    "precision_macro",
    "precision_micro",
    "r2",
    "recall",
    "recall_macro",
    "recall_micro",
)
MINIMIZED = (
    "aft-nloglik",
    "cox-nloglik",
    "error",
    "gamma-deviance",
    "gamma-nloglik",
    "interval-regression-accuracy",
    "logloss",
    "mae",
    "mape",
    "merror",
    "mlogloss",
    "mphe",
    "mse",
    "poisson-nloglik",
    "rmse",
    "rmsle",
    "tweedie-nloglik",
)

TREE_GROWERS = ("grow_colmaker", "distcol", "grow_histmaker", "grow_local_histmaker", "grow_quantile_histmaker", "grow_skmaker")
TREE_UPDATERS = (*TREE_GROWERS, "sync", "refresh", "prune")
LINEAR_UPDATERS = ("shotgun", "coord_descent")

_UNIT = Interval(0, 1)
_ABOVE_ZERO_TO_ONE = Interval(0, 1, open_minimum=True)
_NOT_NEGATIVE = Interval(0)
_POSITIVE = Interval(0, open_minimum=True)


def _check_objective(values: Mapping[str, Any]) -> None:
    multiclass = str(values.get("objective", "")).startswith("multi:")
    if multiclass and "num_class" not in values:
        raise InvalidHyperparameter("num_class", "Require input for parameter 'num_class' for multi-classification")
    if not multiclass and "num_class" in values:
        raise InvalidHyperparameter(
            "num_class", "Do not need to setup parameter 'num_class' for learning task other than multi-classification."
        )


def _check_eval_metric(values: Mapping[str, Any]) -> None:
    metrics = values.get("eval_metric", [])
    objective = values.get("objective", "reg:squarederror")
    if "auc" in metrics and not objective.startswith(("binary:", "rank:")):
        raise InvalidHyperparameter("eval_metric", "Metric 'auc' can only be applied for classification and ranking problems.")
    for metric in ("aft-nloglik", "interval-regression-accuracy"):
        if metric in metrics and objective != "survival:aft":
            raise InvalidHyperparameter("eval_metric", f"Metric '{metric}' can only be applied for 'survival:aft' objective.")
    for metric in ("merror", "mlogloss"):
        if metric in metrics and not objective.startswith("multi:"):
            raise InvalidHyperparameter("eval_metric", f"Metric '{metric}' can only be applied for 'multi:*' objectives.")


def _check_updater(values: Mapping[str, Any]) -> None:
    updaters = values.get("updater")
    if updaters is None:
        return
    if values.get("booster") == "gblinear":
        if len(updaters) != 1 or updaters[0] not in LINEAR_UPDATERS:
            raise InvalidHyperparameter(
                "updater", f"Linear updater should be one of these options: {_quoted(LINEAR_UPDATERS)}."
            )
    elif values.get("process_type") == "update":
        if not set(updaters) <= {"refresh", "prune"}:
            raise InvalidHyperparameter("updater", "process_type 'update' can only be used with updater 'refresh' and 'prune'")
    elif not set(updaters) <= set(TREE_UPDATERS):
        raise InvalidHyperparameter("updater", f"Tree updater should be selected from these options: {_quoted(TREE_UPDATERS)}.")
    elif sum(updater in TREE_GROWERS for updater in updaters) > 1:
        raise InvalidHyperparameter(
            "updater", f"Only one tree grow plugin can be selected. Choose one from the following: {_quoted(TREE_GROWERS)}"
        )


def _check_constraints(values: Mapping[str, Any]) -> None:
    method = values.get("tree_method")
    if "monotone_constraints" in values and method not in ("exact", "hist"):
        raise InvalidHyperparameter(
            "monotone_constraints",
            "monotone_constraints can be used only when the tree_method parameter is set to either 'exact' or 'hist'.",
        )
    if "interaction_constraints" in values and method not in ("exact", "hist", "approx"):
        raise InvalidHyperparameter(
            "interaction_constraints",
            "interaction_constraints can be used only when the tree_method parameter is set to "
            "either 'exact', 'hist' or 'approx'.",
        )


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f"'{name}'" for name in names)


HYPERPARAMETERS = Schema(
    declarations=(
        Integer("num_round", "Rounds of boosting", required=True, range=Interval(1), tunable=Tunable(1, 4000)),
        Integer("csv_weights", "1: the second CSV column is the weight of the row", range=Interval(0, 1)),
        Integer("early_stopping_rounds", "Stop when the last metric has not improved for so many rounds", range=Interval(1)),
        Categorical("booster", "Which booster", values=("gbtree", "gblinear", "dart")),
        Integer("silent", "1: no messages", until=(1, 0), range=Interval(0, 1)),
        Integer("verbosity", "0 silent, 1 warnings, 2 information, 3 debugging", since=(0, 90), range=Interval(0, 3)),
        Integer("nthread", "Threads; all cores when absent", range=Interval(1)),
        Continuous("eta", "Step size", aliases=("learning_rate",), range=_UNIT, tunable=Tunable(0.1, 0.5)),
        Continuous("gamma", "Loss a split must save", aliases=("min_split_loss",), range=_NOT_NEGATIVE, tunable=Tunable(0, 5)),
        Integer("max_depth", "Depth of a tree; 0 is no limit", range=_NOT_NEGATIVE, tunable=Tunable(0, 10)),
        Continuous("min_child_weight", "Hessian a leaf must hold", range=_NOT_NEGATIVE, tunable=Tunable(0, 120)),
        Continuous("max_delta_step", "Largest weight of a leaf; 0 is no limit", range=_NOT_NEGATIVE, tunable=Tunable(0, 10)),
        Continuous("subsample", "Share of rows per tree", range=_ABOVE_ZERO_TO_ONE, tunable=Tunable(0.5, 1)),
        Continuous("colsample_bytree", "Share of columns per tree", range=_ABOVE_ZERO_TO_ONE, tunable=Tunable(0.5, 1)),
        Continuous("colsample_bylevel", "Share of columns per level", range=_ABOVE_ZERO_TO_ONE, tunable=Tunable(0.1, 1)),
        Continuous(
            "colsample_bynode", "Share of columns per split", since=(0, 90), range=_ABOVE_ZERO_TO_ONE, tunable=Tunable(0.1, 1)
        ),
        Continuous("lambda", "L2 of leaf weights", aliases=("reg_lambda",), range=_NOT_NEGATIVE, tunable=Tunable(0, 1000)),
        Continuous("alpha", "L1 of leaf weights", aliases=("reg_alpha",), range=_NOT_NEGATIVE, tunable=Tunable(0, 1000)),
        Categorical("tree_method", "How splits are found", values=("auto", "exact", "approx", "hist", "gpu_hist")),
        Continuous("sketch_eps", "Accuracy of the sketch", range=Interval(0, 1, open_minimum=True, open_maximum=True)),
        Continuous("scale_pos_weight", "Weight of positive rows", range=_POSITIVE),
        CommaList("updater", "Tree or linear updaters, in order", values=(*TREE_UPDATERS, *LINEAR_UPDATERS)),
        Categorical("dsplit", "Distributed data is split by", values=("row", "col")),
        Integer("refresh_leaf", "Updater refresh also renews leaf values", range=Interval(0, 1)),
        Categorical("process_type", "Grow trees or update given ones", values=("default", "update")),
        Categorical("grow_policy", "Which node splits first", values=("depthwise", "lossguide")),
        Integer("max_leaves", "Leaves of a tree; 0 is no limit", range=_NOT_NEGATIVE),
        Integer("max_bin", "Bins of a feature", range=_NOT_NEGATIVE),
        Categorical("predictor", "Where predictions run", values=("auto", "cpu_predictor", "gpu_predictor")),
        Literals("monotone_constraints", "-1, 0 or 1 per feature", since=(1, 0), range=Interval(-1, 1)),
        Literals("interaction_constraints", "Groups that may interact", since=(1, 0), range=_NOT_NEGATIVE, nested=True),
        Categorical("sample_type", "dart: how dropped trees are drawn", values=("uniform", "weighted")),
        Categorical("normalize_type", "dart: how new trees are weighed", values=("tree", "forest")),
        Continuous("rate_drop", "dart: share of trees dropped", range=_UNIT),
        Integer("one_drop", "dart: drop at least one tree", range=Interval(0, 1)),
        Continuous("skip_drop", "dart: chance to drop none", range=_UNIT),
        Continuous("lambda_bias", "gblinear: L2 of the bias", range=_UNIT),
        Continuous(
            "tweedie_variance_power", "Variance of reg:tweedie", range=Interval(1, 2, open_minimum=True, open_maximum=True)
        ),
        Categorical(
            "objective",
            "What is learned",
            values=(
                "reg:squarederror",
                "reg:linear",
                "reg:logistic",
                "reg:squaredlogerror",
                "reg:pseudohubererror",
                "reg:absoluteerror",
                "reg:gamma",
                "reg:tweedie",
                "binary:logistic",
                "binary:logitraw",
                "binary:hinge",
                "count:poisson",
                "multi:softmax",
                "multi:softprob",
                "rank:pairwise",
                "rank:ndcg",
                "rank:map",
                "survival:cox",
                "survival:aft",
            ),
            values_since={
                "reg:squarederror": (0, 90),
                "reg:squaredlogerror": (1, 0),
                "reg:pseudohubererror": (1, 2),
                "reg:absoluteerror": (1, 7),
                "survival:aft": (1, 2),
            },
        ),
        Integer("num_class", "Classes of multi:*", range=Interval(2)),
        Continuous("base_score", "Prediction before the first tree", range=_NOT_NEGATIVE),
        CommaList(
            "eval_metric",
            "Metrics of the data sets, the last one decides",
            values=(*MAXIMIZED, *MINIMIZED),
            with_threshold=("error", "ndcg", "map"),
        ),
        Integer("seed", "Seed", range=Interval(-(2**31), 2**31 - 1, open_minimum=True, open_maximum=True)),
        Integer("num_parallel_tree", "Trees per round", since=(0, 90), range=Interval(1)),
        Categorical("save_model_on_termination", "Keep the model so far when stopped", since=(1, 0), values=("true", "false")),
        Categorical("aft_loss_distribution", "survival:aft", since=(1, 2), values=("normal", "logistic", "extreme")),
        Continuous("aft_loss_distribution_scale", "survival:aft", since=(1, 2), range=_POSITIVE),
        Categorical("deterministic_histogram", "GPU histograms", since=(1, 2), values=("true", "false")),
        Categorical("single_precision_histogram", "Histograms", since=(1, 2), until=(1, 5), values=("true", "false")),
        Categorical("sampling_method", "How rows are drawn", since=(1, 3), values=("uniform", "gradient_based")),
        Continuous("prob_buffer_row", "GPU row buffer", since=(1, 3), range=_ABOVE_ZERO_TO_ONE),
        Categorical("use_dask_gpu_training", "Several GPUs", since=(1, 5), values=("true", "false")),
        Integer("_kfold", "Folds of cross validation", since=(1, 2), range=Interval(2)),
        Integer("_num_cv_round", "Repeats of cross validation", since=(1, 2), range=Interval(1)),
        Categorical(
            "_tuning_objective_metric",
            "The metric that a tuning job watches",
            values=tuple(f"{data}:{metric}" for metric in (*MAXIMIZED, *MINIMIZED) for data in ("validation", "train")),
        ),
    ),
    rules=(_check_objective, _check_eval_metric, _check_updater, _check_constraints),
)

_TRAINING_TYPES = (
    "csv",
    "text/csv",
    "libsvm",
    "text/libsvm",
    "text/x-libsvm",
    "parquet",
    "application/x-parquet",
    "recordio-protobuf",
    "application/x-recordio-protobuf",
)


def _metrics() -> tuple[Metric, ...]:
    # The hosted service shows the tab of the log line as "#011"; ours keeps the tab, and both match.
    return tuple(
        Metric(
            f"{data}:{name}",
            rf".*\[[0-9]+\].*(?:#011|\t){data}-{name}:([^\s#]+)",
            "Maximize" if name in MAXIMIZED else "Minimize",
        )
        for data in ("train", "validation")
        for name in (*MAXIMIZED, *MINIMIZED)
    )


ALGORITHM = Algorithm(
    name="xgboost",
    repositories={
        "sagemaker-xgboost": {
            "0.90-1": (0, 90),
            "0.90-2": (0, 90),
            "1.0-1": (1, 0),
            "1.2-1": (1, 2),
            "1.2-2": (1, 2),
            "1.3-1": (1, 3),
            "1.5-1": (1, 5),
            "1.7-1": (1, 7),
            "3.0-5": (3, 0),
        },
        "xgboost": {"latest": (0, 72), "1": (0, 72)},
    },
    runtime="xgboost",
    train="clary.algorithms.hosted.xgboost:train",
    serve="clary.algorithms.hosted.xgboost:load",
    hyperparameters=HYPERPARAMETERS,
    metrics=_metrics(),
    channels=(
        Channel("train", required=True, content_types=_TRAINING_TYPES),
        Channel("validation", required=False, content_types=_TRAINING_TYPES),
        Channel("model", required=False, content_types=("application/x-sagemaker-model",), input_modes=("File", "FastFile")),
    ),
    inference_content_types=("text/csv", "text/libsvm", "text/x-libsvm", "application/x-recordio-protobuf"),
    distributed=True,
    gpu=True,
)
