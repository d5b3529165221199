"""The hosted form of k-NN: `train` and `load`."""

from __future__ import annotations

from clary.algorithms.hosted.knn.serving import load
from clary.algorithms.hosted.knn.training import train

__all__ = ["load", "train"]
