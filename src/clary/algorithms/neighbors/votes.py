"""What the labels of the neighbours say together. Labels are (rows, k); a missing neighbour's is NaN."""

from __future__ import annotations

import numpy as np


def majority(labels: np.ndarray) -> np.ndarray:
    """(rows,) the most frequent label of each row, the smallest of equally frequent ones."""
    ordered = np.sort(labels, axis=1)  # NaN comes last
    best = ordered[:, 0].copy()
    longest = np.ones(len(labels), dtype=np.int64)
    run = np.ones(len(labels), dtype=np.int64)
    for column in range(1, labels.shape[1]):
        run = np.where(ordered[:, column] == ordered[:, column - 1], run + 1, 1)
        better = run > longest
        best[better] = ordered[better, column]
        longest[better] = run[better]
    return best


def shares(codes: np.ndarray, classes: int) -> np.ndarray:
    """(rows, classes) the share of the neighbours that is of each class; `codes` (rows, k) are int, -1 for a missing one."""
    rows = np.repeat(np.arange(len(codes)), codes.shape[1])
    flat = codes.ravel()
    present = flat >= 0
    counts = np.bincount(rows[present] * classes + flat[present], minlength=len(codes) * classes)
    counts = counts.reshape(len(codes), classes)
    return counts / counts.sum(axis=1, keepdims=True)


def mean(labels: np.ndarray) -> np.ndarray:
    """(rows,) the mean label of each row, in float64."""
    return np.asarray(np.nanmean(labels, axis=1, dtype=np.float64))
