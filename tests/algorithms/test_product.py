"""The best products of a batch against a sort of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from clary.algorithms.neighbors import product
from clary.algorithms.neighbors.product import ProductSearch


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """Many blocks, threads and merges for few vectors."""
    monkeypatch.setattr(product, "PRODUCTS", 1 << 14)
    monkeypatch.setattr(product, "THREAD_VECTORS", 1 << 10)


def rounded(rng, *shape):
    """Whole numbers, whose products are exact however they are summed; many are equal."""
    return rng.integers(-9, 10, shape).astype(np.float32)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("rows", [1, 5, 300])
@pytest.mark.parametrize("offsets", [True, False])
def test_the_best_products_of_all(rows, offsets, threads):
    rng = np.random.default_rng(rows)
    vectors, queries = rounded(rng, 4_000, 6), rounded(rng, rows, 6)
    off = rounded(rng, 4_000) if offsets else None
    found, places = ProductSearch(vectors, off)(queries, 7, threads)
    every = queries @ vectors.T - (off if offsets else 0)
    np.testing.assert_array_equal(found, -np.sort(-every, axis=1)[:, :7])
    np.testing.assert_array_equal(np.take_along_axis(every, places, 1), found)
    assert all(len(set(row)) == 7 for row in places.tolist())


@pytest.mark.parametrize("order", ["better", "worse"])
def test_vectors_in_any_order(order):
    """Each block holds better ones than all before it, so that everything passes."""
    vectors = np.arange(4_000, dtype=np.float32)[:: 1 if order == "better" else -1, None].copy()
    found, places = ProductSearch(vectors, None)(np.ones((20, 1), np.float32), 3)
    assert found.tolist() == [[3999.0, 3998.0, 3997.0]] * 20
    assert places.tolist() == [[3999, 3998, 3997] if order == "better" else [0, 1, 2]] * 20


def test_few_vectors_and_what_is_not_a_number():
    vectors = np.array([[1.0], [np.nan], [3.0]], np.float32)
    found, places = ProductSearch(vectors, None)(np.ones((2, 1), np.float32), 3)
    assert found.tolist() == [[3.0, 1.0, -np.inf]] * 2
    assert places[:, :2].tolist() == [[2, 0]] * 2
