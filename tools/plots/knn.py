"""Draws docs/algorithms/knn.svg: what indexes and projections cost in accuracy and save. `python -m tools.plots.knn`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from clary.algorithms import KNN

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "knn.svg"
COLUMNS, QUERIES, K = 64, 500, 10


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    _draw_indexes(left)
    _draw_projections(right)
    figure.savefig(OUT, metadata={"Date": None})


def _draw_indexes(axes: Axes) -> None:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(1000, COLUMNS))
    X, queries = (
        (centers[rng.integers(0, 1000, n)] + rng.normal(size=(n, COLUMNS))).astype(np.float32) for n in (100_000, QUERIES)
    )
    exact = KNN(K, predictor_type="regressor", n_jobs=1).fit(X, X[:, 0])
    truth = exact.nearest(queries)[1]
    for name, settings in {"IVFFlat": {}, "IVFPQ, 32 parts": {"index_type": "IVFPQ", "pq_m": 32}}.items():
        model = KNN(K, predictor_type="regressor", n_jobs=1, **({"index_type": "IVFFlat"} | settings)).fit(X, X[:, 0])
        points = []
        for probes in (1, 2, 5, 10, 20, 50):
            model.index_.nprobe = probes
            points.append((_rate(model, queries), _recall(model.nearest(queries)[1], truth)))
            axes.annotate(str(probes), points[-1], textcoords="offset points", xytext=(4, 4), fontsize=7)
        axes.plot(*zip(*points, strict=True), "o-", label=f"{name} (number: lists looked at)", markersize=4)
    axes.plot(_rate(exact, queries), 1, "s", color="C3", label="Flat")
    axes.set(xscale="log", xlabel="queries per CPU second, batches of 500", ylabel="recall of 10 neighbours")
    axes.set(title="100,000 x 64, 1,000 overlapping blobs")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, loc="lower left")


def _rate(model: KNN, queries: np.ndarray) -> float:
    seconds = []
    for _ in range(3):
        start = time.process_time()
        model.nearest(queries)
        seconds.append(time.process_time() - start)
    return len(queries) / min(seconds)


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)]))


def _draw_projections(axes: Axes) -> None:
    X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    targets = (4, 8, 16, 24, 32, 48)
    for kind in ("sign", "fjlt"):
        settings: dict[str, Any] = {"dimension_reduction_type": kind}
        scores = [
            [
                KNN(3, dimension_reduction_target=target, seed=seed, **settings).fit(X, y).score(X_test, y_test)
                for seed in range(8)
            ]
            for target in targets
        ]
        axes.errorbar(targets, np.mean(scores, 1), np.std(scores, 1), fmt="o-", markersize=4, capsize=2, label=kind)
    axes.axhline(KNN(3).fit(X, y).score(X_test, y_test), color="0.5", linestyle="--", label="all 64 columns")
    axes.set(xlabel="dimension_reduction_target", ylabel="accuracy, 8 seeds", title="Digits, k = 3")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


if __name__ == "__main__":
    main()
