"""Shingling: a row stands for itself and the rows before it, so that shapes in time become points in space."""

from __future__ import annotations

import numpy as np


def shingles(rows: np.ndarray, size: int) -> np.ndarray:
    """Each `size` consecutive rows of (n, columns) as one, the oldest first: (n - size + 1, size * columns)."""
    if size == 1:
        return rows
    if len(rows) < size:
        return np.empty((0, size * rows.shape[1]), rows.dtype)
    windows = np.lib.stride_tricks.sliding_window_view(rows, size, axis=0)
    return windows.transpose(0, 2, 1).reshape(len(windows), -1)
