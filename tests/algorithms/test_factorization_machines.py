"""FactorizationMachines: kernels against plain NumPy and closed forms, planted factors, scikit-learn's checks and ours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix, random_array
from scipy.special import expit
from sklearn.utils.estimator_checks import check_estimator

from clary.algorithms import FactorizationMachines, checks
from clary.algorithms.recommend.adam import Adam, Settings
from clary.algorithms.recommend.gibbs_kernels import sweep
from clary.algorithms.recommend.lanes import LANES
from clary.algorithms.recommend.merging import Part, merge
from clary.algorithms.recommend.parameters import Parameters, reference_scores
from clary.algorithms.vectors import padded

LIVELY = {"bias_lr": 0.02, "linear_lr": 0.02, "factors_lr": 0.02, "mini_batch_size": 10, "epochs": 150}
ESTIMATORS = [
    FactorizationMachines(2, **LIVELY),
    FactorizationMachines(2, predictor_type="binary_classifier", **LIVELY),
    FactorizationMachines(2, solver="gibbs", epochs=50),
    FactorizationMachines(2, solver="gibbs", predictor_type="binary_classifier", epochs=50),
]
WEIGHTS_ARE_NO_COPIES = (
    "mini-batches and draws are random: rows with a weight are batched or drawn otherwise than copies of them are"
)
EXEMPT = {
    "check_sample_weight_equivalence_on_dense_data": WEIGHTS_ARE_NO_COPIES,
    "check_sample_weight_equivalence_on_sparse_data": WEIGHTS_ARE_NO_COPIES,
}


@pytest.fixture(scope="module")
def machine():
    rng = np.random.default_rng(0)
    return 0.3, rng.normal(size=20).astype(np.float32), rng.normal(size=(20, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    return csr_matrix(random_array((64, 20), density=0.2, rng=rng, dtype=np.float32))


@pytest.fixture(scope="module")
def planted():
    """(4000, 50) rows of a user and an item each, and what two hidden factors make of them, with noise of 0.1."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(20, size=4000), rng.integers(30, size=4000)
    columns = np.column_stack([user, 20 + item]).ravel()
    rows = csr_matrix((np.ones(8000, np.float32), columns, np.arange(0, 8001, 2)), (4000, 50))
    taste, kind = rng.normal(size=(20, 2)), rng.normal(size=(30, 2))
    return rows, 1 + (taste[user] * kind[item]).sum(axis=1) + rng.normal(size=4000) * 0.1


