"""k nearest neighbours as a built-in algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.catalog.algorithms import Metric
from clary.catalog.first_party import channels, first_party
from clary.catalog.hyperparameters import AUTO, Categorical, Integer, Interval, InvalidHyperparameter, Schema, Tunable

_POSITIVE = Interval(1)
PQ_PARTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
"""Parts of a vector that product quantization knows."""


def _check_reduction(values: Mapping[str, Any]) -> None:
    given = {name for name in ("dimension_reduction_type", "dimension_reduction_target") if name in values}
    if len(given) == 1:
        raise InvalidHyperparameter(
            given.pop(), "dimension_reduction_type and dimension_reduction_target go together: set both or none"
        )
    target, columns = values.get("dimension_reduction_target"), values["feature_dim"]
    if target is not None and columns != AUTO and target >= columns:
        raise InvalidHyperparameter(
            "dimension_reduction_target", f"dimension_reduction_target ({target}) must be below feature_dim ({columns})"
        )


def _check_index(values: Mapping[str, Any]) -> None:
    quantized = values["index_type"] == "faiss.IVFPQ"
    if quantized and values["index_metric"] != "L2":
        raise InvalidHyperparameter(
            "index_metric", f"index_metric {values['index_metric']} is not supported with index_type faiss.IVFPQ; use L2"
        )
    if quantized and "faiss_index_pq_m" not in values:
        raise InvalidHyperparameter("faiss_index_pq_m", "index_type faiss.IVFPQ needs faiss_index_pq_m")


HYPERPARAMETERS = Schema(
    declarations=(
        Integer("feature_dim", "Features of a row; auto takes what the data have", required=True, auto=True, range=_POSITIVE),
        Integer("k", "Neighbours that are asked", required=True, range=_POSITIVE, tunable=Tunable(1, 1024)),
        Categorical(
            "predictor_type",
            "Most frequent label of the neighbours, or their mean",
            required=True,
            values=("classifier", "regressor"),
        ),
        Integer("sample_size", "Rows kept, drawn at random", required=True, range=_POSITIVE, tunable=Tunable(256, 20_000_000)),
        Categorical("dimension_reduction_type", "Random projection of the rows", values=("sign", "fjlt")),
        Integer("dimension_reduction_target", "Columns after it; below feature_dim", range=_POSITIVE),
        Integer(
            "faiss_index_ivf_nlists",
            "IVF: inverted lists; auto is the square root of the rows kept",
            default="auto",
            auto=True,
            range=_POSITIVE,
        ),
        Categorical(
            "faiss_index_pq_m",
            "IVFPQ: parts of a vector; the dimension is raised to a multiple",
            values=tuple(map(str, PQ_PARTS)),
        ),
        Categorical("index_metric", "What near means", default="L2", values=("L2", "INNER_PRODUCT", "COSINE")),
        Categorical(
            "index_type",
            "Exact, inverted lists, or inverted lists of quantized vectors",
            default="faiss.Flat",
            values=("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"),
        ),
        Integer("mini_batch_size", "Rows at a time; no effect on the model", default="5000", range=_POSITIVE),
        Integer("_faiss_index_nprobe", "IVF: inverted lists that a search looks at", default="5", range=_POSITIVE),
    ),
    rules=(_check_reduction, _check_index),
    words="json-schema",
)

ALGORITHM = first_party(
    "knn",
    HYPERPARAMETERS,
    (
        Metric("test:accuracy", r"#quality_metric: host=\S+, test accuracy <score>=(\S+)", "Maximize"),
        Metric("test:mse", r"#quality_metric: host=\S+, test mse <loss>=(\S+)", "Minimize"),
    ),
    channels("test"),
    runtime="faiss",
    gpu=True,
)
