"""Draws docs/algorithms/linear-learner.svg: what averaging does in one pass, and what 32 models are for.

python -m tools.plots.linear_learner
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from clary.algorithms.linear import losses, training
from clary.algorithms.linear.learner import Learner
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.statistics import Statistics

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "linear-learner.svg"
ROWS, COLUMNS, BATCH = 1_000_000, 30, 1000


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    _draw_averaging(left)
    _draw_candidates(right)
    figure.savefig(OUT, metadata={"Date": None})


def _rows(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features with neighbours correlated 0.5, labels, and true weights with the bias 0.3 last."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    for j in range(1, columns):
        X[:, j] = 0.5 * X[:, j - 1] + np.float32(0.75**0.5) * X[:, j]
    weights = np.append(rng.normal(0, 0.5, columns), 0.3)
    chance = losses.sigmoid(X @ weights[:-1] + weights[-1])
    return X, (rng.random(rows) < chance).astype(np.float32), weights


def _excess(learner: Learner, X: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(models,) expected log-loss of standardised `weights` on X less that of the true raw weights."""
    raw, bias = learner.scaling.raw_weights(weights[:, :-1].astype(np.float64), weights[:, -1].astype(np.float64))
    logits = X @ truth[:-1] + truth[-1]
    chance = losses.sigmoid(logits)
    cost = [np.mean(np.logaddexp(0, each) - chance * each) for each in (*(X @ raw.T + bias).T, logits)]
    return np.array(cost[:-1]) - cost[-1]


def _draw_averaging(axes: Axes) -> None:
    X, y, truth = _rows(ROWS + 50_000, COLUMNS)
    test = X[ROWS:]
    learner = training.learner(Recipe(use_lr_scheduler=False), Statistics.of(X[:10_000], y[:10_000], 2), seed=0)
    learner.begin_epoch()
    seen, last, mean = [], [], []
    for start in range(0, ROWS, BATCH):
        learner.step(X, y, rows=np.arange(start, start + BATCH))
        if (start // BATCH) % 10 == 9:
            seen.append(start + BATCH)
            last.append(_excess(learner, test, truth, learner.optimizer.weights)[0])
            mean.append(_excess(learner, test, truth, learner.optimizer.mean)[0])
    axes.loglog(seen, last, color="0.6", label="last weights (Adam)")
    axes.loglog(seen, mean, color="C0", label="mean of the weights: the model")
    axes.loglog(seen, (COLUMNS + 1) / (2 * np.array(seen)), "--", color="C3", label="what the rows allow")
    axes.set(xlabel="rows seen, one pass", ylabel="log-loss above the truth's", title="1,000,000 x 30, mini-batches of 1000")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _draw_candidates(axes: Axes) -> None:
    X, y, truth = _rows(52_000, 200, seed=1)
    train, test = slice(0, 2000), slice(2000, None)
    recipe = Recipe(num_models=32, mini_batch_size=100)
    learner = training.learner(recipe, Statistics.of(X[train], y[train], 2), seed=0)
    curves = []
    for _ in range(15):
        learner.begin_epoch()
        for start in range(0, 2000, 100):
            learner.step(X, y, rows=np.arange(start, start + 100))
        curves.append(_excess(learner, X[test], truth, learner.optimizer.mean))
    best = int(np.argmin(np.min(curves, axis=0)))
    axes.plot(np.arange(1, 16), curves, color="0.75", linewidth=0.8)
    axes.plot(np.arange(1, 16), [curve[0] for curve in curves], color="C1", label="the first: no regularisation")
    axes.plot(np.arange(1, 16), [curve[best] for curve in curves], color="C0", label=f"the best: {_named(learner, best)}")
    axes.set(xlabel="epoch", ylabel="log-loss above the truth's", title="2,000 x 200: 32 models in one pass", ylim=(0, None))
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)


def _named(learner: Learner, model: int) -> str:
    candidate = learner.candidates[model]
    return f"rate {candidate.learning_rate:g}, wd {candidate.wd:g}, l1 {candidate.l1:g}"


if __name__ == "__main__":
    main()
