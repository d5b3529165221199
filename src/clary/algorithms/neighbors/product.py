"""The vectors with the largest products, by matrix multiplication and one look at each product.

FAISS keeps a heap per query, which takes longer than the multiplication. Here a product is compared with the smallest one that
is still among the best, many at once; the few that pass are kept and sorted when the number of vectors seen has doubled.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
from threadpoolctl import ThreadpoolController

QUERIES = 256
"""Rows of a block of products."""
PRODUCTS = 1 << 19
"""Of a block: 2 MiB, which stay in a cache."""
GROUP = 32
"""Products whose largest stands for them where a bound is needed."""
CROWD = 8
"""So many times more products than wanted ones pass: the bound is too low."""
THREAD_VECTORS = 1 << 14
"""A thread of its own pays from so many vectors on."""


class ProductSearch:
    """Largest q·x - offset over `vectors` x (n, columns) float32; `offsets` (n,) float32, or None for zeros."""

    def __init__(self, vectors: np.ndarray, offsets: np.ndarray | None):
        self._vectors = vectors
        self._offsets = offsets
        self._controller: ThreadpoolController | None = None

    def __call__(self, queries: np.ndarray, count: int, threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """(rows, count) float32 products, largest first, and (rows, count) int64 places of their vectors.

        `count` is at most the number of vectors. Products that are NaN are never found; -inf stands for what is missing.
        """
        threads = max(1, min(threads, len(self._vectors) // THREAD_VECTORS))
        bounds = np.linspace(0, len(self._vectors), threads + 1).astype(int).tolist()
        parts = [self._part(queries[start : start + QUERIES], count, bounds) for start in range(0, len(queries), QUERIES)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _part(self, queries: np.ndarray, count: int, bounds: list[int]) -> tuple[np.ndarray, np.ndarray]:
        if len(bounds) == 2:
            return self._within(queries, count, *bounds)
        if self._controller is None:
            self._controller = ThreadpoolController()
        with self._controller.limit(limits=1, user_api="blas"), ThreadPoolExecutor(len(bounds) - 1) as pool:
            found = list(pool.map(lambda pair: self._within(queries, count, *pair), pairwise(bounds)))
        return _best(
            np.concatenate([part[0] for part in found], axis=1), np.concatenate([part[1] for part in found], axis=1), count
        )

    def _within(self, queries: np.ndarray, count: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """The best of vectors `first` to `last` - 1."""
        rows = len(queries)
        best, places = np.full((rows, count), -np.inf, np.float32), np.zeros((rows, count), np.int64)
        passed = _Passed(rows)
        seen, due = 0, 0
        for start, products, above in self._blocks(queries, first, last):
            np.greater(products, best[:, -1:], out=above)
            crowded = not seen or np.count_nonzero(above) > CROWD * count * rows
            if crowded and products.shape[1] >= 2 * GROUP * count:
                np.greater_equal(products, np.maximum(best[:, -1], _bound(products, count))[:, None], out=above)
            passed.add(products, np.flatnonzero(above), start)
            seen += products.shape[1]
            if seen >= due or passed.size > CROWD * count * rows:
                best, places = passed.merged(best, places)
                due = 2 * seen
        return passed.merged(best, places)

    def _blocks(self, queries: np.ndarray, first: int, last: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Block after block: place of the first vector, (rows, vectors) products less offsets, room for as many bool.

        All blocks are in the same memory.
        """
        size = max(PRODUCTS // len(queries), 1)
        memory = np.empty(len(queries) * min(size, last - first), np.float32)
        marks = np.empty(memory.size, bool)
        for start in range(first, last, size):
            stop = min(start + size, last)
            shape = len(queries), stop - start
            products = memory[: shape[0] * shape[1]].reshape(shape)
            np.matmul(queries, self._vectors[start:stop].T, out=products)
            if self._offsets is not None:
                products -= self._offsets[start:stop]
            yield start, products, marks[: products.size].reshape(shape)


class _Passed:
    """Products that were above the bound, not yet sorted."""

    def __init__(self, rows: int):
        self._rows = rows
        self._clear()

    def _clear(self) -> None:
        self.size = 0
        self._pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, products: np.ndarray, passing: np.ndarray, start: int) -> None:
        """Those at `passing`, places in the flat block, whose first column is vector `start`."""
        if passing.size:
            row, column = np.divmod(passing, products.shape[1])
            self._pieces.append((row, products.ravel()[passing], column + start))
            self.size += passing.size

    def merged(self, best: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The best of these and of what was kept; afterwards this is empty."""
        if not self.size:
            return best, places
        row, value, place = (np.concatenate(piece) for piece in zip(*self._pieces, strict=True))
        self._clear()
        order = np.argsort(row, kind="stable")
        counts = np.bincount(row, minlength=self._rows)
        within = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        count, width = best.shape[1], best.shape[1] + counts.max()
        values = np.full((self._rows, width), -np.inf, np.float32)
        numbers = np.zeros((self._rows, width), np.int64)
        values[:, :count], numbers[:, :count] = best, places
        values[row[order], count + within], numbers[row[order], count + within] = value[order], place[order]
        return _best(values, numbers, count)


def _best(values: np.ndarray, numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-values, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(values, order, 1), np.take_along_axis(numbers, order, 1)


def _bound(products: np.ndarray, count: int) -> np.ndarray:
    """(rows,) at most the `count`-th largest product: the `count`-th largest of the largest ones of groups."""
    groups = products.shape[1] // GROUP
    largest = products[:, : groups * GROUP].reshape(len(products), GROUP, groups).max(axis=1)
    return -np.partition(-largest, count - 1, axis=1)[:, count - 1]
