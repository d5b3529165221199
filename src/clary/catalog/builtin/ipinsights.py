"""IP Insights as a built-in algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.catalog.algorithms import Channel, Metric
from clary.catalog.first_party import first_party
from clary.catalog.hyperparameters import Continuous, Integer, Interval, InvalidHyperparameter, Schema, Tunable

_LARGEST_MODEL_BYTES = 8 << 30


def _check_negatives(values: Mapping[str, Any]) -> None:
    negatives = values["random_negative_sampling_rate"] + values["shuffled_negative_sampling_rate"]
    if not 1 <= negatives <= 500:
        raise InvalidHyperparameter(
            "random_negative_sampling_rate",
            f"random_negative_sampling_rate and shuffled_negative_sampling_rate are {negatives} together; "
            "they must be between 1 and 500",
        )


def _check_size(values: Mapping[str, Any]) -> None:
    size = 4 * values["num_entity_vectors"] * values["vector_dim"]
    if size > _LARGEST_MODEL_BYTES:
        raise InvalidHyperparameter(
            "num_entity_vectors",
            f"num_entity_vectors x vector_dim makes a model of {size >> 30} GB; a model has 8 GB at most: lower one of them",
        )


_RATE = Interval(0, 500)

HYPERPARAMETERS = Schema(
    declarations=(
        Integer(
            "num_entity_vectors",
            "Buckets of the hash of entities; twice the number of entities is advised",
            required=True,
            range=Interval(1, 250_000_000),
            tunable=Tunable(10_000, 1_000_000),
        ),
        Integer("vector_dim", "Length of the vectors", required=True, range=Interval(4, 4096), tunable=Tunable(8, 256)),
        Integer("batch_metrics_publish_interval", "Batches between metric lines", default="1000", range=Interval(1)),
        Integer("epochs", "Passes over the events", default="10", range=Interval(1), tunable=Tunable(1, 100)),
        Continuous(
            "learning_rate",
            "Of Adam; falls linearly to zero",
            default="0.001",
            range=Interval(1e-6, 10),
            tunable=Tunable(1e-4, 0.1, "Logarithmic"),
        ),
        Integer(
            "mini_batch_size", "Events of a step", default="10000", range=Interval(1, 500_000), tunable=Tunable(100, 50_000)
        ),
        Integer(
            "num_ip_encoder_layers",
            "Fully connected layers of the address encoder",
            default="1",
            range=Interval(0, 100),
            tunable=Tunable(1, 10),
        ),
        Integer(
            "random_negative_sampling_rate",
            "Negatives per event with a random address",
            default="1",
            range=_RATE,
            tunable=Tunable(0, 10),
        ),
        Integer(
            "shuffled_negative_sampling_rate",
            "Negatives per event with the address of another event of the batch",
            default="1",
            range=_RATE,
            tunable=Tunable(0, 10),
        ),
        Continuous("weight_decay", "L2 penalty of weights", default="0.00001", range=Interval(0, 10), tunable=Tunable(0, 1)),
        Integer("feature_dim", "Columns of a row, which are two; the SDK's estimator sends it", range=Interval(2, 2)),
    ),
    rules=(_check_negatives, _check_size),
    words="json-schema",
)

ALGORITHM = first_party(
    "ipinsights",
    HYPERPARAMETERS,
    (
        Metric(
            "validation:discriminator_auc",
            r"#quality_metric: host=\S+, epoch=\S+, validation discriminator_auc <score>=(\S+)",
            "Maximize",
        ),
        Metric(
            "train:binary_classification_accuracy",
            r"#quality_metric: host=\S+, epoch=\S+, train binary_classification_accuracy <score>=(\S+)",
            "Maximize",
        ),
        Metric(
            "train:binary_classification_cross_entropy",
            r"#quality_metric: host=\S+, epoch=\S+, train binary_classification_cross_entropy <loss>=(\S+)",
            "Minimize",
        ),
    ),
    (
        Channel("train", required=True, content_types=("text/csv",), input_modes=("File", "FastFile")),
        Channel("validation", required=False, content_types=("text/csv",), input_modes=("File", "FastFile")),
    ),
    requests=("text/csv", "application/json", "application/jsonlines"),
)
