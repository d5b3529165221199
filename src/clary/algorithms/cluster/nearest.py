"""Which centre is nearest to each row, and what the rows of each centre add up to: one pass, in blocks that stay in cache.

Rows and centres are taken relative to the mean of the centres, so that a large common offset costs no precision.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit
from scipy.sparse import issparse

from clary.algorithms.cluster import tile

_BLOCK = 8 * tile.NARROW_ROWS
_CONVERTED_BYTES = 4 << 20
"""Rows that are not float32 in C order are converted so many bytes at a time."""
_FULL = 0.2
"""Share of entries from which on sparse rows are faster as dense ones."""
_UNWEIGHTED = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Assignment:
    """labels : (rows,) int32, the nearest centre of each row, the lower number of equally near ones
    weights : (k,) float64, summed weight of the rows of each centre
    sums : (k, columns) float64, weighted sum of its rows
    squares : (k,) float64, weighted sum of the squared distances to it
    moved : rows whose centre is another than in the assignment before; all when there was none
    """

    labels: np.ndarray
    weights: np.ndarray
    sums: np.ndarray
    squares: np.ndarray
    moved: int

    @classmethod
    def empty(cls, rows: int, k: int, columns: int) -> Assignment:
        return cls(np.full(rows, -1, np.int32), np.zeros(k), np.zeros((k, columns)), np.zeros(k), rows)

    def means(self, otherwise: np.ndarray) -> np.ndarray:
        """(k, columns) float64: the mean of each centre's rows; a row of `otherwise` where it has none."""
        some = self.weights > 0
        return np.where(some[:, None], self.sums / np.where(some, self.weights, 1)[:, None], otherwise)


