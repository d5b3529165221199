"""PCA: exact states against NumPy and scikit-learn, sketches against what they approximate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.decomposition
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.utils.estimator_checks import parametrize_with_checks

from clary.algorithms import PCA, checks
from clary.algorithms.decomposition import scatter, sketch
from clary.algorithms.decomposition.scatter import Scatter
from clary.algorithms.decomposition.sketch import Sketch

ESTIMATORS = [
    PCA(),
    PCA(2),
    PCA(2, subtract_mean=False),
    PCA(2, algorithm_mode="randomized"),
    PCA(2, algorithm_mode="randomized", passes=1),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_our_checks(estimator, check):
    check(estimator, load_digits().data[:200, 10:16].astype(np.float32), np.zeros(200, np.float32))


def falling(rows: int, columns: int, offset: float = 0, seed: int = 0) -> np.ndarray:
    """(rows, columns) float64 with singular values that fall to a tenth."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((columns, columns)))[0]
    return rng.standard_normal((rows, columns)) * np.geomspace(1, 0.1, columns) @ directions + offset


def captured(X: np.ndarray, components: np.ndarray) -> float:
    """Variance along `components` over the largest possible."""
    centered = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    best = np.square(np.linalg.svd(centered, compute_uv=False)[: len(components)]).sum()
    return np.square(centered @ components.astype(np.float64).T).sum() / best


def test_regular_equals_scikit_learn():
    X = falling(300, 20, offset=7)
    ours, peer = PCA(5).fit(X), sklearn.decomposition.PCA(5, svd_solver="full").fit(X)
    np.testing.assert_allclose(np.abs((ours.components_ * peer.components_).sum(axis=1)), 1, atol=1e-10)
    for name in ("singular_values_", "explained_variance_", "explained_variance_ratio_", "mean_"):
        np.testing.assert_allclose(getattr(ours, name), getattr(peer, name), rtol=1e-10)
    np.testing.assert_allclose(np.abs(ours.transform(X)), np.abs(peer.transform(X)), atol=1e-10)
    np.testing.assert_allclose(ours.inverse_transform(ours.transform(X)), peer.inverse_transform(peer.transform(X)))


def test_the_largest_entry_of_a_component_is_positive():
    components = PCA().fit(falling(100, 8)).components_
    assert np.all(components[range(8), np.abs(components).argmax(axis=1)] > 0)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_without_the_mean_it_is_a_singular_value_decomposition(mode):
    X = falling(300, 12, offset=3)
    model = PCA(4, algorithm_mode=mode, subtract_mean=False).fit(X)
    _, values, directions = np.linalg.svd(X)
    np.testing.assert_allclose(model.singular_values_, values[:4], rtol=1e-3 if mode == "randomized" else 1e-10)
    assert abs(model.components_[0] @ directions[0]) > 0.9999
    assert not model.mean_.any()


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.floats(-1e4, 1e4), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_scatter_matrix_does_not_depend_on_the_batches(sizes, offset, seed):
    X = falling(sum(sizes), 6, offset, seed)
    whole = Scatter(6)
    for batch in np.split(X, np.cumsum(sizes)[:-1]):
        whole.update(batch)
    whole.flush()
    centered = X - X.mean(axis=0)
    np.testing.assert_allclose(whole.matrix, centered.T @ centered, atol=1e-8)
    np.testing.assert_allclose(whole.mean, X.mean(axis=0), rtol=1e-12, atol=1e-12)
    assert whole.rows == len(X)


@pytest.mark.parametrize("offset", [0, 1e4])
def test_float32_rows_far_from_zero_lose_nothing(offset):
    X = falling(3000, 40)
    moved = (X + offset).astype(np.float32)
    assert captured(moved, PCA(8).fit(moved).components_) > 0.99999
    assert captured(moved, PCA(8, algorithm_mode="randomized").fit(moved).components_) > 0.99
    if offset:  # the textbook formula, which this is better than
        peer = sklearn.decomposition.PCA(8, svd_solver="covariance_eigh").fit(moved)
        assert captured(moved, peer.components_) < 0.9


def test_a_mean_that_wanders_is_followed():
    X = (falling(20_000, 10) + np.linspace(0, 1e4, 20_000)[:, None] * (np.arange(10) == 3)).astype(np.float32)
    state = Scatter(10)
    for batch in np.array_split(X, 50):
        state.update(batch)
    exact = np.cov(X.astype(np.float64).T) * (len(X) - 1)
    state.flush()
    np.testing.assert_allclose(state.matrix, exact, atol=2e-5 * exact.max())


