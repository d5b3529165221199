"""k-means: the kernel against plain NumPy, Lloyd against scikit-learn, streaming against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.cluster
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from clary.algorithms import KMeans, checks
from clary.algorithms.cluster import streaming, tile
from clary.algorithms.cluster.lloyd import lloyd
from clary.algorithms.cluster.nearest import assign, distances
from clary.algorithms.cluster.seeding import first_centers
from clary.algorithms.cluster.streaming import Shrinking, Stream, shrink

DRAWN = "first centres are drawn: a row given twice and a row with weight 2 lead to different draws"
EXEMPT = {f"check_sample_weight_equivalence_on_{kind}_data": DRAWN for kind in ("dense", "sparse")}
ESTIMATORS = [KMeans(3), KMeans(3, algorithm="streaming", mini_batch_size=40)]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=lambda estimator: EXEMPT)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_our_checks(estimator, check):
    X, y = make_blobs(200, random_state=0)
    check(estimator, X.astype(np.float32), y.astype(np.float32))


def reference(X, centers, weights):
    """What `assign` finds, in plain NumPy and float64: labels, weights, sums, squares."""
    squared = np.square(X[:, None].astype(np.float64) - centers).sum(axis=2)
    labels = squared.argmin(axis=1)
    sums = np.zeros(centers.shape)
    np.add.at(sums, labels, X * weights[:, None].astype(np.float64))
    counted = (np.bincount(labels, each, len(centers)) for each in (weights, weights * squared.min(axis=1)))
    return labels, next(counted), sums, next(counted)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kind", ["float32", "float64", "fortran", "csr"])
@pytest.mark.parametrize(
    ("rows", "columns", "k"),
    [(1, 1, 1), (7, 1, 3), (500, 5, 7), (200, 4, tile.LANES + 1), (1003, 33, tile.WIDTH + 5), (301, 130, 3)],
)
def test_the_kernel_equals_numpy(rows, columns, k, kind, threads):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, columns)).astype(np.float32)
    if kind == "csr":
        X[rng.random(X.shape) < 0.9] = 0
    centers, weights = rng.normal(size=(k, columns)).astype(np.float32), rng.random(rows).astype(np.float32)
    labels, totals, sums, squares = reference(X, centers, weights)
    given = {"float64": X.astype(np.float64), "fortran": np.asfortranarray(X), "csr": scipy.sparse.csr_matrix(X)}.get(kind, X)
    found = assign(given, centers, weights, threads)
    np.testing.assert_array_equal(found.labels, labels)
    np.testing.assert_allclose(found.weights, totals, rtol=1e-6)
    np.testing.assert_allclose(found.sums, sums, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found.squares, squares, rtol=1e-4, atol=1e-4)
    apart = np.linalg.norm(X - centers[labels], axis=1)
    np.testing.assert_allclose(distances(given, centers, labels), apart, rtol=1e-5, atol=1e-5)


def test_an_offset_costs_no_precision():
    rng = np.random.default_rng(0)
    X, centers = rng.normal(size=(2000, 8)), rng.normal(size=(20, 8))
    near = assign(X, centers)
    far = assign(X + 1e6, centers + 1e6)
    np.testing.assert_array_equal(far.labels, near.labels)
    np.testing.assert_allclose(far.squares, near.squares, rtol=1e-4)


def test_the_lower_of_equally_near_centers_wins():
    centers = np.zeros((2 * tile.WIDTH, 3), np.float32)
    assert assign(np.ones((5, 3), np.float32), centers).labels.tolist() == [0] * 5


@pytest.mark.parametrize("sparse", [False, True])
def test_adding_up_what_moved_equals_adding_up_all(sparse):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 6)).astype(np.float32) * (rng.random((5000, 6)) < 0.15)
    X = scipy.sparse.csr_matrix(X) if sparse else X
    before = assign(X, rng.normal(size=(9, 6)))
    centers = rng.normal(size=(9, 6))
    moved, fresh = assign(X, centers, before=before), assign(X, centers)
    assert 0 < moved.moved < 5000
    np.testing.assert_array_equal(moved.labels, fresh.labels)
    np.testing.assert_array_equal(moved.weights, fresh.weights)
    np.testing.assert_allclose(moved.sums, fresh.sums, atol=1e-3)


@pytest.mark.parametrize("weighted", [False, True])
def test_lloyd_equals_scikit_learn(weighted):
    X = load_digits().data.astype(np.float32)
    weights = np.random.default_rng(0).random(len(X)) if weighted else None
    ours = KMeans(10, init_method=X[:10], tol=0).fit(X, sample_weight=weights)
    peer = sklearn.cluster.KMeans(10, init=X[:10], n_init=1, tol=0).fit(X, sample_weight=weights)
    np.testing.assert_array_equal(ours.labels_, peer.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, peer.cluster_centers_, atol=1e-4)
    assert ours.inertia_ == pytest.approx(peer.inertia_, rel=1e-5)
    np.testing.assert_allclose(ours.transform(X), peer.transform(X), atol=1e-3)


def test_no_iteration_makes_it_worse_and_tol_ends_it():
    X = load_digits().data
    seen: list[float] = []
    exact = lloyd(X, X[:10], tol=0, progress=lambda iteration, msd: seen.append(msd))
    assert len(seen) == exact.iterations > 5
    assert np.all(np.diff(seen) <= 1e-6 * seen[0])
    assert lloyd(X, X[:10], tol=0.01).iterations < exact.iterations


def test_a_center_without_rows_goes_to_the_farthest_row():
    X = np.array([[0.0], [1.0], [2.0], [50.0]])
    found = lloyd(X, np.array([[1.0], [1000.0]]))
    assert sorted(found.centers.ravel().tolist()) == [1.0, 50.0]
    assert found.inertia == pytest.approx(2)


@pytest.mark.parametrize("algorithm", ["lloyd", "streaming"])
def test_sparse_rows_give_what_dense_ones_give(algorithm):
    X = load_digits().data.astype(np.float32)
    X[np.random.default_rng(0).random(X.shape) < 0.8] = 0
    dense, sparse = (KMeans(5, algorithm=algorithm).fit(each) for each in (X, scipy.sparse.csr_matrix(X)))
    assert sparse.inertia_ == pytest.approx(dense.inertia_, rel=1e-3)
    np.testing.assert_array_equal(sparse.predict(scipy.sparse.csr_matrix(X)), sparse.predict(X))


def test_kmeans_plus_plus_draws_by_squared_distance():
    X = np.array([[0.0], [1.0], [3.0]])
    rng = np.random.default_rng(0)
    # 0 first: 1 to 9; 1 first: 1 to 4; 3 first: 9 to 4
    pairs = [tuple(first_centers(X, 2, "k-means++", rng, greedy=False).ravel()) for _ in range(6000)]
    for pair, expected in {(0, 1): 0.1, (0, 3): 0.9, (1, 0): 0.2, (1, 3): 0.8, (3, 0): 9 / 13, (3, 1): 4 / 13}.items():
        assert pairs.count(pair) / 6000 == pytest.approx(expected / 3, abs=0.02)


@pytest.mark.parametrize("method", ["random", "k-means++"])
def test_first_centers_are_different_rows_and_weight_0_is_not_drawn(method):
    X = np.arange(40.0).reshape(20, 2)
    weights = np.repeat([0.0, 1.0], 10)
    drawn = first_centers(X, 10, method, np.random.default_rng(0), weights)
    assert sorted(drawn[:, 0].tolist()) == X[10:, 0].tolist()


def test_equal_rows_are_enough_for_different_centers():
    model = KMeans(4).fit(np.repeat([[1.0, 2.0], [3.0, 4.0]], 5, axis=0))
    assert model.inertia_ == 0
    assert len(model.cluster_centers_) == 4


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_one_center_of_a_stream_is_the_mean(sizes, seed):
    X = np.random.default_rng(seed).normal(3, 2, (sum(sizes), 3))
    stream = Stream.begin(X[: sizes[0]], 1, "random", np.random.default_rng(0))
    for batch in np.split(X, np.cumsum(sizes)[:-1]):
        stream.update(batch)
    np.testing.assert_allclose(stream.centers[0], X.mean(axis=0), rtol=1e-5, atol=1e-5)
    assert stream.squares[0] == pytest.approx(np.square(X - X.mean(axis=0)).sum(), rel=1e-4, abs=1e-4)
    assert stream.seen == stream.weights[0] == len(X)


def test_the_half_life_halves_earlier_rows():
    first, second = np.full((100, 1), 1.0), np.full((50, 1), 4.0)
    stream = Stream.begin(first, 1, "random", np.random.default_rng(0))
    stream.update(first, half_life=50)
    stream.update(second, half_life=50)
    assert stream.weights[0] == pytest.approx(100 / 2 + 50)
    assert stream.centers[0, 0] == pytest.approx((50 * 1 + 50 * 4) / 100)
    assert stream.seen == 150


def test_the_stream_knows_its_mean_squared_distance():
    X = load_digits().data
    model = KMeans(10, algorithm="streaming", mini_batch_size=300).fit(X)
    _, reported = shrink(model.stream_, Shrinking(10), np.random.default_rng(0))
    assert model.inertia_ / len(X) <= reported <= 1.03 * model.inertia_ / len(X)


@pytest.mark.parametrize("init_method", ["random", "k-means++"])
def test_one_pass_finds_planted_clusters(init_method):
    X, y = make_blobs(20_000, 16, centers=12, cluster_std=0.8, random_state=1)
    settings = {"algorithm": "streaming", "init_method": init_method, "mini_batch_size": 1000}
    model = KMeans(12, **settings).fit(X.astype(np.float32))
    assert adjusted_rand_score(y, model.labels_) > 0.999
    assert model.cluster_centers_.dtype == np.float32


def test_streams_of_several_hosts_merge_into_one_as_good():
    X, _ = make_blobs(30_000, 8, centers=20, cluster_std=2.0, random_state=3)
    parts = []
    for shard in np.array_split(X, 3):
        parts.append(Stream.begin(shard, 200, "random", np.random.default_rng(len(parts))))
        parts[-1].update(shard)
    merged = streaming.merge(parts)
    assert merged.seen == merged.weights.sum() == len(X)
    centers, _ = shrink(merged, Shrinking(20), np.random.default_rng(0))
    single = KMeans(20, algorithm="streaming", mini_batch_size=10_000).fit(X)
    assert assign(X, centers).squares.sum() <= 1.002 * single.inertia_


def test_more_epochs_and_batches_go_on_where_the_stream_was(tmp_path):
    X = load_digits().data
    model = KMeans(10)
    for batch in np.array_split(X, 6):
        model.partial_fit(batch)
    model.save(tmp_path / "model")
    again = KMeans.load(tmp_path / "model")
    np.testing.assert_array_equal(again.partial_fit(X).cluster_centers_, model.partial_fit(X).cluster_centers_)
    assert model.stream_.seen == 2 * len(X)
    assert model.n_iter_ == 7
    assert KMeans(10, algorithm="streaming", epochs=3).fit(X).stream_.seen == 3 * len(X)


def test_threads_change_nothing():
    X = np.random.default_rng(0).normal(size=(3000, 5)).astype(np.float32)
    one, two = KMeans(6).fit(X), KMeans(6, n_jobs=2).fit(X)
    np.testing.assert_array_equal(one.labels_, two.labels_)
    np.testing.assert_allclose(one.cluster_centers_, two.cluster_centers_, atol=1e-5)


def test_frames_keep_their_names():
    X = pd.DataFrame(load_digits().data[:200, :5], columns=list("abcde"))
    model = KMeans(3).set_output(transform="pandas").fit(X)
    assert list(model.feature_names_in_) == list("abcde")
    assert list(model.transform(X).columns) == list(model.get_feature_names_out()) == ["kmeans0", "kmeans1", "kmeans2"]


def test_verbose_says_how_far_it_is(capsys):
    KMeans(3, verbose=1).fit(load_digits().data)
    assert "KMeans: iteration 1: mean squared distance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"k": 0}, "k=0 must be a whole number of at least 1"),
        ({"k": 11}, "k=11 centres need as many rows; got n_samples=10"),
        ({"algorithm": "elkan"}, "algorithm='elkan' must be one of 'lloyd', 'streaming'"),
        ({"init_method": "kmeans"}, "init_method='kmeans' must be one of"),
        ({"init_method": np.zeros((8, 3))}, r"init_method must have shape \(8, 2\)"),
        ({"tol": -1}, "tol=-1 must be a number from 0 to 1"),
        ({"extra_center_factor": "many"}, "extra_center_factor='many'"),
        ({"n_jobs": 0}, "n_jobs=0"),
    ],
)
def test_parameters_that_cannot_be_are_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        KMeans(**parameters).fit(np.arange(20.0).reshape(10, 2))


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match="Negative"):
        KMeans(2).fit(np.arange(20.0).reshape(10, 2), sample_weight=np.full(10, -1.0))
