"""Random cut forest as a built-in algorithm."""

from __future__ import annotations

from clary.catalog.algorithms import Algorithm, Channel, Metric
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

_TYPES = ("application/x-recordio-protobuf", "text/csv")

ALGORITHM = Algorithm(
    name="randomcutforest",
    repositories={"randomcutforest": {"1": (1,), "latest": (1,)}},
    runtime="numba",
    train="clary.algorithms.hosted.randomcutforest:train",
    serve="clary.algorithms.hosted.randomcutforest:load",
    hyperparameters=HYPERPARAMETERS,
    metrics=(
        *(Metric(f"test:{name}", rf"#quality_metric: host=\S+, test {name} <score>=(\S+)", "Maximize") for name in SCORES),
        Metric("train:progress", r"#progress_metric: host=\S+, completed (\S+) %", "Maximize"),
        Metric("train:throughput", r"#throughput_metric: host=\S+, train throughput=(\S+) records/second", "Maximize"),
    ),
    channels=(Channel("train", required=True, content_types=_TYPES), Channel("test", required=False, content_types=_TYPES)),
    inference_content_types=(
        "text/csv",
        "application/json",
        "application/jsonlines",
        "application/x-recordio-protobuf",
    ),
    distributed=True,
)
