"""Draws docs/algorithms/kmeans.svg: what streaming does, and how good it ends. `python -m tools.plots.kmeans`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from sklearn.cluster import MiniBatchKMeans

from clary.algorithms import KMeans

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "kmeans.svg"
SEEDS = range(8)


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    _draw_streaming(left)
    _draw_quality(right)
    figure.savefig(OUT, metadata={"Date": None})


def _draw_streaming(axes: Axes) -> None:
    rng = np.random.default_rng(2)
    X = (rng.normal(0, 4, (6, 2))[rng.integers(0, 6, 20_000)] + rng.normal(size=(20_000, 2))).astype(np.float32)
    model = KMeans(6, algorithm="streaming", mini_batch_size=1000).fit(X)
    axes.scatter(*X[:600].T, s=4, color="0.75", label="rows")
    axes.scatter(*model.stream_.centers.T, s=14, color="C0", label="60 centres while streaming")
    axes.scatter(*model.cluster_centers_.T, s=90, marker="X", color="C3", label="6 centres at the end")
    axes.set(xticks=[], yticks=[], title="k = 6, extra_center_factor = 10")
    axes.legend(fontsize=8)


def _draw_quality(axes: Axes) -> None:
    rng = np.random.default_rng(0)
    X = (rng.normal(size=(50, 32))[rng.integers(0, 50, 100_000)] + rng.normal(size=(100_000, 32))).astype(np.float32)
    ways: dict[str, Callable[[int], float]] = {
        "MiniBatchKMeans,\none pass": lambda seed: _peer(X, seed),
        "lloyd, random": lambda seed: KMeans(50, init_method="random", seed=seed, max_iter=20).fit(X).inertia_,
        "lloyd, k-means++": lambda seed: KMeans(50, seed=seed, max_iter=20).fit(X).inertia_,
        "streaming, factor 2": lambda seed: _streamed(X, 2, seed),
        "streaming, factor 4": lambda seed: _streamed(X, 4, seed),
        "streaming, factor 10": lambda seed: _streamed(X, 10, seed),
    }
    for place, (_, run) in enumerate(ways.items()):
        axes.plot([run(seed) / len(X) for seed in SEEDS], [place] * len(SEEDS), "o", color="C0", alpha=0.6, markersize=5)
    axes.set_yticks(range(len(ways)), list(ways))
    axes.set(xlabel="mean squared distance, 8 seeds", title="100,000 x 32, 50 overlapping clusters")
    axes.grid(axis="x", alpha=0.3)


def _streamed(X: np.ndarray, factor: int, seed: int) -> float:
    settings = {"init_method": "random", "extra_center_factor": factor, "mini_batch_size": 5000}
    return KMeans(50, algorithm="streaming", seed=seed, **settings).fit(X).inertia_


def _peer(X: np.ndarray, seed: int) -> float:
    return MiniBatchKMeans(50, n_init=1, batch_size=5000, max_iter=1, random_state=seed).fit(X).inertia_


if __name__ == "__main__":
    main()
