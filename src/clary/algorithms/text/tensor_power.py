"""The robust tensor power method (Anandkumar et al. 2014, algorithm 1): eigenvectors of a symmetric, nearly orthogonal tensor.

u <- T(I, u, u) / |T(I, u, u)| converges quadratically to an eigenvector. Several starts move together; the best of them, that
with the largest eigenvalue T(u, u, u), is taken out of the tensor, and the next eigenvector is looked for.
"""

from __future__ import annotations

import numpy as np

_SCOUTING = 12
"""Iterations of every start; then only the best goes on."""


def decompose(
    tensor: np.ndarray, *, starts: int, iterations: int, tolerance: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues (rank,) and eigenvectors (rank, rank), in columns, of `tensor` (rank, rank, rank).

    The best start goes on until its eigenvalue changes by less than the share `tolerance`, for `iterations` at most.
    """
    rank = len(tensor)
    random = np.random.default_rng(seed)
    rest = tensor.reshape(rank, rank * rank).copy()
    values, vectors = np.zeros(rank), np.zeros((rank, rank))
    for found in range(rank):
        points = _unit(random.standard_normal((rank, starts)))
        for _ in range(min(_SCOUTING, iterations)):
            points = _unit(_apply(rest, points))
        best = np.argmax((points * _apply(rest, points)).sum(axis=0))
        vector = _converged(rest, points[:, best : best + 1], iterations, tolerance)
        values[found] = (vector * _apply(rest, vector)).sum()
        vectors[:, found] = vector[:, 0]
        rest -= values[found] * np.outer(vector, np.kron(vector[:, 0], vector[:, 0]))
    return values, vectors


def _converged(tensor: np.ndarray, point: np.ndarray, iterations: int, tolerance: float) -> np.ndarray:
    """Go on from `point` (rank, 1). The eigenvalue's error is the square of the vector's."""
    value = 0.0
    for _ in range(iterations):
        moved = _apply(tensor, point)
        before, value = value, float(np.linalg.norm(moved))
        point = _unit(moved)
        if abs(value - before) <= tolerance * value:
            break
    return point


def _apply(tensor: np.ndarray, points: np.ndarray) -> np.ndarray:
    """T(I, u, u) of each column u of `points` (rank, n); `tensor` is (rank, rank * rank)."""
    return tensor @ (points[:, None, :] * points[None, :, :]).reshape(-1, points.shape[1])


def _unit(points: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(points, axis=0)
    return points / np.where(length > 0, length, 1)
