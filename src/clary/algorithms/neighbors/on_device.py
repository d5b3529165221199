"""The largest products of `product` with PyTorch: the vectors lie on the device."""

from __future__ import annotations

import numpy as np

from clary.algorithms.device import pytorch

PRODUCTS = 1 << 28
"""Queries × vectors at a time: 1 GiB."""


class DeviceSearch:
    """As `product.ProductSearch`, on a PyTorch `device`. Products that are NaN count as the largest there are."""

    def __init__(self, vectors: np.ndarray, offsets: np.ndarray | None, device: str):
        self._torch = torch = pytorch()
        self._device = device
        self._vectors = torch.tensor(vectors, device=device)  # a copy: the index keeps its own
        self._offsets = None if offsets is None else torch.tensor(offsets, device=device)

    def __call__(self, queries: np.ndarray, count: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """As `ProductSearch`; `threads` mean nothing here."""
        torch, height = self._torch, max(PRODUCTS // len(self._vectors), 1)
        found = []
        for start in range(0, len(queries), height):
            rows = torch.tensor(queries[start : start + height], device=self._device)
            products = rows @ self._vectors.T
            if self._offsets is not None:
                products -= self._offsets
            found.append(torch.topk(products, count, dim=1))
        values, places = torch.cat([each.values for each in found]), torch.cat([each.indices for each in found])
        return values.cpu().numpy(), places.cpu().numpy()
