"""Batches of dense rows that wait in a file, for data that are read several times and would fill the memory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from clary.formats.batch import Batch


class Spool:
    """Keeps the first `in_memory` bytes of features as they are and writes further ones to an unnamed file in `directory`.

    The file goes when the last of its batches does.
    """

    def __init__(self, directory: Path, in_memory: int):
        self._directory = directory
        self._room = in_memory
        self._file: BinaryIO | None = None

    def keep(self, batch: Batch) -> Batch:
        """`batch`, or its place in the file. Sparse batches stay in memory. Raises `OSError` when the disk is full."""
        if not isinstance(batch.features, np.ndarray):
            return batch
        self._room -= batch.features.nbytes
        if self._room >= 0:
            return batch
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - lives as long as its batches
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(np.ascontiguousarray(batch.features, dtype=np.float32).data)
        self._file.flush()
        return _StoredBatch(self._file, offset, batch)


class _StoredBatch(Batch):
    """A batch whose features are read anew whenever they are asked for; labels, weights and groups are in memory."""

    def __init__(self, file: BinaryIO, offset: int, batch: Batch):
        self._file = file
        self._offset = offset
        self._shape = batch.features.shape
        # copies: views would keep the table alive that they were cut from
        self.labels, self.weights, self.groups = (
            part if part is None else part.copy() for part in (batch.labels, batch.weights, batch.groups)
        )

    @property
    def features(self) -> Any:
        array = np.empty(self._shape, dtype=np.float32)
        rest, offset = memoryview(array.data).cast("B"), self._offset
        while rest:
            count = os.preadv(self._file.fileno(), [rest], offset)
            if not count:
                raise OSError("the file of batches was cut off")
            rest, offset = rest[count:], offset + count
        return array

    @property
    def rows(self) -> int:
        return self._shape[0]

    @property
    def columns(self) -> int:
        return self._shape[1]
