"""k-means as a built-in algorithm."""

from __future__ import annotations

from clary.catalog.algorithms import Metric
from clary.catalog.first_party import channels, first_party
from clary.catalog.hyperparameters import Boolean, Categorical, Continuous, Integer, Interval, JsonList, Schema, Tunable

_POSITIVE = Interval(1)
_METHODS = ("random", "kmeans++")

HYPERPARAMETERS = Schema(
    (
        Integer("feature_dim", "Features of a row", required=True, range=_POSITIVE),
        Integer("k", "Centres", required=True, range=_POSITIVE),
        Integer("epochs", "Passes over the rows", default="1", range=_POSITIVE, tunable=Tunable(1, 10)),
        JsonList("eval_metrics", "What is reported of the centres", default='["msd"]', values=("msd", "ssd")),
        Integer(
            "extra_center_factor",
            "Centres while streaming, as a multiple of k; auto is 10",
            default="auto",
            auto=True,
            range=_POSITIVE,
            tunable=Tunable(4, 10),
        ),
        Integer(
            "half_life_time_size", "Rows after which an earlier row counts half; 0 is never", default="0", range=Interval(0)
        ),
        Categorical("init_method", "First centres: any rows, or rows far from each other", default="random", values=_METHODS),
        Categorical("local_lloyd_init_method", "First centres of the final Lloyd", default="kmeans++", values=_METHODS),
        Integer("local_lloyd_max_iter", "Iterations of the final Lloyd at most", default="300", range=_POSITIVE),
        Integer("local_lloyd_num_trials", "Runs of the final Lloyd; auto is 10", default="auto", auto=True, range=_POSITIVE),
        Continuous(
            "local_lloyd_tol",
            "The final Lloyd stops when the distances fall by no more than this share",
            default="0.0001",
            range=Interval(0, 1),
        ),
        Integer("mini_batch_size", "Rows at a time", default="5000", range=_POSITIVE, tunable=Tunable(3000, 15000)),
        Boolean("force_dense", "No effect: dense and sparse rows give the same centres", default="true"),
    ),
    words="json-schema",
)

ALGORITHM = first_party(
    "kmeans",
    HYPERPARAMETERS,
    (
        Metric("train:msd", r"#quality_metric: host=\S+, train msd <loss>=(\S+)", "Minimize"),
        Metric("test:msd", r"#quality_metric: host=\S+, test msd <loss>=(\S+)", "Minimize"),
        Metric("test:ssd", r"#quality_metric: host=\S+, test ssd <loss>=(\S+)", "Minimize"),
    ),
    channels("test"),
    gpu=True,
)
