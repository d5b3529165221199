"""Objectives as a Gaussian process likes them: smaller is better, centred, of unit spread, outliers drawn in."""

from __future__ import annotations

import numpy as np

REACH = 4.0
"""Quartile ranges above the median from which on worse objectives are drawn in logarithmically."""


def standardized(costs: np.ndarray) -> np.ndarray:
    """(n,) costs, monotonically: scaled by the median and the quartile range, drawn in where they are hugely bad, then of mean
    0 and deviation 1. All zeros when the costs are all alike."""
    low, middle, high = np.percentile(costs, [25, 50, 75])
    spread = high - low
    if not spread > 1e-12 * max(1.0, np.abs(costs).max()):
        spread = max(float(np.abs(costs - middle).mean()), np.finfo(float).tiny)
    scaled = np.clip((costs - middle) / spread, -1e100, 1e100)
    far = np.maximum(scaled - REACH, 0)
    drawn = np.where(scaled > REACH, REACH + np.log1p(far), scaled)
    deviation = drawn.std()
    if not deviation > 1e-9 * max(1.0, np.abs(drawn).max()):
        return np.zeros_like(costs)
    return (drawn - drawn.mean()) / deviation
