"""A sample of the training rows: the first ones for the scale of the columns, and mini-batches drawn from the whole epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.sparse import issparse

from clary.formats.batch import Batch

ROWS = 100_000
VALUES = 4_000_000
"""Bounds of the reservoir: rows, and numbers (16 MB)."""


def first_rows(batches: Iterator[Batch], rows: int) -> list[Batch]:
    """Batches from the front of the iterator, until they hold `rows` rows or it ends."""
    taken: list[Batch] = []
    held = 0
    for batch in batches:
        taken.append(batch)
        held += batch.rows
        if held >= rows:
            break
    return taken


class Reservoir:
    """Mini-batches of one epoch, each as likely to be kept as any other (Vitter 1985, algorithm R)."""

    def __init__(self, mini_batch_size: int, like: Batch, seed: int = 0):
        """`like`: rows of the channel, which tell how many numbers a row holds."""
        per_row = like.features.nnz / like.rows if issparse(like.features) else like.columns
        self.batches: list[Batch] = []
        self._places = max(1, int(min(ROWS, VALUES / max(per_row, 1))) // mini_batch_size)
        self._seen = 0
        self._rng = np.random.default_rng(seed)

    def watch(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; some are copied on their way."""
        for batch in batches:
            self._seen += 1
            if len(self.batches) < self._places:
                self.batches.append(_copy(batch))
            else:
                place = int(self._rng.integers(self._seen))
                if place < self._places:
                    self.batches[place] = _copy(batch)
            yield batch


def _copy(batch: Batch) -> Batch:
    """Its own memory: a mini-batch may be a view of a large block that was read."""
    assert batch.labels is not None
    features = batch.features if issparse(batch.features) else np.ascontiguousarray(batch.features).copy()
    return Batch(features, batch.labels.copy())
