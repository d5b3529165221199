"""Draws docs/algorithms/ipinsights.svg: scores of several kinds of events, epochs. `python -m tools.plots.ip_insights`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from benchmarks import ip_insights as benchmark
from matplotlib.axes import Axes

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "ipinsights.svg"


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    log = benchmark.synthetic(500_000, 50_000)
    _draw_scores(left, log)
    _draw_epochs(right, log)
    figure.savefig(OUT, metadata={"Date": None})


def _draw_scores(axes: Axes, log: benchmark.Log) -> None:
    score = benchmark.ours(log, 0)
    bins = np.linspace(-20, 15, 71)
    for name, addresses in (
        ("real events", log.test_addresses),
        ("another user's address", log.swapped),
        ("random address", log.random),
    ):
        axes.hist(np.clip(score(log.test_users, addresses), -20, 15), bins, histtype="step", density=True, label=name)
    axes.axvline(0, color="0.7", linewidth=0.8)
    axes.set(xlabel="dot product", ylabel="density", title="50,000 test events, 20,000 users", yticks=[])
    axes.legend(fontsize=8, loc="upper left")


def _draw_epochs(axes: Axes, log: benchmark.Log) -> None:
    settings, epochs = benchmark.SETTINGS, (1, 2, 3, 5, 8)
    found = []
    for number in epochs:
        benchmark.SETTINGS = replace(settings, epochs=number)
        found.append(benchmark.quality(log, benchmark.ours(log, 0)))
    benchmark.SETTINGS = settings
    for kind in found[0]:
        axes.plot(epochs, [1 - one[kind] for one in found], "o-", markersize=4, label=kind)
    axes.set(yscale="log", xlabel="epochs", ylabel="1 - AUC", title="500,000 training events, width 32")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)


if __name__ == "__main__":
    main()
