"""From batches of rows to XGBoost's own matrices, with as few copies as the tree method allows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xgboost

from clary.formats.batch import Batch
from clary.formats.channel import join, widen


class _Batches(xgboost.DataIter):
    """Feeds batches to XGBoost, which passes over them several times."""

    def __init__(self, batches: list[Batch], columns: int, bounds: bool):
        self._batches = batches
        self._columns = columns
        self._bounds = bounds
        self._next = 0
        super().__init__()

    def next(self, input_data: Callable[..., None]) -> bool:
        if self._next == len(self._batches):
            return False
        batch = self._batches[self._next]
        self._next += 1
        input_data(data=_features(batch, self._columns), **_information(batch, self._bounds))
        return True

    def reset(self) -> None:
        self._next = 0


def quantized(parameters: dict[str, Any]) -> bool:
    """Whether training works on binned values alone (the histogram method), which take a quarter of the memory or less."""
    trees = parameters.get("booster", "gbtree") != "gblinear"
    return trees and parameters.get("tree_method", "auto") in ("auto", "hist") and "updater" not in parameters


def matrix(
    batches: list[Batch], parameters: dict[str, Any], *, columns: int | None = None, like: xgboost.DMatrix | None = None
) -> xgboost.DMatrix:
    """The matrix that `parameters` train on.

    `columns` widens sparse batches; `like` is the training matrix when this is one to evaluate on, whose bins are shared.
    """
    columns = columns or max(batch.columns for batch in batches)
    threads = parameters.get("nthread")
    bounds = parameters.get("objective") == "survival:aft"
    if quantized(parameters):
        return xgboost.QuantileDMatrix(
            _Batches(batches, columns, bounds), ref=like, nthread=threads, max_bin=parameters.get("max_bin", 256)
        )
    rows = join(batches)
    return xgboost.DMatrix(_features(rows, columns), nthread=threads, **_information(rows, bounds))


def _information(batch: Batch, bounds: bool) -> dict[str, Any]:
    """What XGBoost is told beside the features. `bounds` gives labels as intervals of one point: nothing is censored."""
    given = {"label": batch.labels, "weight": batch.weights, "qid": batch.groups}
    if bounds:
        given |= {"label_lower_bound": batch.labels, "label_upper_bound": batch.labels}
    return {name: values for name, values in given.items() if values is not None}


def _features(batch: Batch, columns: int) -> Any:
    return batch.features if batch.columns == columns else widen(batch.features, columns)
