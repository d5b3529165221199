"""Dense records of equal length, decoded all at once.

A dense data set is written as frames that differ in nothing but their numbers. The first frame is decoded in the general
way, which tells where its numbers are; a strided view of the following frames then shows whether everything around the
numbers is the same, and if so the numbers are one slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from clary.formats import recordio
from clary.formats.batch import Batch

if TYPE_CHECKING:
    from clary.formats.records import Record


@dataclass(slots=True)
class FixedRecords:
    """The layout of the frame at `start`: its length and the spans of its numbers, relative to `start`."""

    start: int
    length: int
    features: tuple[int, int]
    features_dtype: np.dtype
    label: tuple[int, int] | None
    label_dtype: np.dtype | None

    FIRST_WINDOW: ClassVar[int] = 32
    """Frames compared at first; frames that look alike make the window grow, so that a failed try stays cheap."""

    @classmethod
    def of(cls, data: bytes, start: int, end: int, payload: bytes, record: Record) -> FixedRecords | None:
        """The layout, or None when the record has no fixed one (sparse, integers, several frames)."""
        features, label = record.features, record.label
        whole = end - start == recordio.HEADER_BYTES + len(payload) + -len(payload) % 4
        if not whole or features.is_sparse or features.span is None or (label is not None and label.span is None):
            return None
        return cls(
            start,
            end - start,
            _shifted(features.span),
            features.values.dtype,
            _shifted(label.span) if label and label.span else None,
            label.values.dtype if label else None,
        )

    def count(self, data: bytes, window: int) -> int:
        """How many frames from `start` on, `window` at most, have this layout."""
        frames = self._frames(data, min(window, (len(data) - self.start) // self.length))
        same = np.ones(len(frames), dtype=bool)
        for begin, end in self._constant_spans():
            same &= (frames[:, begin:end] == frames[0, begin:end]).all(axis=1)
        return len(frames) if same.all() else int(same.argmin())

    def batch(self, data: bytes, rows: int) -> Batch:
        """The first `rows` frames."""
        frames = self._frames(data, rows)
        features = _numbers(frames, self.features, self.features_dtype)
        if self.label is None or self.label_dtype is None:
            return Batch(features)
        labels = _numbers(frames, self.label, self.label_dtype)
        return Batch(features, labels[:, 0] if labels.shape[1] == 1 else labels)

    def end(self, rows: int) -> int:
        return self.start + rows * self.length

    def _frames(self, data: bytes, rows: int) -> np.ndarray:
        """(rows, length) bytes, a view."""
        return np.frombuffer(data, dtype=np.uint8, count=rows * self.length, offset=self.start).reshape(rows, self.length)

    def _constant_spans(self) -> list[tuple[int, int]]:
        """What lies around the numbers."""
        edges = [0]
        for begin, end in sorted(span for span in (self.features, self.label) if span):
            edges += [begin, end]
        edges.append(self.length)
        return [(begin, end) for begin, end in zip(edges[::2], edges[1::2], strict=True) if end > begin]


def _shifted(span: tuple[int, int]) -> tuple[int, int]:
    """A span of the payload as a span of the frame."""
    return span[0] + recordio.HEADER_BYTES, span[1] + recordio.HEADER_BYTES


def _numbers(frames: np.ndarray, span: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """(rows, numbers) float32."""
    return np.ascontiguousarray(frames[:, span[0] : span[1]]).view(dtype).astype(np.float32, copy=False)
