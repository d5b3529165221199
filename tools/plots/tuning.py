"""Draws docs/tuning-library.svg: regret of the optimiser and its peers. `python -m tools.plots.tuning FILE...`

The files are what `python -m benchmarks.tuning_functions --store FILE` kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from benchmarks.tuning_functions import FUNCTIONS
from matplotlib.axes import Axes

OUT = Path(__file__).parents[2] / "docs" / "tuning-library.svg"
FEWEST = 3
STYLES = {
    "clary": ("Clary", "C3", "-"),
    "clary_4": ("Clary, four workers", "C3", "--"),
    "optuna_gp": ("Optuna GP", "C0", "-"),
    "botorch": ("BoTorch", "C2", "-"),
    "smac": ("SMAC3", "C1", "-"),
    "hebo": ("HEBO", "C4", "-"),
    "optuna_tpe": ("Optuna TPE", "C5", "-"),
    "clary_random": ("random", "0.6", "-"),
}


def main(files: list[str]) -> None:
    runs: dict[str, dict] = {}
    for file in files:
        runs |= json.loads(Path(file).read_text())
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axes, function in zip(panels, ("branin", "hartmann6"), strict=True):
        _draw(axes, function, runs)
    panels[0].set_ylabel("regret: median and quartiles")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(OUT, metadata={"Date": None})


def _draw(axes: Axes, function: str, runs: dict[str, dict]) -> None:
    for method, (label, color, style) in STYLES.items():
        rows = [run["values"] for key, run in runs.items() if key.startswith(f"{function}/{method}/")]
        if len(rows) < FEWEST:
            continue
        regrets = np.maximum(np.minimum.accumulate(np.array(rows), axis=1) - FUNCTIONS[function][2], 1e-7)
        low, middle, high = np.percentile(regrets, [25, 50, 75], axis=0)
        evaluations = np.arange(1, len(middle) + 1)
        axes.plot(evaluations, middle, style, color=color, label=label, linewidth=1.5)
        if method == "clary":
            axes.fill_between(evaluations, low, high, color=color, alpha=0.15, linewidth=0)
    axes.set(yscale="log", xlabel="evaluations", title=function)
    axes.grid(alpha=0.3)


if __name__ == "__main__":
    main(sys.argv[1:])
