"""Draws docs/algorithms/lda.svg: topics that were planted and those that were found. `python -m tools.plots.lda`"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import linear_sum_assignment

from clary.algorithms import LDA

OUT = Path(__file__).parents[2] / "docs" / "algorithms" / "lda.svg"
DOCUMENTS, LENGTH = 2000, 150


def main() -> None:
    plt.rcParams.update({"svg.hashsalt": "clary", "svg.fonttype": "none", "font.size": 9})
    truth = _bars()
    rng = np.random.default_rng(0)
    counts = np.array([rng.multinomial(LENGTH, mixture @ truth) for mixture in rng.dirichlet(np.full(10, 0.1), DOCUMENTS)])
    lines = {
        "planted": truth,
        "spectral": _in_order(truth, LDA(10, polish=0).fit(counts).components_),
        "polished": _in_order(truth, LDA(10).fit(counts).components_),
    }
    figure, axes = plt.subplots(len(lines) + 1, 10, figsize=(9, 3.8), layout="constrained")
    for row, (name, topics) in enumerate(lines.items()):
        for axis, topic in zip(axes[row], topics, strict=True):
            _draw(axis, topic, 0.25)
        axes[row][0].set_ylabel(name)
    for axis, document in zip(axes[-1], counts, strict=False):
        _draw(axis, document, 40)
    axes[-1][0].set_ylabel("documents")
    figure.savefig(OUT, metadata={"Date": None})


def _bars() -> np.ndarray:
    """(10, 25): the rows and columns of a 5 x 5 image."""
    square = np.zeros((10, 5, 5))
    for i in range(5):
        square[i, i] = 0.2
        square[5 + i, :, i] = 0.2
    return square.reshape(10, 25)


def _in_order(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    apart = np.abs(truth[:, None] - found).sum(axis=2)
    return found[linear_sum_assignment(apart)[1]]


def _draw(axis: plt.Axes, words: np.ndarray, largest: float) -> None:
    axis.imshow(words.reshape(5, 5), cmap="Greys", vmin=0, vmax=largest)
    axis.set(xticks=[], yticks=[])


if __name__ == "__main__":
    main()
