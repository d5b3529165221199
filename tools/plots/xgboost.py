"""The plot of docs/algorithms/xgboost.md: what boosting learns, round by round, and where early stopping ends it.

python -m tools.plots.xgboost
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np

from clary.algorithms import XGBoost

TARGET = Path(__file__).parents[2] / "docs" / "algorithms" / "xgboost.svg"
SHOWN_ROUNDS = (1, 5, 40)


def main() -> None:
    matplotlib.rcParams.update({"svg.hashsalt": "clary", "font.size": 8, "svg.fonttype": "none"})
    X, y = rings(600, seed=0)
    X_validation, y_validation = rings(400, seed=1)
    figure, axes = plt.subplots(1, 4, figsize=(10, 2.6), layout="constrained", width_ratios=(1, 1, 1, 1.5))
    for axis, rounds in zip(axes, SHOWN_ROUNDS, strict=False):
        _surface(axis, XGBoost(rounds, objective="binary:logistic", max_depth=4, n_jobs=1).fit(X, y), X, y)
        axis.set_title(f"{rounds} round{'s' * (rounds > 1)}")
    model = XGBoost(120, objective="binary:logistic", max_depth=4, early_stopping_rounds=20, n_jobs=1)
    model.fit(X, y, validation=(X_validation, y_validation))
    _curves(axes[3], model)
    figure.savefig(TARGET, metadata={"Date": None})


def rings(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, 2) points, and whether each lies on every second ring around the origin, a tenth of them mislabelled."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1, 1, (rows, 2))
    y = np.floor(np.hypot(*X.T) * 3.2).astype(int) % 2
    return X, np.where(rng.random(rows) < 0.1, 1 - y, y)


def _surface(axis: plt.Axes, model: XGBoost, X: np.ndarray, y: np.ndarray) -> None:
    side = np.linspace(-1, 1, 100)
    grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    probability = model.predict_proba(grid)[:, 1].reshape(100, 100)
    axis.imshow(probability, extent=(-1, 1, -1, 1), origin="lower", cmap="RdBu_r", vmin=0, vmax=1, alpha=0.7)
    axis.scatter(*X[::4].T, c=y[::4], cmap="RdBu_r", s=3, linewidths=0)
    axis.set_xticks([])
    axis.set_yticks([])


def _curves(axis: plt.Axes, model: XGBoost) -> None:
    for data, values in model.history_.items():
        axis.plot(values["logloss"], label=data)
    best = int(np.argmin(model.history_["validation"]["logloss"]))
    axis.axvline(best, color="grey", linestyle=":", label=f"kept: round {best}")
    axis.set_xlabel("round")
    axis.set_title("log-loss")
    axis.legend()


if __name__ == "__main__":
    main()
