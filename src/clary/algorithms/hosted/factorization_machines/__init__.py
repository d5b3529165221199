"""Factorization machines as the hosted service runs them.

- training    the channels, the epochs, hosts merged after each
- quality     metrics of scores, and their log lines
- artifact    the zip of an MXNet module, which is the model
- serving     rows -> scores and labels
"""

from __future__ import annotations

from clary.algorithms.hosted.factorization_machines.serving import load
from clary.algorithms.hosted.factorization_machines.training import train

__all__ = ["load", "train"]
