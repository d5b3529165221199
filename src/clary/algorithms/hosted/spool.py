"""Decoded batches kept on disk between epochs: reading numbers back is many times faster than parsing text again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from clary.formats.batch import Batch


class Spool:
    """An unnamed file of dense batches under `directory`; it is gone with the process."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._file: Any = None
        self.complete = False

    def keep(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """`batches`, written down on the way; complete once all were taken."""
        self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - open until the process ends
        for batch in batches:
            _write(self._file, batch)
            yield batch
        self.complete = True

    def batches(self) -> Iterator[Batch]:
        """What was kept, in its order."""
        self._file.seek(0)
        while (header := np.fromfile(self._file, np.int64, 3)).size:
            yield _read(self._file, *map(int, header))


def _write(file: BinaryIO, batch: Batch) -> None:
    labelled = batch.labels is not None
    np.array([batch.rows, batch.columns, labelled], np.int64).tofile(file)
    np.ascontiguousarray(batch.features, np.float32).tofile(file)
    if batch.labels is not None:
        np.ascontiguousarray(batch.labels, np.float32).tofile(file)


def _read(file: BinaryIO, rows: int, columns: int, labelled: int) -> Batch:
    features = np.fromfile(file, np.float32, rows * columns).reshape(rows, columns)
    return Batch(features, np.fromfile(file, np.float32, rows) if labelled else None)