def test_scores_are_the_sum_over_all_pairs(machine, rows):
    bias, weights, factors = machine
    dense = rows.toarray().astype(np.float64)
    pairs = sum(
        dense[:, i] * dense[:, j] * (factors[i].astype(np.float64) @ factors[j]) for i in range(20) for j in range(i + 1, 20)
    )
    expected = bias + dense @ weights + pairs
    np.testing.assert_allclose(Parameters.of(bias, weights, factors).scores(rows), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(reference_scores(dense, bias, weights, factors), expected, atol=1e-5)


def plain_adam(features, labels, importance, machine, given, epochs):
    """Mini-batch Adam with lazy updates in NumPy, float64."""
    values = [np.array([machine[0]]), machine[1].astype(np.float64), machine[2].astype(np.float64)]
    moments = [(np.zeros_like(value), np.zeros_like(value)) for value in values]
    rescale = 1 / given.batch if given.rescale is None else given.rescale
    begins = [start for _ in range(epochs) for start in range(0, len(labels), given.batch)]
    for step, begin in enumerate(begins, start=1):
        x, y, weight = (part[begin : begin + given.batch] for part in (features, labels, importance))
        bias, weights, factors = values
        score = reference_scores(x, bias[0], weights, factors)
        error = weight * ((expit(score) if given.logistic else score) - y)
        of_factors = x.T @ (error[:, None] * (x @ factors)) - ((x**2).T @ error)[:, None] * factors
        gradients = [np.array([error.sum()]), x.T @ error, of_factors]
        touched = [np.array([True]), x.any(axis=0), x.any(axis=0)]
        correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        for value, moment, gradient, here, rate, decay in zip(
            values, moments, gradients, touched, given.rates, given.decays, strict=True
        ):
            slope = gradient * rescale + decay * value
            if given.clip is not None:
                slope = np.clip(slope, -given.clip, given.clip)
            moment[0][here] = 0.9 * moment[0][here] + 0.1 * slope[here]
            moment[1][here] = 0.999 * moment[1][here] + 0.001 * slope[here] ** 2
            value[here] -= rate * correction * moment[0][here] / (np.sqrt(moment[1][here]) + given.eps)
    return values


@pytest.mark.parametrize("logistic", [False, True])
@pytest.mark.parametrize("options", [{}, {"clip": 0.05}, {"rescale": 0.5, "eps": 0.1}], ids=str)
def test_adam_is_that_of_plain_numpy(machine, rows, logistic, options):
    rng = np.random.default_rng(2)
    labels = (rng.random(64) > 0.5).astype(np.float32) if logistic else rng.normal(size=64).astype(np.float32)
    importance = rng.random(64).astype(np.float32)
    given = Settings((0.1, 0.02, 0.01), (0.01, 0.02, 0.03), batch=20, logistic=logistic, **options)
    adam = Adam(Parameters.of(*machine), given)
    for _ in range(3):
        adam.train(rows, labels, importance)
    bias, weights, factors = plain_adam(rows.toarray().astype(np.float64), labels, importance, machine, given, epochs=3)
    assert adam.parameters.bias[0] == pytest.approx(bias[0], abs=1e-4)
    np.testing.assert_allclose(adam.parameters.weights, weights, atol=1e-4)
    np.testing.assert_allclose(adam.parameters.factors[:, :5], factors, atol=1e-4)
    assert not adam.parameters.factors[:, 5:].any()


def test_what_never_occurs_is_not_touched(machine, rows):
    empty = rows.copy()
    empty.data[empty.indices == 3] = 0
    empty.eliminate_zeros()
    adam = Adam(Parameters.of(*machine), Settings((0.1, 0.1, 0.1), (0.1, 0.1, 0.1), batch=8, logistic=False))
    adam.train(empty, np.ones(64, np.float32))
    assert adam.parameters.weights[3] == machine[1][3]
    np.testing.assert_array_equal(adam.parameters.factors[3, :5], machine[2][3])


@pytest.mark.parametrize("noisy", [False, True])
def test_a_draw_is_from_the_exact_conditional(rows, noisy):
    """The first feature of a sweep, against the normal equations of its weight and factors."""
    rng = np.random.default_rng(3)
    width = padded(6, LANES)
    coefficients = np.zeros((20, width), np.float32)
    coefficients[:, :6] = rng.normal(size=(20, 6))
    noise = np.zeros_like(coefficients)
    if noisy:
        noise[:, :6] = rng.normal(size=(20, 6))
    means, precisions = np.full((1, width), 0.2, np.float32), np.full((1, width), 1.5, np.float32)
    certainty = rng.random(64).astype(np.float32) + 0.5
    residuals = rng.normal(size=64).astype(np.float32)
    x = rows.toarray().astype(np.float64)
    others = x @ coefficients - x[:, :1] * coefficients[:1]
    slopes = x[:, :1] * np.column_stack([np.ones(64), others[:, 1:6]])
    own = coefficients[0, :6].astype(np.float64)
    targets = residuals + slopes @ own
    precision = slopes.T @ (certainty[:, None] * slopes) + 1.5 * np.eye(6)
    mean = np.linalg.solve(precision, slopes.T @ (certainty * targets) + 1.5 * 0.2)
    expected = mean + np.linalg.solve(np.linalg.cholesky(precision).T, noise[0, :6].astype(np.float64))

    columns = rows.tocsc()
    starts = np.array([0, columns.indptr[1]] + [columns.indptr[1]] * 19, np.int64)  # the others see no rows
    sums = np.ascontiguousarray(rows @ coefficients, np.float32)
    data = columns.data, columns.indices.astype(np.int32), starts
    sweep(*data, coefficients, sums, residuals, certainty, means, precisions, np.zeros(20, np.int32), noise)
    np.testing.assert_allclose(coefficients[0, :6], expected, atol=1e-4)
    np.testing.assert_allclose(residuals, targets - slopes @ expected, atol=1e-4)
    np.testing.assert_allclose(sums[:, 1:6], (others + x[:, :1] * coefficients[:1])[:, 1:6], atol=1e-4)


@pytest.mark.parametrize("solver", ["adam", "gibbs"])
def test_planted_factors_are_found(planted, solver):
    X, y = planted
    groups = np.repeat([0, 1], [20, 30])
    model = FactorizationMachines(2, solver=solver, epochs=100, linear_lr=0.02, factors_lr=0.02, groups=groups)
    model.fit(X[:3600], y[:3600])
    assert np.sqrt(np.mean((model.predict(X[3600:]) - y[3600:]) ** 2)) < 0.15  # the noise is 0.1
    assert model.history_[-1] < model.history_[0] / 10


@pytest.mark.parametrize("solver", ["adam", "gibbs"])
def test_classes_keep_their_names_and_probabilities_are_right(planted, solver):
    X, y = planted
    names = np.where(y > 1, "yes", "no")
    model = FactorizationMachines(
        2, solver=solver, predictor_type="binary_classifier", epochs=60, linear_lr=0.02, factors_lr=0.02
    ).fit(X[:3600], names[:3600])
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(X[3600:], names[3600:]) > 0.9
    likely = model.predict_proba(X[3600:])
    np.testing.assert_allclose(likely.sum(axis=1), 1)
    assert np.array_equal(model.predict(X[3600:]) == "yes", likely[:, 1] >= 0.5)
    sure = likely.max(axis=1) > 0.95
    assert np.mean(model.predict(X[3600:])[sure] == names[3600:][sure]) > 0.95


def test_rows_of_no_weight_say_nothing(planted):
    X, y = planted
    spoilt, weights = y.copy(), np.ones(len(y))
    spoilt[::4], weights[::4] = 100, 0
    for solver in ("adam", "gibbs"):
        model = FactorizationMachines(2, solver=solver, epochs=60, mini_batch_size=50, linear_lr=0.02, factors_lr=0.02)
        model.fit(X, spoilt, sample_weight=weights)
        assert np.sqrt(np.mean((model.predict(X)[::4] - y[::4]) ** 2)) < 0.3


def test_sparse_and_dense_rows_and_unsorted_duplicates_agree(planted):
    X, y = planted
    model = FactorizationMachines(2, epochs=2)
    expected = model.fit(X, y).predict(X)
    np.testing.assert_array_equal(model.fit(X.toarray(), y).predict(X.toarray()), expected)
    halves = csr_matrix((np.repeat(X.data / 2, 2), np.repeat(X.indices, 2), X.indptr * 2), X.shape)
    before = halves.data.copy()
    np.testing.assert_allclose(model.fit(halves, y).predict(X), expected, atol=1e-5)
    np.testing.assert_array_equal(halves.data, before)


def test_partial_fit_is_an_epoch_and_goes_on_after_loading(tmp_path, planted):
    X, y = planted
    whole = FactorizationMachines(2, epochs=3, shuffle=False).fit(X, y)
    parts = FactorizationMachines(2, shuffle=False)
    for _ in range(3):
        parts.partial_fit(X, y)
    np.testing.assert_array_equal(parts.predict(X), whole.predict(X))
    parts.save(tmp_path / "model")
    loaded = FactorizationMachines.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), parts.predict(X))
    before = loaded.history_[-1]
    assert loaded.partial_fit(X, y).history_[-1] < before


