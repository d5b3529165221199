"""Draws docs/tuning-problems.svg from the searches that `python -m benchmarks.tuning_problems --store FOLDER` keeps.

python -m tools.plots.tuning_problems FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

OUT = Path(__file__).parents[2] / "docs" / "tuning-problems.svg"
ORDER = ("Clary Bayesian", "Optuna GP", "BoTorch", "SMAC3", "HEBO", "Optuna TPE", "Clary Sobol", "Clary Random")


def main() -> None:
    found: dict[str, dict[str, np.ndarray]] = {}
    for file in sorted(Path(sys.argv[1]).glob("*.json")):
        problem, optimizer = file.stem.split("-")[0].replace("_", " "), file.stem.split("-")[2]
        found.setdefault(problem, {})[optimizer] = np.array([each["regrets"] for each in json.loads(file.read_text())])
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 8})
    figure, row = plt.subplots(1, len(found), figsize=(2.6 * len(found), 2.8), layout="constrained")
    for axes, (problem, searches) in zip(row, found.items(), strict=True):
        for number, optimizer in enumerate(ORDER):
            if optimizer in searches:
                mean = searches[optimizer].mean(axis=0)
                width = 2.2 if number == 0 else 1
                axes.plot(np.arange(1, len(mean) + 1), mean, color=f"C{number}", label=optimizer, linewidth=width)
        axes.set(title=problem, xlabel="trials", yscale="log")
        axes.grid(alpha=0.3)
    row[0].set_ylabel("normalised regret, mean of seeds")
    handles = {label: line for axes in row for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    figure.savefig(OUT, metadata={"Date": None})


if __name__ == "__main__":
    main()