def test_two_passes_are_as_good_as_exact_and_one_beats_random_signs():
    rng = np.random.default_rng(0)
    X = (falling(2000, 15) @ rng.standard_normal((15, 300)) + 0.3 * rng.standard_normal((2000, 300))).astype(np.float32)
    one, two = (PCA(10, algorithm_mode="randomized", passes=passes).fit(X).components_ for passes in (1, 2))
    signs = np.random.default_rng(0).integers(0, 2, (20, 2000)) * 2.0 - 1
    simple = np.linalg.svd(signs @ (X - X.mean(axis=0)), full_matrices=False)[2][:10]
    assert captured(X, two) > 0.9999
    assert captured(X, two) > captured(X, one) > captured(X, simple) + 0.02


def test_a_sketch_of_few_directions_is_exact():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 60)) + 5
    for given_rows, tolerance in ((X, 1e-6), (X.astype(np.float32), 1e-3)):
        model = PCA(5, algorithm_mode="randomized", passes=1).fit(given_rows)
        exact = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
        np.testing.assert_allclose(model.singular_values_, exact[:5], atol=tolerance * exact[0])
        assert model.explained_variance_ratio_.sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("make", [lambda: Scatter(30), lambda: Sketch.random(30, 12, seed=4)], ids=["scatter", "sketch"])
def test_states_of_several_hosts_add_up(make):
    X = falling(900, 30, offset=50)
    whole, parts = make(), [make() for _ in range(3)]
    whole.update(X)
    for part, rows in zip(parts, (X[:100], X[100:750], X[750:]), strict=True):
        part.update(rows)
    copies = [type(part).of_arrays(part.arrays()) for part in parts]
    merged = (scatter if isinstance(whole, Scatter) else sketch).merge(copies)
    for centered in (True, False):
        ours, theirs = merged.spectrum(5, centered), whole.spectrum(5, centered)
        np.testing.assert_allclose(ours.squares, theirs.squares, rtol=1e-8)
        np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-6)
        assert ours.total == pytest.approx(theirs.total)
    np.testing.assert_allclose(merged.mean, X.mean(axis=0))


@pytest.mark.parametrize("mode", ["regular", "randomized"])
@pytest.mark.parametrize("density", [0.1, 0.5])
def test_sparse_rows_give_what_dense_ones_give(mode, density):
    X = scipy.sparse.random(400, 30, density, random_state=0, format="csr")
    dense, sparse = PCA(4, algorithm_mode=mode).fit(X.toarray()), PCA(4, algorithm_mode=mode).fit(X)
    np.testing.assert_allclose(sparse.singular_values_, dense.singular_values_, rtol=1e-8)
    np.testing.assert_allclose(sparse.transform(X), dense.transform(X.toarray()), atol=1e-6)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_batches_go_on_where_the_file_ended(mode, tmp_path):
    X = falling(600, 20)
    model = PCA(3, algorithm_mode=mode)
    for batch in np.array_split(X[:400], 4):
        model.partial_fit(batch)
    model.save(tmp_path / "model")
    again = PCA.load(tmp_path / "model").partial_fit(X[400:])
    np.testing.assert_array_equal(again.components_, model.partial_fit(X[400:]).components_)
    assert again.n_samples_seen_ == 600
    whole = PCA(3, algorithm_mode=mode, passes=1).fit(X)
    np.testing.assert_allclose(again.singular_values_, whole.singular_values_, rtol=1e-8)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_rows_that_are_all_equal_have_no_variance(mode):
    model = PCA(2, algorithm_mode=mode).fit(np.full((5, 4), 3.0))
    np.testing.assert_allclose(model.explained_variance_, 0, atol=1e-12)
    assert np.isfinite(model.transform(np.full((1, 4), 3.0))).all()


def test_frames_keep_their_names():
    X = pd.DataFrame(falling(50, 4), columns=list("abcd"))
    places = PCA(2).set_output(transform="pandas").fit_transform(X)
    assert list(places.columns) == ["pca0", "pca1"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"num_components": 0}, "num_components=0 must be a whole number of at least 1"),
        ({"num_components": 5}, "num_components=5 must not exceed"),
        ({"algorithm_mode": "exact"}, "algorithm_mode='exact' must be one of 'regular', 'randomized'"),
        ({"extra_components": -2}, "extra_components=-2"),
        ({"passes": 3}, "passes=3 must be 1 or 2"),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        PCA(**parameters).fit(falling(20, 4))
