"""One row at a time: the compiled trees of the endpoint's worker against the library's own ways and treelite.

30 columns, 100 trees of depth 6, binary:logistic, one thread. The answers of the first four must be the same bits; treelite
adds in another order. The last two lines are whole requests in the worker's process: one CSV row in, one prediction out.

    python -m benchmarks.xgboost_serving [--repeats 7] [--calls 2000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import treelite
import xgboost

from clary.algorithms.hosted.xgboost import load
from clary.algorithms.trees.forest import Forest
from clary.algorithms.trees.prediction import DensePredictor
from clary.core.inference import InferenceRequest
from clary.formats import csv

COLUMNS = 30


def main() -> None:
    options = _options()
    X, booster = trained()
    row, rows = X[:1].copy(), X[:1000].copy()
    ways = _ways(booster)
    expected = booster.inplace_predict(rows)
    seconds = _interleaved({name: lambda way=way: way(row) for name, way in ways.items()}, options)
    slowest = seconds["Booster.predict (DMatrix of a row)"]
    print(f"one row of {COLUMNS} columns, 100 trees of depth 6; CPU microseconds, median of {options.repeats}")
    for name, taken in seconds.items():
        difference = np.abs(np.asarray(ways[name](rows)).ravel() - expected).max()
        print(
            f"{name:38}{taken * 1e6:8.1f} us   {slowest / taken:5.1f} x Booster.predict   largest difference {difference:.1g}"
        )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "xgboost-model").write_bytes(booster.save_raw("ubj"))
        model = load(Path(folder), {})
    body = csv.format_rows(row)
    one, many = [InferenceRequest(body, "text/csv")], [InferenceRequest(body, "text/csv")] * 32
    requests = _interleaved({"one": lambda: model.invoke(one), "32": lambda: model.invoke(many)}, options)
    print(f"{'a request with one CSV row':38}{requests['one'] * 1e6:8.1f} us")
    print(f"{'each of 32 requests that wait':38}{requests['32'] / 32 * 1e6:8.1f} us")


def trained() -> tuple[np.ndarray, xgboost.Booster]:
    """Rows (20000, COLUMNS) and a booster of 100 trees."""
    X = np.random.default_rng(0).normal(size=(20_000, COLUMNS)).astype(np.float32)
    data = xgboost.DMatrix(X, (X[:, 0] * X[:, 1] > 0).astype(np.float32))
    booster = xgboost.train({"objective": "binary:logistic", "max_depth": 6, "nthread": 1}, data, 100)
    booster.set_param({"nthread": 1})
    return X, booster


def _ways(booster: xgboost.Booster) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    forest = Forest.of(booster)
    assert forest is not None
    model = treelite.frontend.from_xgboost(booster)
    return {
        "Clary, trees as flat arrays": forest,
        "Booster.predict (DMatrix of a row)": lambda rows: booster.predict(xgboost.DMatrix(rows, nthread=1)),
        "Booster.inplace_predict": booster.inplace_predict,
        "the library's C interface directly": DensePredictor(booster),
        "treelite (GTIL)": lambda rows: treelite.gtil.predict(model, rows, nthread=1),
    }


def _interleaved(works: dict[str, Callable[[], object]], options: argparse.Namespace) -> dict[str, float]:
    """CPU seconds of a call, the median of repeats that take turns."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(options.repeats):
        for name, work in works.items():
            work()
            start = time.process_time()
            for _ in range(options.calls):
                work()
            taken[name].append((time.process_time() - start) / options.calls)
    return {name: statistics.median(values) for name, values in taken.items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2000)
    return parser.parse_args()


if __name__ == "__main__":
    main()