def test_draws_are_kept_evenly_and_saved(tmp_path, planted):
    X, y = planted
    model = FactorizationMachines(2, solver="gibbs", epochs=30, samples=4).fit(X, y)
    assert model.factors_.shape == (4, 50, 2)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(FactorizationMachines.load(tmp_path / "model").predict(X), model.predict(X))


def test_merged_machines_are_averages_by_what_each_host_saw():
    ones, threes = (Parameters.of(value, np.full(3, value), np.full((3, LANES), value)) for value in (1.0, 3.0))
    merged = merge([Part(ones, 10, np.array([4, 1, 0])), Part(threes, 30, np.array([0, 1, 0]))])
    assert merged.bias[0] == pytest.approx(2.5)
    np.testing.assert_allclose(merged.weights, [1, 2, 2])
    np.testing.assert_allclose(merged.factors[:, 0], [1, 2, 2])


def test_progress_is_printed_when_asked_for(planted, capsys):
    FactorizationMachines(2, epochs=2, verbose=True).fit(*planted)
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["1", "2"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"num_factors": 0}, "num_factors"),
        ({"solver": "sgd"}, "solver must be one of adam, gibbs"),
        ({"factors_lr": -1}, "factors_lr"),
        ({"linear_init_method": "mean"}, "linear_init_method"),
        ({"solver": "gibbs", "groups": [0, 1]}, "groups"),
        ({"linear_lr": 1e30, "factors_lr": 1e30}, "diverged"),
    ],
)
def test_parameters_that_cannot_be_are_named(planted, parameters, words):
    with pytest.raises(ValueError, match=words):
        FactorizationMachines(**parameters).fit(*planted)


def test_labels_that_are_no_two_classes_are_refused(planted):
    X, _ = planted
    model = FactorizationMachines(predictor_type="binary_classifier")
    with pytest.raises(ValueError, match="one class"):
        model.fit(X, np.ones(4000))
    with pytest.raises(ValueError, match="3 classes"):
        model.fit(X, np.arange(4000) % 3)
    model.partial_fit(X, np.ones(4000), classes=[0, 1])
    with pytest.raises(ValueError, match="name them in classes"):
        model.partial_fit(X, np.full(4000, 7))


@pytest.mark.parametrize("solver", ["adam", "gibbs"])
def test_read_only_sparse_rows_are_taken(planted, solver):
    X, y = planted[0].copy(), planted[1].astype(np.float32)
    for array in (X.data, X.indices, X.indptr, y):
        array.flags.writeable = False
    model = FactorizationMachines(2, solver=solver, epochs=2).fit(X, y, sample_weight=np.abs(y))
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: f"{estimator.solver} {estimator.predictor_type}")
def test_scikit_learns_checks_pass(estimator):
    check_estimator(estimator, expected_failed_checks=EXEMPT, on_skip=None)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: f"{estimator.solver} {estimator.predictor_type}")
@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_the_contract_of_estimators_is_kept(estimator, check):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4)).astype(np.float32)
    check(estimator, X, (X[:, 0] + X[:, 1] > 0).astype(np.float32))