def assign(
    X: Any, centers: np.ndarray, weights: np.ndarray | None = None, threads: int = 1, before: Assignment | None = None
) -> Assignment:
    """Assign the rows of `X` (rows, columns), dense or CSR, to `centers` (k, columns). Distances are computed in float32.

    With the assignment `before` of the same rows and weights, which is used up, only rows that moved are added up anew.
    """
    rows = X.shape[0]
    old = before or Assignment.empty(rows, len(centers), X.shape[1])
    weights = _UNWEIGHTED if weights is None else np.ascontiguousarray(weights, np.float32)
    bounds = np.linspace(0, rows, max(1, min(threads, rows // _BLOCK)) + 1).astype(int)
    shares = [
        (X[start:end] if len(bounds) > 2 else X, centers, weights[start:end], old.labels[start:end])
        for start, end in pairwise(bounds)
    ]
    work = _sparse_part if issparse(X) and X.nnz < _FULL * rows * X.shape[1] else _dense_part
    if len(shares) == 1:
        parts = [work(*shares[0])]
    else:
        with ThreadPoolExecutor(len(shares)) as pool:
            parts = list(pool.map(lambda share: work(*share), shares))
    return Assignment(
        old.labels,
        old.weights + sum(part.weights for part in parts),
        old.sums + sum(part.sums for part in parts),
        np.add.reduce([part.squares for part in parts]),
        sum(part.moved for part in parts),
    )


def distances(X: Any, centers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(rows,) float64: the Euclidean distance of each row of `X` to the centre that `labels` names."""
    if not issparse(X):
        apart = X - centers[labels]
        return np.sqrt(np.einsum("ij,ij->i", apart, apart, dtype=np.float64))
    wide = X.astype(np.float64)
    norms = np.square(centers, dtype=np.float64).sum(axis=1)
    across = np.asarray((wide @ centers.T.astype(np.float64))[np.arange(len(labels)), labels])
    squared = np.asarray(wide.multiply(wide).sum(axis=1)).ravel()
    return np.sqrt(np.maximum(squared - 2 * across + norms[labels], 0))


def _dense_part(X: Any, centers: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> Assignment:
    """What the rows `X` change, their `labels` in place: weights and sums are those gained, or lost when negative."""
    found = Assignment.empty(0, *centers.shape)
    totals = found.weights, found.sums, found.squares
    ready = not issparse(X) and X.dtype == np.float32 and X.flags.c_contiguous
    shift = centers.mean(axis=0, dtype=np.float64).astype(np.float32 if ready else np.float64)
    panels = tile.panels(centers - shift)
    if ready:
        moved = _assign_dense(X, shift, weights, panels, labels, *totals)
    else:
        none, moved = np.zeros(X.shape[1], np.float32), 0
        height = max(_BLOCK, _CONVERTED_BYTES // (4 * X.shape[1]))
        for start in range(0, X.shape[0], height):
            part = slice(start, start + height)
            rows = np.ascontiguousarray((X[part].toarray() if issparse(X) else X[part]) - shift, np.float32)
            moved += _assign_dense(rows, none, weights[part], panels, labels[part], *totals)
    return replace(found, labels=labels, sums=found.sums + found.weights[:, None] * shift, moved=moved)


def _sparse_part(X: Any, centers: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> Assignment:
    found = Assignment.empty(0, *centers.shape)
    turned = np.ascontiguousarray(centers.T, np.float32)
    half = (np.square(centers, dtype=np.float64).sum(axis=1) / 2).astype(np.float32)
    values = X.data.astype(np.float32, copy=False)
    places = X.indices.astype(np.int32, copy=False), X.indptr.astype(np.int64, copy=False)
    moved = _assign_sparse(values, *places, weights, turned, half, labels, found.weights, found.sums, found.squares)
    return replace(found, labels=labels, moved=moved)


@njit(
    "int64(float32[:, ::1], float32[::1], float32[::1], float32[:, :, ::1],"
    " int32[::1], float64[::1], float64[:, ::1], float64[::1])",
    nogil=True,
    cache=True,
    fastmath={"contract", "reassoc", "nsz"},
)
def _assign_dense(X, shift, weights, panels, labels, totals, sums, squares):  # type: ignore[no-untyped-def]
    """Move rows to their nearest centres: `labels`, `totals`, `sums` (of rows less `shift`). Adds to `squares`, counts moves.

    Labels below 0 are none yet; empty `weights` are ones.
    """
    rows, columns = X.shape
    moved = 0
    block = np.zeros((_BLOCK, columns), np.float32)
    lengths = np.zeros(_BLOCK, np.float32)
    best = np.zeros((_BLOCK, tile.LANES), np.float32)
    place = np.zeros((_BLOCK, tile.LANES), np.int32)
    for start in range(0, rows, _BLOCK):
        count = min(_BLOCK, rows - start)
        for r in range(count):
            length = np.float32(0)
            for d in range(columns):
                value = X[start + r, d] - shift[d]
                block[r, d] = value
                length += value * value
            lengths[r] = length
        best[:] = -np.inf
        if panels.shape[2] == tile.LANES:
            for r in range(0, count, tile.NARROW_ROWS):
                tile.score_narrow(block, r, panels, 0, best, place)
        else:
            for panel in range(len(panels)):
                for r in range(0, count, tile.WIDE_ROWS):
                    tile.score_wide(block, r, panels, panel, best, place)
        for r in range(count):
            nearest, score = tile.winner(best, place, r)  # type: ignore[call-arg, var-annotated]
            weight = weights[start + r] if len(weights) else np.float32(1)
            squares[nearest] += weight * max(lengths[r] - 2 * score, np.float32(0))
            before = labels[start + r]
            if before != nearest:
                moved += 1
                labels[start + r] = nearest
                totals[nearest] += weight
                for d in range(columns):
                    sums[nearest, d] += weight * block[r, d]
                if before >= 0:
                    totals[before] -= weight
                    for d in range(columns):
                        sums[before, d] -= weight * block[r, d]
    return moved


@njit(
    "int64(float32[::1], int32[::1], int64[::1], float32[::1], float32[:, ::1], float32[::1],"
    " int32[::1], float64[::1], float64[:, ::1], float64[::1])",
    nogil=True,
    cache=True,
    fastmath={"contract", "reassoc", "nsz"},
)
def _assign_sparse(values, indices, starts, weights, centers, half, labels, totals, sums, squares):  # type: ignore[no-untyped-def]
    """The same for CSR rows. `centers` is (columns, k), `half` |c|²/2."""
    moved = 0
    scores = np.empty(len(half), np.float32)
    for r in range(len(labels)):
        for k in range(len(scores)):
            scores[k] = -half[k]
        length = np.float32(0)
        for j in range(starts[r], starts[r + 1]):
            value = values[j]
            length += value * value
            line = centers[indices[j]]
            for k in range(len(scores)):
                scores[k] += value * line[k]
        nearest = 0
        for k in range(1, len(scores)):
            if scores[k] > scores[nearest]:
                nearest = k
        weight = weights[r] if len(weights) else np.float32(1)
        squares[nearest] += weight * max(length - 2 * scores[nearest], np.float32(0))
        before = labels[r]
        if before != nearest:
            moved += 1
            labels[r] = nearest
            totals[nearest] += weight
            if before >= 0:
                totals[before] -= weight
            for j in range(starts[r], starts[r + 1]):
                sums[nearest, indices[j]] += weight * values[j]
                if before >= 0:
                    sums[before, indices[j]] -= weight * values[j]
    return moved
