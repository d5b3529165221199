"""The hosted form of k-NN: `train` and `load`."""

from __future__ import annotations

import os

# OpenMP threads that wait for work otherwise spin: on cores that a server and its other workers also want, a search of 64 rows
# then takes ten times as long. The OpenMP that comes with FAISS reads this once, when FAISS is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from clary.algorithms.hosted.knn.serving import load
from clary.algorithms.hosted.knn.training import train

__all__ = ["load", "train"]
