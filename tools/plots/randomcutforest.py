"""Draws docs/algorithms/randomcutforest.svg: scores of a stream, and hotspots. `python -m tools.plots.randomcutforest`."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from clary.algorithms import Hotspots, RandomCutForest

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "randomcutforest.svg"


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure = plt.figure(figsize=(9, 3.6), layout="constrained")
    grid = figure.add_gridspec(3, 2, width_ratios=(3, 2))
    values, scores, low, high = _streamed()
    axes = [figure.add_subplot(grid[row, 0]) for row in range(3)]
    axes[0].plot(values, color="0.4", linewidth=0.6)
    axes[0].set(title="a stream in shingles of 24", ylabel="value", xticklabels=[])
    axes[1].plot(scores, color="C3", linewidth=0.8)
    axes[1].set(ylabel="score", xticklabels=[])
    axes[2].plot(high, color="C1", linewidth=0.8, label="high")
    axes[2].plot(-low, color="C0", linewidth=0.8, label="low")
    axes[2].set(ylabel="attribution", xlabel="step")
    axes[2].legend(fontsize=8, loc="lower left", ncols=2)
    _draw_hotspots(figure.add_subplot(grid[:, 1]))
    for each in axes:
        each.set_xlim(200, len(values))
    figure.savefig(OUT, metadata={"Date": None})


def _streamed() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values of a daily wave with a spike, a dip and a flat day; scores before learning; attributions of single steps."""
    rng = np.random.default_rng(4)
    steps = np.arange(900)
    values = np.sin(steps * 2 * np.pi / 24) + rng.normal(0, 0.1, len(steps))
    values[500] += 2.5
    values[650:654] -= 2
    values[780:804] = rng.normal(0, 0.1, 24)
    model = RandomCutForest(50, shingle_size=24)
    scores, low, high = np.zeros((3, len(steps)))
    for step, value in enumerate(values[:, None]):
        if step > 200:
            window = values[step - 23 : step + 1, None]
            low[step], high[step] = (part[-1, 0] for part in model.attribution(window))
        scores[step] = model.score_then_learn(value[None])[0]
    scores[:201] = np.nan
    return values, scores, low, high


def _draw_hotspots(axes: Axes) -> None:
    rng = np.random.default_rng(1)
    clumps = [rng.normal(center, spread, (60, 2)) for center, spread in (((3, 7), 0.15), ((7, 3), 0.3))]
    X = np.concatenate([rng.uniform(0, 10, (300, 2)), *clumps])
    model = Hotspots(scan_radius=0.3, min_points=30).fit(X)
    axes.scatter(*X.T, s=4, color="0.6")
    for spot in model.hotspots_:
        low, size = spot.min_values, np.subtract(spot.max_values, spot.min_values)
        axes.add_patch(Rectangle((low[0], low[1]), size[0], size[1], fill=False, edgecolor="C3"))
        axes.annotate(f"density {spot.density:.0f}", spot.max_values, color="C3", fontsize=8)
    axes.set(xticks=[], yticks=[], title="hotspots: scan_radius 0.3, min_points 30")


if __name__ == "__main__":
    main()
