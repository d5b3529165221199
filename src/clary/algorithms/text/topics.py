"""Topics and the mixtures of documents, by EM: the polish of the spectral topics, and inference.

The steps are those of collapsed variational inference without removing a word's own share (Asuncion, Welling, Smyth and Teh
2009, "On Smoothing and Inference for Topic Models"): weights_dk = alpha_k + sum_w n_dw p_dwk with
p_dwk ~ weights_dk topics_wk, and topics_wk ~ eta + sum_d n_dw p_dwk. Deterministic, and as good as Gibbs sampling there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from clary.algorithms.text.topic_kernels import settle, sweep

_FIRST_STEPS = 5


@dataclass(slots=True)
class Topics:
    """words : (vocabulary, k) float32, columns sum to 1. alpha : (k,) float32, the Dirichlet of the mixtures."""

    words: np.ndarray
    alpha: np.ndarray

    def weights(self, counts: csr_matrix, *, steps: int = 200, tolerance: float = 1e-5) -> np.ndarray:
        """(documents, k) float32: alpha plus the expected number of a document's words per topic."""
        weights = _even(counts, self.alpha)
        settle(*_arrays(counts), self.words, self.alpha, weights, steps, np.float32(tolerance))
        return weights


class Polish:
    """EM over all documents, from given topics. The sum of alpha stays; its shares follow the documents."""

    def __init__(self, counts: csr_matrix, topics: Topics, eta: float):
        """`eta` is the Dirichlet prior of a topic's words."""
        self.topics = topics
        self._eta = eta
        self._counts = counts
        self._data = _arrays(counts)
        self._weights = topics.weights(counts, steps=_FIRST_STEPS)
        self.topics.alpha = self._shares() * topics.alpha.sum()

    def step(self) -> None:
        """One sweep."""
        expected = np.zeros_like(self.topics.words)
        sweep(*self._data, self.topics.words, self.topics.alpha, self._weights, expected)
        smoothed = expected + np.float32(self._eta)
        words = smoothed / smoothed.sum(axis=0)
        self.topics = Topics(words, self._shares() * self.topics.alpha.sum())

    def keep(self, count: int) -> None:
        """Go on with the `count` topics of largest alpha."""
        if len(self.topics.alpha) <= count:
            return
        kept = np.sort(np.argsort(-self.topics.alpha, kind="stable")[:count])
        alpha = self.topics.alpha[kept]
        total = self.topics.alpha.sum()
        self.topics = Topics(np.ascontiguousarray(self.topics.words[:, kept]), alpha * (total / alpha.sum()))
        self._weights = self.topics.weights(self._counts, steps=_FIRST_STEPS)

    def _shares(self) -> np.ndarray:
        """(k,) the mean mixture of documents."""
        mixtures = self._weights / self._weights.sum(axis=1, keepdims=True)
        shares = mixtures.mean(axis=0, dtype=np.float64)
        return (shares / shares.sum()).astype(np.float32)


def _even(counts: csr_matrix, alpha: np.ndarray) -> np.ndarray:
    """Where a document's weights begin: its words spread over the topics as alpha is."""
    lengths = np.asarray(counts.sum(axis=1), np.float32)
    return np.ascontiguousarray(alpha * (1 + lengths / alpha.sum()), np.float32)


def _arrays(counts: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return counts.data.astype(np.float32), counts.indices.astype(np.int32), counts.indptr.astype(np.int64)
