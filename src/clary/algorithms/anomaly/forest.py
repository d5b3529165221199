"""Random cut trees as arrays: the memory that a forest's kernels work on.

A tree has up to `capacity` leaves, numbered from 0, and inner nodes, numbered from `capacity`. Rows are padded with zeros to
a multiple of `simd.LANES` columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from clary.algorithms.anomaly.simd import LANES
from clary.algorithms.vectors import padded, zeros

NONE = np.uint32(0xFFFFFFFF)
"""No node: the parent of a root, and the root of an empty tree."""


class Forest(NamedTuple):
    """All trees of a forest; the first axis of every array is the tree.

    vectors : (trees, 3 * capacity, width) float32; row `leaf` is the leaf's point, rows `2 * node - capacity` and the next
        are the corners (low, high) of the bounding box of an inner node
    side : (trees, 2 * capacity) float32, the sum of the sides of a node's box; 0 for leaves
    column, cut : (trees, 2 * capacity) uint32, float32; rows with `row[column] <= cut` are on the left
    child : (trees, 2 * capacity, 2) uint32, left and right; parent : (trees, 2 * capacity) uint32; root : (trees,) uint32
    mass : (trees, 2 * capacity) int32, points below a node; a leaf of mass 2 stands for two equal points
    free, used : (trees, 2, capacity) uint32 and (trees, 2) int64; leaves (0) and inner nodes (1) that are not in the tree
        are `free[tree, kind, used[tree, kind]:]`
    random : (trees,) uint64, states of the random number generators
    key, member : (trees, capacity) float64, uint32; the sample as a binary heap, see `sampling`
    filled, due : (trees,) int64, entries of the heap, and the index of the next row that the sample takes in
    """

    vectors: np.ndarray
    side: np.ndarray
    column: np.ndarray
    cut: np.ndarray
    child: np.ndarray
    parent: np.ndarray
    root: np.ndarray
    mass: np.ndarray
    free: np.ndarray
    used: np.ndarray
    random: np.ndarray
    key: np.ndarray
    member: np.ndarray
    filled: np.ndarray
    due: np.ndarray


FOREST = types.NamedTuple(
    [
        types.float32[:, :, ::1],
        types.float32[:, ::1],
        types.uint32[:, ::1],
        types.float32[:, ::1],
        types.uint32[:, :, ::1],
        types.uint32[:, ::1],
        types.uint32[::1],
        types.int32[:, ::1],
        types.uint32[:, :, ::1],
        types.int64[:, ::1],
        types.uint64[::1],
        types.float64[:, ::1],
        types.uint32[:, ::1],
        types.int64[::1],
        types.int64[::1],
    ],
    Forest,
)
"""The type of a `Forest` in the signatures of kernels."""
_INNER: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_BORROWING: dict[str, Any] = {**_INNER, "_nrt": False}
_KERNEL: dict[str, Any] = {"cache": True, "nogil": True, "no_cfunc_wrapper": True}
inner = njit(**_INNER)
"""For functions that only kernels call: without the wrappers for other callers, which take as long to compile."""
borrowed = njit(**_BORROWING)
"""For the small steps of a kernel: they borrow their arrays. Counting references, as numba does, would cost as much as the
steps themselves. Such a function cannot make or return an array."""
inlined = njit(**_BORROWING, forceinline=True)
"""Borrowed, for what a loop calls for every node: passing its arrays would cost as much as the work."""
ROWS = types.float32[:, ::1]
"""Padded rows."""


def kernel(*arguments: Any, returns: Any = types.void) -> Any:
    """Compile a function for these types of arguments when it is imported, or take it from numba's cache."""
    return njit(returns(*arguments), **_KERNEL)


def empty(trees: int, capacity: int, columns: int, seed: int) -> Forest:
    """A forest of trees without points."""
    nodes = (trees, 2 * capacity)
    free = np.arange(2 * capacity, dtype=np.uint32).reshape(2, capacity)
    return Forest(
        vectors=zeros(trees, 3 * capacity, padded(columns, LANES)),
        side=np.zeros(nodes, np.float32),
        column=np.zeros(nodes, np.uint32),
        cut=np.zeros(nodes, np.float32),
        child=np.zeros((*nodes, 2), np.uint32),
        parent=np.full(nodes, NONE),
        root=np.full(trees, NONE),
        mass=np.zeros(nodes, np.int32),
        free=np.repeat(free[np.newaxis], trees, axis=0),
        used=np.zeros((trees, 2), np.int64),
        random=np.random.default_rng(seed).integers(0, 2**64, trees, dtype=np.uint64),
        key=np.zeros((trees, capacity)),
        member=np.zeros((trees, capacity), np.uint32),
        filled=np.zeros(trees, np.int64),
        due=np.zeros(trees, np.int64),
    )


def pad(rows: np.ndarray) -> np.ndarray:
    """`rows` (n, columns) as the kernels take them: (n, width) float32 in C order."""
    wide = zeros(rows.shape[0], padded(rows.shape[1], LANES))
    wide[:, : rows.shape[1]] = rows
    return wide
