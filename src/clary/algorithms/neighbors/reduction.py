"""Random projections to fewer columns that keep distances: `sign` and `fjlt`.

D. Achlioptas (2003), "Database-friendly random projections", JCSS 66(4): a matrix of random signs, O(n d k).
N. Ailon and B. Chazelle (2009), "The fast Johnson-Lindenstrauss transform", SIAM J. Comput. 39(1), in the form of a
subsampled randomized Hadamard transform (J. Tropp 2011, arXiv:1011.1595): O(n d log d).

Both are made from a seed alone. numpy's `RandomState` is used because its numbers are frozen for good (NEP 19): a projection
that was saved as a seed must come back the same.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np

Kind = Literal["sign", "fjlt"]
KINDS: tuple[Kind, ...] = ("sign", "fjlt")


class Reduction(Protocol):
    """A linear map from (rows, input_dim) to (rows, target_dim), float32."""

    kind: Kind
    seed: int
    input_dim: int
    target_dim: int

    def __call__(self, rows: np.ndarray) -> np.ndarray: ...


def make(kind: Kind, seed: int, input_dim: int, target_dim: int) -> Reduction:
    """The projection of `kind` that `seed` stands for."""
    return (SignProjection if kind == "sign" else HadamardProjection)(seed, input_dim, target_dim)


class SignProjection:
    """`rows @ S / sqrt(target_dim)` with S of independent random signs."""

    kind: Kind = "sign"

    def __init__(self, seed: int, input_dim: int, target_dim: int):
        self.seed, self.input_dim, self.target_dim = seed, input_dim, target_dim
        signs = np.random.RandomState(seed).randint(0, 2, size=(input_dim, target_dim)).astype(np.float32) * 2 - 1
        self._matrix = signs / np.float32(np.sqrt(target_dim))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self._matrix


class HadamardProjection:
    """`(rows * signs) @ H` at `target_dim` random columns, over sqrt(target_dim); H is the Hadamard matrix, of +1 and -1.

    Columns are padded with zeros to the next power of two, N = a b. H of order N is the Kronecker product of those of order a
    and b, so it is applied as two small matrix products, N (a + b) operations a row.
    """

    kind: Kind = "fjlt"

    def __init__(self, seed: int, input_dim: int, target_dim: int):
        self.seed, self.input_dim, self.target_dim = seed, input_dim, target_dim
        power = max(int(input_dim - 1).bit_length(), 0)
        rng = np.random.RandomState(seed)
        self._signs = (rng.randint(0, 2, size=input_dim) * 2 - 1).astype(np.float32)
        self._chosen = np.sort(rng.permutation(1 << power)[:target_dim])
        self._left, self._right = _hadamard(power // 2), _hadamard(power - power // 2)
        self._scale = np.float32(1 / np.sqrt(target_dim))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        a, b = len(self._left), len(self._right)
        padded = np.zeros((len(rows), a * b), dtype=np.float32)
        padded[:, : self.input_dim] = rows * self._signs
        mixed = self._left @ (padded.reshape(-1, a, b) @ self._right)
        return mixed.reshape(-1, a * b)[:, self._chosen] * self._scale


def _hadamard(power: int) -> np.ndarray:
    """Sylvester's Hadamard matrix of order 2^power."""
    matrix = np.ones((1, 1), dtype=np.float32)
    for _ in range(power):
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix
