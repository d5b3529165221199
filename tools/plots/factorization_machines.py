"""Draws docs/algorithms/factorization-machines.svg: learning curves, and the products that were planted.

`python -m tools.plots.factorization_machines`
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from scipy.sparse import csr_matrix

from clary.algorithms import FactorizationMachines

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "factorization-machines.svg"
USERS, ITEMS, ROWS, TRAINING, NOISE = 200, 100, 12_000, 8000, 0.5
EPOCHS = 40


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    rng = np.random.default_rng(0)
    taste, kind = rng.normal(size=(USERS, 2)), rng.normal(size=(ITEMS, 2))
    user, item = rng.integers(USERS, size=ROWS), rng.integers(ITEMS, size=ROWS)
    columns = np.column_stack([user, USERS + item]).ravel()
    rows = csr_matrix((np.ones(2 * ROWS, np.float32), columns, np.arange(0, 2 * ROWS + 1, 2)), (ROWS, USERS + ITEMS))
    ratings = 3 + (taste[user] * kind[item]).sum(axis=1) + NOISE * rng.normal(size=ROWS)
    model = _draw_curves(left, rows, ratings)
    _draw_products(right, model, taste @ kind.T)
    figure.savefig(OUT, metadata={"Date": None})


def _draw_curves(axes: Axes, rows: csr_matrix, ratings: np.ndarray) -> FactorizationMachines:
    train, test = slice(TRAINING), slice(TRAINING, None)
    adam = FactorizationMachines(8, linear_lr=0.01, factors_lr=0.01, shuffle=False)
    errors = []
    for _ in range(EPOCHS):
        adam.partial_fit(rows[train], ratings[train])
        errors.append(_rmse(adam.predict(rows[test]), ratings[test]))
    groups = np.repeat([0, 1], [USERS, ITEMS])
    gibbs = FactorizationMachines(8, solver="gibbs", epochs=EPOCHS, burn_in=10, groups=groups).fit(rows[train], ratings[train])
    epochs = range(1, EPOCHS + 1)
    axes.plot(epochs, np.sqrt(adam.history_), color="C0", linestyle=":", label="adam, training rows")
    axes.plot(epochs, errors, color="C0", label="adam, other rows")
    axes.axhline(_rmse(gibbs.predict(rows[test]), ratings[test]), color="C1", label=f"gibbs, {EPOCHS} draws, other rows")
    axes.axhline(NOISE, color="0.6", linestyle="--", label="noise")
    axes.set(xlabel="epochs", ylabel="RMSE", ylim=(0.2, None), title="200 users, 100 items, 8,000 ratings, 8 factors")
    axes.legend(fontsize=8)
    return gibbs


def _draw_products(axes: Axes, model: FactorizationMachines, planted: np.ndarray) -> None:
    found = np.mean([draw[:USERS] @ draw[USERS:].T for draw in model.factors_], axis=0)
    shown = np.random.default_rng(0).choice(planted.size, 800, replace=False)
    axes.plot(planted.ravel()[shown], found.ravel()[shown], ".", color="C1", markersize=3)
    axes.axline((0, 0), slope=1, color="0.6", linewidth=1)
    axes.set(xlabel="planted <user, item>", ylabel="found, mean of the draws", title="products of factors (gibbs)")


def _rmse(predicted: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


if __name__ == "__main__":
    main()
