"""Folds of rows for cross validation, the mean of what their models report, and what the models say of rows unseen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from clary.algorithms import metrics
from clary.algorithms.hosted.xgboost import evaluation
from clary.formats.batch import Batch

History = Mapping[str, Mapping[str, list[float]]]
"""Data set -> metric -> its value in each round."""


def splits(labels: np.ndarray, folds: int, rounds: int, seed: int, stratified: bool) -> Iterator[np.ndarray]:
    """Row numbers of each fold, `rounds` times all rows. Folds differ by at most one row, and by at most one row of a class."""
    rng = np.random.default_rng(seed)
    for _ in range(rounds):
        order = rng.permutation(len(labels))
        if stratified:
            order = order[np.argsort(labels[order], kind="stable")]
        for fold in range(folds):
            yield np.sort(order[fold::folds])


def rows_of(data: Batch, rows: np.ndarray) -> Batch:
    """Those rows of `data`."""
    return Batch(data.features[rows], *(part if part is None else part[rows] for part in (data.labels, data.weights)))


def metric_line(label: int, histories: list[History]) -> str:
    """`[100]<tab>train-error:0.03629<tab>validation-error:0.06306`: means of the last values of several models."""
    cells = [f"[{label}]"]
    for name in histories[0]["train"]:
        for data in ("train", "validation"):
            mean = np.mean([history[data][name][-1] for history in histories])
            cells.append(f"{data}-{evaluation.shown_name(name)}:{mean:.5f}")
    return "\t".join(cells)


class Predictions:
    """What the models say of the rows that they have not seen, once per round."""

    def __init__(self, labels: np.ndarray, rounds: int, objective: str):
        self._labels = labels
        self._objective = objective
        self._values = np.zeros((len(labels), rounds))
        self._classes = np.zeros((len(labels), rounds))

    @property
    def classifies(self) -> bool:
        return self._objective.startswith(("binary:", "multi:"))

    def record(self, rows: np.ndarray, number: int, predicted: np.ndarray) -> None:
        """Remember `predicted`, (rows,) or (rows, classes), of round `number`."""
        self._values[rows, number] = predicted.max(axis=1) if predicted.ndim == 2 else predicted
        if self.classifies:
            self._classes[rows, number] = metrics.labels(predicted, self._objective)

    def write(self, path: Path) -> None:
        """CSV lines: label, mean prediction and, for classification, the most frequent class (the lowest of equals)."""
        columns = [self._labels, self._values.mean(axis=1)]
        if self.classifies:
            columns.append(_most_frequent(self._classes))
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, np.column_stack(columns), delimiter=",", fmt="%f")


def _most_frequent(classes: np.ndarray) -> np.ndarray:
    """(rows,) of (rows, rounds)."""
    known = np.unique(classes)
    counts = (classes[:, :, None] == known).sum(axis=1)  # (rows, classes)
    return known[counts.argmax(axis=1)]
