"""Random cut forest as a built-in algorithm."""

from __future__ import annotations

from clary.catalog.algorithms import Metric
from clary.catalog.first_party import channels, first_party
from clary.catalog.hyperparameters import Integer, Interval, JsonList, Schema, Tunable

EVAL_METRICS = ("accuracy", "precision_recall_fscore")
SCORES = ("f1", "accuracy", "precision", "recall")
"""What the test channel is judged by."""

HYPERPARAMETERS = Schema(
    (
        Integer("feature_dim", "Features of a row", required=True, range=Interval(1, 10_000)),
        JsonList(
            "eval_metrics",
            "What the labelled test channel is judged by",
            default='["accuracy", "precision_recall_fscore"]',
            values=EVAL_METRICS,
        ),
        Integer(
            "num_samples_per_tree",
            "Points of a tree; about 1 / the share of anomalies",
            default="256",
            range=Interval(1, 2048),
            tunable=Tunable(1, 2048),
        ),
        Integer(
            "num_trees", "Trees; more of them, less noise", default="100", range=Interval(50, 1000), tunable=Tunable(50, 1000)
        ),
        Integer("mini_batch_size", "Rows at a time; the result does not depend on it", default="1000", range=Interval(1)),
    ),
    words="json-schema",
)

ALGORITHM = first_party(
    "randomcutforest",
    HYPERPARAMETERS,
    tuple(Metric(f"test:{name}", rf"#quality_metric: host=\S+, test {name} <score>=(\S+)", "Maximize") for name in SCORES),
    channels("test"),
)
