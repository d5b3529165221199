"""The hosted form of IP Insights: `train` and `load`."""

from __future__ import annotations

from clary.algorithms.hosted.ipinsights.serving import load
from clary.algorithms.hosted.ipinsights.training import train

__all__ = ["load", "train"]
