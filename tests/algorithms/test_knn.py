"""k-NN: neighbours by brute force, scikit-learn's predictions, samples and projections by their definitions."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from scipy.linalg import hadamard
from scipy.sparse import csr_matrix
from scipy.stats import chisquare, mode
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.utils.estimator_checks import check_estimator

from clary.algorithms import KNN, checks
from clary.algorithms.neighbors import reduction, reservoir, search, votes
from clary.algorithms.neighbors.reservoir import Reservoir, Sample

ESTIMATORS = [
    KNN(k=3),
    KNN(k=3, predictor_type="regressor", index_metric="INNER_PRODUCT"),
    KNN(k=2, sample_size=60, dimension_reduction_type="fjlt", dimension_reduction_target=2),
    KNN(k=3, index_type="IVFFlat", index_metric="COSINE"),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 8)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] > 0).astype(np.float32)


def split(loader):
    return train_test_split(*loader(return_X_y=True), random_state=0)


def brute_force(vectors, queries, metric="L2"):
    """(rows, vectors) float64: what is smallest for the nearest."""
    vectors, queries = vectors.astype(np.float64), queries.astype(np.float64)
    if metric == "L2":
        return ((queries[:, None] - vectors) ** 2).sum(2)
    if metric == "COSINE":
        vectors, queries = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (vectors, queries))
        return 1 - queries @ vectors.T
    return -queries @ vectors.T


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "estimator", [KNN(k=3), KNN(k=3, predictor_type="regressor"), KNN(k=3, index_type="IVFFlat", nprobe=1000)], ids=repr
)
def test_scikit_learn_s_checks_pass(estimator):
    check_estimator(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_our_contract_is_kept(estimator, check, data):
    check(estimator, *data)


@pytest.mark.parametrize("loader", [load_digits, load_breast_cancer])
@pytest.mark.parametrize("k", [1, 3, 5, 10, 25])
def test_the_accuracy_is_scikit_learn_s_exactly(loader, k):
    X, X_test, y, y_test = split(loader)
    assert KNN(k).fit(X, y).score(X_test, y_test) == KNeighborsClassifier(k).fit(X, y).score(X_test, y_test)


def test_values_and_shares_are_scikit_learn_s():
    X, X_test, y, _ = split(load_diabetes)
    theirs = KNeighborsRegressor(7).fit(X, y)
    np.testing.assert_allclose(KNN(7, predictor_type="regressor").fit(X, y).predict(X_test), theirs.predict(X_test), rtol=1e-6)
    above = y > np.median(y)
    np.testing.assert_allclose(
        KNN(7).fit(X, above).predict_proba(X_test), KNeighborsClassifier(7).fit(X, above).predict_proba(X_test)
    )


@pytest.mark.parametrize("metric", ["L2", "INNER_PRODUCT", "COSINE"])
@pytest.mark.parametrize("rows", [1, 3, 50])
def test_flat_neighbours_are_those_of_brute_force(data, metric, rows):
    X, y = data
    queries = np.random.default_rng(1).normal(size=(rows, X.shape[1])).astype(np.float32)
    distances, places = KNN(5, index_metric=metric).fit(X, y).nearest(queries)
    expected = brute_force(X, queries, metric)
    np.testing.assert_array_equal(places, expected.argsort(axis=1, kind="stable")[:, :5])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :5], atol=1e-5)
    assert (np.diff(distances, axis=1) >= 0).all()


def test_flat_search_is_exact_where_the_matrix_product_is_not():
    """Rows far from the origin: |x|² - 2xy + |y|² in float32 is off by more than their distances."""
    rng = np.random.default_rng(2)
    X = (1e4 + rng.normal(size=(2000, 16))).astype(np.float32)
    queries = (1e4 + rng.normal(size=(64, 16))).astype(np.float32)
    expected = brute_force(X, queries).argsort(axis=1)[:, :5]
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 0
    plain = faiss.IndexFlatL2(16)
    plain.add(X)
    by_product = plain.search(queries, 5)[1]
    faiss.cvar.distance_compute_blas_threshold = before
    assert (by_product != expected).any()
    np.testing.assert_array_equal(KNN(5).fit(X, np.zeros(len(X))).nearest(queries)[1], expected)
    assert faiss.cvar.distance_compute_blas_threshold == before


def test_equal_rows_are_neighbours_in_their_order():
    X = np.zeros((300, 4), dtype=np.float32)
    places = KNN(5, predictor_type="regressor").fit(X, np.arange(300)).nearest(np.zeros((32, 4)))[1]
    np.testing.assert_array_equal(places, np.tile(np.arange(5), (32, 1)))


@pytest.mark.parametrize("index_type", ["IVFFlat", "IVFPQ"])
def test_inverted_lists_find_most_neighbours(index_type):
    rng = np.random.default_rng(3)
    X = (rng.normal(size=(40, 16))[rng.integers(0, 40, 4000)] + 0.2 * rng.normal(size=(4000, 16))).astype(np.float32)
    model = KNN(10, index_type=index_type, pq_m=8, predictor_type="regressor").fit(X, X[:, 0])
    found = model.nearest(X[:200])[1]
    expected = brute_force(X, X[:200]).argsort(axis=1)[:, :10]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, expected, strict=True)])
    assert recall > (0.99 if index_type == "IVFFlat" else 0.3)
    assert model.index_.nlist == 63  # the square root of 4000


def test_rows_whose_lists_hold_too_few_are_searched_everywhere(data):
    X, y = data
    model = KNN(200, index_type="IVFFlat", nprobe=1, predictor_type="regressor").fit(X, y)
    places = model.nearest(X[:20])[1]
    expected = np.sort(brute_force(X, X[:20]).argsort(axis=1)[:, :200], axis=1)
    np.testing.assert_array_equal(np.sort(places, axis=1), expected)


def test_quantized_vectors_are_padded_and_projections_raised(data):
    X, y = data
    assert KNN(1, index_type="IVFPQ", pq_m=3, ivf_nlists=4).fit(X, y).index_.d == 9
    projected = KNN(1, index_type="IVFPQ", pq_m=4, ivf_nlists=4, dimension_reduction_type="sign", dimension_reduction_target=3)
    assert projected.fit(X, y).index_.d == projected.reduction_.target_dim == 4


def test_sparse_rows_are_dense_ones(data):
    X, y = data
    X = X * (X > 0)
    np.testing.assert_array_equal(KNN().fit(csr_matrix(X), y).predict(csr_matrix(X)), KNN().fit(X, y).predict(X))


def test_an_index_and_labels_make_an_estimator(data):
    X, y = data
    model = KNN(3).fit(X, y)
    copy = KNN.of_index(model.index_, y, 8, k=7, predictor_type="regressor")
    np.testing.assert_allclose(copy.predict(X[:9]), KNN(7, predictor_type="regressor").fit(X, y).predict(X[:9]))
    with pytest.raises(ValueError, match="400 vectors and 399 labels"):
        KNN.of_index(model.index_, y[1:], 8)
    with pytest.raises(ValueError, match="401 neighbours need"):
        KNN.of_index(model.index_, y, 8, k=401)
    with pytest.raises(ValueError, match="vectors of 8 columns where these parameters make 9"):
        KNN.of_index(model.index_, y, 9)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"k": 0}, "k=0"),
        ({"k": 401}, "n_samples=400"),
        ({"predictor_type": "both"}, "'classifier', 'regressor'"),
        ({"index_metric": "L1"}, "'COSINE'"),
        ({"index_type": "IVFPQ", "index_metric": "COSINE"}, "'L2' only"),
        ({"index_type": "IVFPQ", "sample_size": 200, "ivf_nlists": 2}, "IVFPQ learns 256"),
        ({"index_type": "IVFFlat", "ivf_nlists": 500}, "ask for fewer lists"),
        ({"dimension_reduction_type": "sign"}, "go together"),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": 8}, "must be below"),
        ({"dimension_reduction_type": "pca", "dimension_reduction_target": 2}, "'fjlt'"),
    ],
)
def test_parameters_that_do_not_fit_are_named(data, parameters, words):
    with pytest.raises(ValueError, match=words):
        KNN(**parameters).fit(*data)


def test_k_may_be_asked_for_anew(data):
    model = KNN(3).fit(*data)
    assert model.kneighbors(data[0][:2], 9)[1].shape == (2, 9)
    with pytest.raises(ValueError, match="k=401"):
        model.kneighbors(data[0][:2], 401)


# --- votes


def test_majorities_are_scipy_s_modes():
    labels = np.random.default_rng(0).integers(0, 4, (500, 7)).astype(float)
    np.testing.assert_array_equal(votes.majority(labels), mode(labels, axis=1).mode)


def test_missing_neighbours_have_no_vote():
    labels = np.array([[1.0, np.nan, np.nan], [np.nan, 2.0, 3.0]])
    assert votes.majority(labels).tolist() == [1, 2]
    assert votes.mean(labels).tolist() == [1, 2.5]
    assert votes.shares(np.array([[0, -1, -1], [0, 1, -1]]), 2).tolist() == [[1, 0], [0.5, 0.5]]


# --- samples


def drawn(rows, size, seed, batch=7):
    kept = Reservoir(size, seed)
    for start in range(0, rows, batch):
        numbers = np.arange(start, min(start + batch, rows))
        kept.add(numbers[:, None].astype(np.float32), numbers.astype(float))
    return kept.sample()


def test_a_stream_that_fits_is_kept_in_order():
    sample = drawn(50, 60, 0)
    np.testing.assert_array_equal(sample.positions, np.arange(50))
    np.testing.assert_array_equal(sample.features[:, 0], np.arange(50))
    assert sample.seen == 50


def test_samples_are_uniform_and_without_repeats():
    counts = np.zeros(40)
    for seed in range(2000):
        sample = drawn(40, 10, seed)
        assert len(set(sample.positions)) == len(sample) == 10
        np.testing.assert_array_equal(sample.features[:, 0], sample.positions)
        np.testing.assert_array_equal(sample.labels, sample.positions)
        counts[sample.positions] += 1
    assert chisquare(counts).pvalue > 1e-3


def test_merged_samples_are_uniform_over_streams_of_several_lengths():
    counts, rng = np.zeros(60), np.random.default_rng(0)
    for seed in range(2000):
        merged = reservoir.merge([drawn(10, 12, seed), drawn(50, 12, seed + 10_000)], 12, rng)
        assert len(merged) == 12
        assert merged.seen == 60
        counts[merged.positions] += 1
    assert chisquare(counts).pvalue > 1e-3


def test_a_sample_thins_to_a_part_in_its_order():
    sample = Sample(np.zeros((9, 1)), np.arange(9.0), np.arange(9), 9)
    part = reservoir.thinned(sample, 4, np.random.default_rng(0))
    assert len(part) == 4
    assert (np.diff(part.positions) > 0).all()


# --- projections


@pytest.mark.parametrize("columns", [1, 5, 8, 100])
def test_the_hadamard_projection_is_that_of_scipy_s_matrix(columns):
    rows = np.random.default_rng(0).normal(size=(20, columns)).astype(np.float32)
    target = max(1, columns // 2)
    projection = reduction.make("fjlt", 3, columns, target)
    order = 1 << (columns - 1).bit_length()
    rng = np.random.RandomState(3)
    signs = rng.randint(0, 2, size=columns) * 2 - 1
    chosen = np.sort(rng.permutation(order)[:target])
    padded = np.pad(rows * signs, ((0, 0), (0, order - columns)))
    np.testing.assert_allclose(projection(rows), (padded @ hadamard(order))[:, chosen] / np.sqrt(target), atol=1e-5)


@pytest.mark.parametrize("kind", reduction.KINDS)
def test_projections_keep_distances_on_average(kind):
    rows = np.random.default_rng(0).normal(size=(2, 200)).astype(np.float32)
    apart = ((rows[0] - rows[1]) ** 2).sum()
    projected = [reduction.make(kind, seed, 200, 64)(rows) for seed in range(300)]
    squares = np.array([((a - b) ** 2).sum() for a, b in projected])
    assert squares.mean() == pytest.approx(apart, rel=0.05)
    assert squares.std() < 0.4 * apart


@pytest.mark.parametrize("kind", reduction.KINDS)
def test_a_seed_is_a_projection_for_good(kind):
    """The numbers that a saved seed stands for must never change."""
    found = reduction.make(kind, 7, 4, 3)(np.eye(4, dtype=np.float32)) * np.sqrt(3)
    expected = {
        "sign": [[1, -1, 1], [-1, 1, 1], [1, 1, -1], [1, -1, 1]],
        "fjlt": [[1, 1, 1], [-1, 1, -1], [1, 1, -1], [-1, 1, 1]],
    }
    np.testing.assert_allclose(found, expected[kind], atol=1e-6)


def test_threads_are_set_back():
    before = faiss.omp_get_max_threads()
    with search.threads(1):
        assert faiss.omp_get_max_threads() == 1
    assert faiss.omp_get_max_threads() == before
