"""Moments of bags of words under latent Dirichlet allocation, and the whitening that makes topics orthogonal.

Anandkumar, Ge, Hsu, Kakade and Telgarsky (2014), "Tensor Decompositions for Learning Latent Variable Models", JMLR 15, theorem
3.5: with a0 the sum of the Dirichlet's parameters alpha,

    M1 = E[x1]
    M2 = E[x1 x2] - a0/(a0+1) M1 M1                        = sum_i alpha_i / (a0 (a0+1)) b_i b_i
    M3 = E[x1 x2 x3] - a0/(a0+2) sum_perm E[x1 x2 M1] + 2 a0^2/((a0+1)(a0+2)) M1 M1 M1
                                                           = sum_i 2 alpha_i / (a0 (a0+1) (a0+2)) b_i b_i b_i

where x1, x2, x3 are different words of a document and b_i is the distribution of words of topic i. Neither M2 (words, words)
nor M3 is ever formed: M2 is applied to blocks of vectors, and M3 is computed after whitening, (rank, rank, rank).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, diags

_OVERSAMPLED, _POWER_PASSES = 10, 3
_SMALLEST = 1e-4
"""Eigenvalues of M2 below this share of the largest are noise that whitening would only blow up."""


@dataclass(frozen=True, slots=True)
class Whitened:
    """whiten, unwhiten : (words, rank), W'M2 W = I and unwhiten = M2 W. third : (rank, rank, rank), M3 seen through W."""

    whiten: np.ndarray
    unwhiten: np.ndarray
    third: np.ndarray

    @property
    def rank(self) -> int:
        return len(self.third)


def whitened(counts: csr_matrix, rank: int, alpha0: float, seed: int) -> Whitened:
    """Moments of `counts` (documents, words) in the space of the `rank` strongest directions of M2, or of all it has.

    Documents of fewer than three words say nothing and are left out. Cost: a few passes over the counts.
    """
    lengths = np.asarray(counts.sum(axis=1), np.float64).ravel()
    counts, lengths = counts[lengths >= 3], lengths[lengths >= 3]
    nothing = np.zeros((counts.shape[1], 0), np.float32)
    if not len(lengths):
        return Whitened(nothing, nothing, np.zeros((0, 0, 0)))
    mean = np.asarray(counts.T @ (1 / lengths) / len(lengths)).ravel()
    values, vectors = _strongest(counts, lengths, mean, rank, alpha0, seed)
    if not len(values):
        return Whitened(nothing, nothing, np.zeros((0, 0, 0)))
    whiten = (vectors / np.sqrt(values)).astype(np.float32)
    third = _third_moment(counts, lengths, mean, whiten, alpha0)
    return Whitened(whiten, vectors * np.sqrt(values), third)


def _strongest(
    counts: csr_matrix, lengths: np.ndarray, mean: np.ndarray, rank: int, alpha0: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Largest eigenvalues (rank,) of M2 and their vectors (words, rank), by a randomized range finder (Halko et al. 2011)."""
    share = 1 / (lengths * (lengths - 1) * len(lengths))
    scaled = diags(np.sqrt(share).astype(np.float32)) @ counts
    transposed = scaled.T.tocsr()
    repeated = np.asarray(counts.T @ share).ravel()[:, None]
    weight = alpha0 / (alpha0 + 1)

    def second_moment(block: np.ndarray) -> np.ndarray:
        return transposed @ (scaled @ block) - repeated * block - weight * np.outer(mean, mean @ block)

    words = len(mean)
    width = min(rank + _OVERSAMPLED, words)
    basis = np.random.default_rng(seed).standard_normal((words, width), dtype=np.float32)
    for _ in range(_POWER_PASSES):
        basis = np.linalg.qr(second_moment(basis))[0].astype(np.float32)
    small = (basis.T @ second_moment(basis)).astype(np.float64)
    values, vectors = np.linalg.eigh((small + small.T) / 2)
    order = np.argsort(values)[::-1][:rank]
    order = order[values[order] > _SMALLEST * max(values[order[0]], 0)]
    return values[order], basis @ vectors[:, order]


def _third_moment(counts: csr_matrix, lengths: np.ndarray, mean: np.ndarray, whiten: np.ndarray, alpha0: float) -> np.ndarray:
    """M3(W, W, W). Triples of different words are all triples less those that take a word twice or three times."""
    share = (1 / (lengths * (lengths - 1) * (lengths - 2) * len(lengths))).astype(np.float32)
    documents = counts @ whiten
    shared = documents * share[:, None]
    third = _products(documents, documents, shared)
    # a word c times in a document: c triples (w, w, x) in each of three places, added back twice where x is w too
    third -= _symmetric(_products(whiten, whiten, counts.T @ shared))
    third += 2 * _products(whiten, whiten, whiten * (counts.T @ share)[:, None])
    first = whiten.T.astype(np.float64) @ mean
    weight = alpha0 / (alpha0 + 1)
    pairs = np.eye(len(first)) + weight * np.outer(first, first)  # E[x1 x2] through W
    third -= alpha0 / (alpha0 + 2) * _symmetric(np.multiply.outer(pairs, first))
    return third + 2 * weight * alpha0 / (alpha0 + 2) * np.multiply.outer(np.outer(first, first), first)


_BLOCK_VALUES = 1 << 22


def _products(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """sum_n a_n b_n c_n as (rank, rank, rank), of (rows, rank) each, a block of rows at a time."""
    rank = a.shape[1]
    result = np.zeros((rank * rank, rank))
    block = max(1, _BLOCK_VALUES // max(1, rank * rank))
    for start in range(0, len(a), block):
        rows = slice(start, start + block)
        result += (a[rows, :, None] * b[rows, None, :]).reshape(-1, rank * rank).T @ c[rows]
    return result.reshape(rank, rank, rank)


def _symmetric(tensor: np.ndarray) -> np.ndarray:
    """The sum over the three places of the last index of a tensor that is symmetric in the first two."""
    return tensor + tensor.transpose(0, 2, 1) + tensor.transpose(2, 1, 0)
