"""From rows to the vectors of the index: projected, normalised, padded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clary.algorithms.neighbors.reduction import Reduction


@dataclass(frozen=True, slots=True)
class Space:
    """How rows become vectors.

    columns : features of a row
    reduction : projection to fewer columns; None is none
    normalize : whether vectors get length 1 (COSINE)
    dimension : columns of a vector, the last of them zeros where the index wants more than there are
    """

    columns: int
    reduction: Reduction | None
    normalize: bool
    dimension: int

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """(rows, dimension) float32, C-contiguous, of `rows` (rows, columns)."""
        vectors = np.ascontiguousarray(rows, dtype=np.float32)
        if self.reduction is not None:
            vectors = self.reduction(vectors)
        if self.normalize:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        if (missing := self.dimension - vectors.shape[1]) > 0:
            vectors = np.pad(vectors, ((0, 0), (0, missing)))
        return vectors


def multiple_of(parts: int, columns: int) -> int:
    """The smallest multiple of `parts` that is not below `columns`."""
    return -(-columns // parts) * parts
