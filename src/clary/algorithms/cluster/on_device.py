"""The assignment of `nearest` with PyTorch: the rows stay on the device, only what is known of the centres comes back.

The same mathematics: rows relative to a mean, scores x·c - |c|²/2 in float32, sums in float64. Sums on a GPU are in no fixed
order, so results repeat up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clary.algorithms.cluster.nearest import Assignment
from clary.algorithms.device import pytorch

SCORES = 1 << 26
"""Rows × centres at a time: 256 MiB."""


class Rows:
    """`X` (rows, columns) float, dense, and `weights` (rows,), ones when None, in the memory of a PyTorch `device`."""

    def __init__(self, X: np.ndarray, weights: np.ndarray | None, device: str):
        self._torch = torch = pytorch()
        self._device = device
        self._shift = X.mean(axis=0, dtype=np.float64)
        self._rows = torch.as_tensor(np.asarray(X - self._shift, np.float32), device=device)
        self._lengths = self._rows.square().sum(dim=1)
        self._weights = None if weights is None else torch.as_tensor(np.asarray(weights, np.float64), device=device)
        self._labels: Any = torch.full((len(X),), -1, dtype=torch.int64, device=device)

    def assign(self, centers: np.ndarray) -> Assignment:
        """Assign all rows to `centers` (k, columns); `moved` counts from the call before."""
        torch, k = self._torch, len(centers)
        near = torch.as_tensor(np.asarray(centers - self._shift, np.float32), device=self._device)
        half = near.square().sum(dim=1) / 2
        totals = torch.zeros(k, dtype=torch.float64, device=self._device)
        sums = torch.zeros(k, near.shape[1], dtype=torch.float64, device=self._device)
        squares = torch.zeros_like(totals)
        labels = torch.empty_like(self._labels)
        height = max(SCORES // k, 1)
        for start in range(0, len(labels), height):
            part = slice(start, start + height)
            rows = self._rows[part]
            best, labels[part] = torch.addmm(-half, rows, near.T).max(dim=1)
            within = (self._lengths[part] - 2 * best).clamp_min(0).double()
            weights = torch.ones_like(within) if self._weights is None else self._weights[part]
            totals.index_add_(0, labels[part], weights)
            squares.index_add_(0, labels[part], weights * within)
            sums.index_add_(0, labels[part], rows.double() * weights[:, None])
        moved = int((labels != self._labels).sum())
        self._labels = labels
        weight = totals.cpu().numpy()
        return Assignment(
            labels.to(torch.int32).cpu().numpy(),
            weight,
            sums.cpu().numpy() + weight[:, None] * self._shift,
            squares.cpu().numpy(),
            moved,
        )
