"""The products of a block of rows that principal components are made of, with NumPy or on a PyTorch device."""

from __future__ import annotations

from typing import Any

import numpy as np

from clary.algorithms.device import pytorch


def gram(block: np.ndarray, device: str | None = None) -> np.ndarray:
    """`blockᵀ block` (columns, columns) of `block` (rows, columns), in its type."""
    if device is None:
        return block.T @ block
    rows = _on(block, device)
    return (rows.T @ rows).cpu().numpy()


def through(block: Any, narrow: np.ndarray, device: str | None = None) -> np.ndarray:
    """`blockᵀ (block narrow)` (columns, ℓ) of `block` (rows, columns), dense or CSR, which stays off the device."""
    if device is None or not isinstance(block, np.ndarray):
        return np.asarray(block.T @ (block @ narrow))
    rows = _on(block, device)
    return (rows.T @ (rows @ _on(narrow, device))).cpu().numpy()


def _on(array: np.ndarray, device: str) -> Any:
    return pytorch().from_numpy(np.ascontiguousarray(array)).to(device)
