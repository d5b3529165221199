"""What readers yield: some rows of a data set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(slots=True)
class Batch:
    """Rows of a data set; what the source does not hold is None.

    features : (rows, columns) float32 array, NaN where a value is missing, or a scipy CSR matrix, in which absent
        entries are missing
    labels : (rows,) or (rows, label columns) float32
    weights : (rows,) float32
    groups : (rows,) int64, the query of each row (libsvm `qid:`)
    """

    features: Any
    labels: np.ndarray | None = None
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None

    @property
    def rows(self) -> int:
        return self.features.shape[0]

    @property
    def columns(self) -> int:
        return self.features.shape[1]
