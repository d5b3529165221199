"""Machines that several hosts trained on parts of the data, merged into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clary.algorithms.recommend.parameters import Parameters


@dataclass(frozen=True, slots=True)
class Part:
    """What one host trained, from the same start as the others. rows : of its data; seen : (features,) rows with each."""

    parameters: Parameters
    rows: int
    seen: np.ndarray


def merge(parts: Sequence[Part]) -> Parameters:
    """Averages: the bias by rows, a feature's weight and factors by the rows that have it on each host.

    A feature that only one host has seen is that host's; one that nobody has seen stays as it began.
    """
    seen = np.stack([part.seen for part in parts]).astype(np.float64)
    seen[:, seen.sum(axis=0) == 0] = 1
    shares = (seen / seen.sum(axis=0)).astype(np.float32)
    bias = np.average([part.parameters.bias[0] for part in parts], weights=[part.rows for part in parts])
    weights = sum(share * part.parameters.weights for share, part in zip(shares, parts, strict=True))
    factors = sum(share[:, None] * part.parameters.factors for share, part in zip(shares, parts, strict=True))
    return Parameters(np.array([bias], np.float32), np.asarray(weights), np.asarray(factors))
