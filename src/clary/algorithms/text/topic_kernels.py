"""The loops of `topics`: how many words of each document each topic is expected to have given."""

from __future__ import annotations

import numpy as np
from numba import njit

_FLAGS = {"contract", "reassoc", "nsz", "arcp"}
_ROWS = "f4[::1], i4[::1], i8[::1], f4[:,::1], f4[::1], f4[:,::1]"


@njit(inline="always", fastmath=_FLAGS, error_model="numpy")
def _responsibilities(weights, document, topics, word, count, share):  # type: ignore[no-untyped-def]
    """Fill `share` (k,) with the expected counts of a word's `count` occurrences per topic."""
    likelihood = np.float32(0)
    for topic in range(len(share)):
        share[topic] = weights[document, topic] * topics[word, topic]
        likelihood += share[topic]
    scale = count / likelihood if likelihood > 0 else np.float32(0)
    for topic in range(len(share)):
        share[topic] *= scale


@njit(f"void({_ROWS}, f4[:,::1])", cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def sweep(counts, words, starts, topics, alpha, weights, collected):  # type: ignore[no-untyped-def]
    """One step of EM over all documents: `weights` are renewed, and the expected counts added to `collected` (words, k).

    counts, words, starts : CSR. topics : (words, k). alpha : (k,). weights : (documents, k), alpha + expected words per topic.
    """
    k = topics.shape[1]
    share = np.empty(k, np.float32)
    renewed = np.empty(k, np.float32)
    for document in range(len(starts) - 1):
        renewed[:] = alpha
        for place in range(starts[document], starts[document + 1]):
            word = words[place]
            _responsibilities(weights, document, topics, word, counts[place], share)
            for topic in range(k):
                renewed[topic] += share[topic]
                collected[word, topic] += share[topic]
        weights[document] = renewed


@njit(f"void({_ROWS}, i8, f4)", cache=True, nogil=True, error_model="numpy", fastmath=_FLAGS)
def settle(counts, words, starts, topics, alpha, weights, steps, tolerance):  # type: ignore[no-untyped-def]
    """Renew `weights` with `topics` held fixed: up to `steps` per document, until no topic's share moves by `tolerance`."""
    k = topics.shape[1]
    share = np.empty(k, np.float32)
    renewed = np.empty(k, np.float32)
    for document in range(len(starts) - 1):
        for _ in range(steps):
            renewed[:] = alpha
            for place in range(starts[document], starts[document + 1]):
                _responsibilities(weights, document, topics, words[place], counts[place], share)
                for topic in range(k):
                    renewed[topic] += share[topic]
            length = np.float32(0)
            moved = np.float32(0)
            for topic in range(k):
                length += renewed[topic]
                moved = max(moved, abs(renewed[topic] - weights[document, topic]))
                weights[document, topic] = renewed[topic]
            if moved < tolerance * length:
                break
