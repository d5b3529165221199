"""Principal component analysis as a built-in algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clary.catalog.first_party import channels, first_party
from clary.catalog.hyperparameters import Boolean, Categorical, Integer, Interval, InvalidHyperparameter, Schema

_POSITIVE = Interval(1)


def _check_num_components(values: Mapping[str, Any]) -> None:
    count, columns = values["num_components"], values["feature_dim"]
    if count > columns:
        raise InvalidHyperparameter("num_components", f"num_components ({count}) must not exceed feature_dim ({columns})")


HYPERPARAMETERS = Schema(
    (
        Integer("feature_dim", "Features of a row", required=True, range=_POSITIVE),
        Integer("num_components", "Directions that are kept", required=True, range=_POSITIVE),
        Integer("mini_batch_size", "Rows at a time; the result does not depend on it", required=True, range=_POSITIVE),
        Categorical(
            "algorithm_mode",
            "Exact, or an approximation whose memory grows with feature_dim and not with its square",
            default="regular",
            values=("regular", "randomized"),
        ),
        Integer(
            "extra_components",
            "randomized: test vectors beyond num_components; -1 is the larger of 10 and num_components",
            default="-1",
            range=Interval(-1),
        ),
        Boolean("subtract_mean", "Whether rows are centred", default="true"),
        Integer("epochs", "No effect: one pass is exact, and randomized makes the two it needs", default="1", range=_POSITIVE),
        Boolean("force_dense", "No effect: dense and sparse rows give the same result", default="true"),
    ),
    rules=(_check_num_components,),
    words="json-schema",
)

ALGORITHM = first_party("pca", HYPERPARAMETERS, (), channels("test"), gpu=True)
