"""Draws docs/algorithms/pca.svg: digits on two components, and what an offset does. `python -m tools.plots.pca`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
import sklearn.decomposition
from matplotlib.axes import Axes
from sklearn.datasets import load_digits

from clary.algorithms import PCA

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "pca.svg"
SHOWN = 600


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    _draw_digits(left)
    _draw_offsets(right)
    figure.savefig(OUT, metadata={"Date": None})


def _draw_digits(axes: Axes) -> None:
    X, digits = load_digits(return_X_y=True)
    places = PCA(2).fit(X).transform(X)[:SHOWN]
    for digit in range(10):
        axes.scatter(*places[digits[:SHOWN] == digit].T, s=10, color=f"C{digit}", label=str(digit))
    axes.set(xticks=[], yticks=[], title="8 x 8 digits on two of 64 components")
    axes.legend(fontsize=7, ncols=2)


def _draw_offsets(axes: Axes) -> None:
    offsets = 10.0 ** np.arange(0, 6)
    rng = np.random.default_rng(0)
    X = rng.standard_normal((20_000, 8)) @ rng.standard_normal((8, 64)) + rng.standard_normal((20_000, 64))
    best = PCA(8).fit(X).explained_variance_.sum()
    ways = {
        "clary, regular": lambda rows: PCA(8).fit(rows),
        "clary, randomized": lambda rows: PCA(8, algorithm_mode="randomized").fit(rows),
        "scikit-learn, covariance_eigh": lambda rows: sklearn.decomposition.PCA(8, svd_solver="covariance_eigh").fit(rows),
    }
    for (name, fit), marker in zip(ways.items(), "os^", strict=True):
        found = [fit((X + offset).astype(np.float32)).components_.astype(np.float64) for offset in offsets]
        kept = [((X @ components.T).var(axis=0, ddof=1).sum()) / best for components in found]
        axes.semilogx(offsets, kept, marker=marker, label=name, markersize=5)
    axes.set(xlabel="offset added to float32 rows", ylabel="variance captured / largest possible", title="20,000 x 64")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main()
