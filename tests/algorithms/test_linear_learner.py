"""The linear learner: kernels against plain NumPy, losses against their optima, what is chosen, and scikit-learn's checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn import metrics as sk_metrics
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.utils.estimator_checks import check_estimator

from clary.algorithms import LinearLearner, checks
from clary.algorithms.linear import candidates, evaluation, kernels, losses, thresholds, training
from clary.algorithms.linear.exact import NormalEquations
from clary.algorithms.linear.optimizers import Optimizer, Schedule, Settings
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.scaling import Moments, Scaling
from clary.algorithms.linear.statistics import Statistics

BATCHES = "mini-batches are drawn from other rows when rows are repeated, so the descent takes another way"
ROUNDING = "sums of float32 products differ in the last bits when rows are repeated"


CALIBRATED = "the calibrated threshold, not a margin of 0, parts the classes"


def expected_failures(reason: str, estimator: LinearLearner) -> dict[str, str]:
    failures = {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}
    if estimator.binary_classifier_model_selection_criteria != "loss_function":
        failures |= dict.fromkeys(["check_classifiers_train"], CALIBRATED)
    return failures


ESTIMATORS = [
    (LinearLearner(), BATCHES),
    (LinearLearner(loss="hinge_loss"), BATCHES),
    (LinearLearner(num_models=4, binary_classifier_model_selection_criteria="f_beta"), BATCHES),
    (LinearLearner("multiclass_classifier"), BATCHES),
    (LinearLearner("regressor"), BATCHES),
    (LinearLearner("regressor", loss="huber_loss", optimizer="rmsprop"), BATCHES),
    (LinearLearner("regressor", optimizer="exact"), ROUNDING),
]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def tuned(**more) -> dict:
    """Enough small steps to come to the optimum."""
    parameters = {"lr_scheduler_step": 10, **more.pop("parameters", {})}
    return {"epochs": 200, "early_stopping_patience": 200, "mini_batch_size": 50, "parameters": parameters, **more}


def binary_data(rng, rows=2000, columns=5):
    X = rng.normal(size=(rows, columns)).astype(np.float32)
    logits = X @ np.linspace(-1, 1.5, columns) + 0.5
    return X, (rng.random(rows) < losses.sigmoid(logits)).astype(np.float32)


@pytest.mark.parametrize(("estimator", "reason"), ESTIMATORS, ids=lambda value: repr(value)[:60])
def test_scikit_learn_accepts_it(estimator, reason):
    check_estimator(estimator, expected_failed_checks=expected_failures(reason, estimator))


@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("estimator", [estimator for estimator, _ in ESTIMATORS if estimator.num_models == 1], ids=repr)
def test_it_keeps_the_contract(estimator, check, rng):
    X = rng.normal(size=(200, 4)).astype(np.float32)
    check(estimator, X, (X[:, 0] + X[:, 1] > 0).astype(np.float32))


def test_the_logistic_kernel_is_the_plain_form(rng):
    margins = (rng.normal(size=(3, 501)) * 20).astype(np.float32)
    margins[0, :4] = [0, 100, -100, 1e4]
    labels = (rng.random(501) > 0.5).astype(np.float32)
    weights, positive = rng.random(501).astype(np.float32), np.array([1, 2, 0.5], np.float32)
    values, derivatives = losses.logistic(margins.astype(np.float64), labels, 0)
    by_row = weights * np.where(labels > 0, positive[:, None], 1)
    found, total = margins.copy(), np.zeros(3)
    kernels.logistic(found, labels, weights, positive, total)
    np.testing.assert_allclose(found, derivatives * by_row, atol=3e-7)
    np.testing.assert_allclose(total, (values * by_row).sum(axis=1), rtol=1e-6)


def test_the_softmax_kernel_is_the_plain_form(rng):
    margins = (rng.normal(size=(2, 7, 300)) * 10).astype(np.float32)
    labels, weights = rng.integers(0, 7, 300).astype(np.float32), rng.random(300).astype(np.float32)
    values, derivatives = losses.softmax(margins.astype(np.float64), labels)
    found, total = margins.copy(), np.zeros(2)
    kernels.softmax(found, labels, weights, total)
    np.testing.assert_allclose(found, derivatives * weights, atol=1e-6)
    np.testing.assert_allclose(total, (values * weights).sum(axis=1), rtol=1e-6)


def plain_adam(weights, gradients, rate, l1, wd, b1, b2, eps=1e-8):
    """Adam as in Kingma and Ba (2015), algorithm 1, followed by the soft threshold of its own metric."""
    first, second = np.zeros_like(weights), np.zeros_like(weights)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient + wd * weights
        first, second = b1 * first + (1 - b1) * g, b2 * second + (1 - b2) * g * g
        step = rate / (np.sqrt(second / (1 - b2**t)) + eps)
        weights = weights - step * first / (1 - b1**t)
        weights = np.sign(weights) * np.maximum(np.abs(weights) - step * l1, 0)
    return weights


def test_adam_is_the_published_one(rng):
    start, gradients = rng.normal(size=(2, 6)), rng.normal(size=(20, 2, 6))
    rates, l1, wd = np.array([0.1, 0.02]), np.array([0.0, 0.1]), np.array([0.0, 0.3])
    ours = Optimizer(start.astype(np.float32), rates, l1, wd, Settings(beta_2=0.99))
    ours.begin_epoch()
    for gradient in gradients:
        ours.step(gradient.astype(np.float32))
    for column in range(2):
        numbers = rates[column], l1[column], wd[column], 0.9, 0.99
        expected = plain_adam(start[column, :-1], gradients[:, column, :-1], *numbers)
        np.testing.assert_allclose(ours.weights[column, :-1], expected, rtol=2e-4, atol=1e-5)
        bias = plain_adam(start[column, -1:], gradients[:, column, -1:], rates[column], 0, 0, 0.9, 0.99)
        np.testing.assert_allclose(ours.weights[column, -1:], bias, rtol=2e-4)


def test_momentum_and_schedule_are_the_published_ones(rng):
    start, gradients = rng.normal(size=(1, 4)), rng.normal(size=(12, 1, 4))
    settings = Settings("sgd", momentum=0.8, bias_lr_mult=2, schedule=Schedule(step=5, factor=0.5, minimum=0.03))
    ours = Optimizer(start.astype(np.float32), np.array([0.1]), np.zeros(1), np.zeros(1), settings)
    weights, velocity = start.copy(), np.zeros((1, 4))
    ours.begin_epoch()
    for t, gradient in enumerate(gradients):
        ours.step(gradient.astype(np.float32))
        velocity = 0.8 * velocity + gradient
        rate = max(0.1 * 0.5 ** (t // 5), 0.03)
        weights = weights - rate * np.array([1, 1, 1, 2]) * velocity
    np.testing.assert_allclose(ours.weights, weights, rtol=1e-4, atol=1e-5)


def test_the_mean_of_an_epoch_after_the_first_counts_all_steps_alike(rng):
    ours = Optimizer(np.zeros((1, 3), np.float32), np.array([0.1]), np.zeros(1), np.zeros(1), Settings("sgd"))
    ours.begin_epoch()
    ours.step(np.ones((1, 3), np.float32))
    ours.begin_epoch()
    seen = []
    for _ in range(7):
        ours.step(rng.normal(size=(1, 3)).astype(np.float32))
        seen.append(ours.weights.copy())
    np.testing.assert_allclose(ours.mean, np.mean(seen, axis=0), rtol=1e-5)


@pytest.mark.parametrize("name", losses.POINTWISE)
def test_derivatives_are_those_of_the_values(name, rng):
    margins = rng.normal(size=(1, 50)) * 2
    labels = (rng.random(50) > 0.5).astype(float) if name in losses.BINARY else rng.normal(size=50)
    step = 1e-6
    after, before = (losses.POINTWISE[name](margins + move, labels, 0.3)[0] for move in (step, -step))
    np.testing.assert_allclose(losses.POINTWISE[name](margins, labels, 0.3)[1], (after - before) / (2 * step), atol=1e-4)


@pytest.mark.parametrize("name", losses.REGRESSION)
def test_every_regression_loss_comes_to_its_optimum(name, rng):
    X = rng.normal(size=(1500, 3)).astype(np.float32) * [1, 5, 0.2] + [0, 30, 4]
    y = (X @ [2, -1, 3] + rng.standard_t(3, 1500) + 7).astype(np.float32)
    given = {"quantile": 0.8, "huber_delta": 0.5, "loss_insensitivity": 0.1}
    model = LinearLearner("regressor", loss=name, **tuned(parameters=given)).fit(X, y)
    parameter = Recipe("regressor", loss=name, **given).objective.parameter
    deviation = y.astype(np.float64).std()

    def cost(weights):
        errors = (X @ weights[:3] + weights[3] - y) / deviation
        return losses.POINTWISE[name](errors, np.zeros(1), parameter)[0].mean()

    ours = cost(np.append(model.coef_, model.intercept_))
    best = minimize(cost, [2, -1, 3, 7], method="Nelder-Mead", options={"maxiter": 5000, "maxfev": 5000}).fun
    assert ours <= best * 1.005


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_every_optimizer_comes_to_the_optimum(optimizer, rng):
    X, y = binary_data(rng)
    reference = LogisticRegression(C=1e6).fit(X, y)
    model = LinearLearner(optimizer=optimizer, **tuned(learning_rate=0.5 if optimizer == "sgd" else 0.05)).fit(X, y)
    np.testing.assert_allclose(model.coef_, reference.coef_, atol=0.02)
    np.testing.assert_allclose(model.intercept_, reference.intercept_, atol=0.02)


def test_one_epoch_is_as_good_as_the_rows_allow(rng):
    X, y = binary_data(rng, rows=200_000, columns=10)
    model = LinearLearner(epochs=1).fit(X, y)
    reference = LogisticRegression(C=1e6).fit(X, y)
    excess = sk_metrics.log_loss(y, model.predict_proba(X)) - sk_metrics.log_loss(y, reference.predict_proba(X))
    floor = 11 / (2 * len(y))  # of the maximum likelihood itself, for new rows
    assert excess < 0.6 * floor


def test_weight_decay_is_ridge_on_standardised_columns(rng):
    X, y = binary_data(rng)
    X = X * [1, 10, 0.1, 3, 1] + [5, 0, 0, -9, 1]
    standard = (X - X.mean(axis=0)) / X.std(axis=0)
    reference = LogisticRegression(C=1 / (0.05 * len(y)), tol=1e-8).fit(standard, y)
    model = LinearLearner(wd=0.05, l1=0, **tuned(learning_rate=0.01)).fit(X, y)
    np.testing.assert_allclose(model.coef_ * X.std(axis=0), reference.coef_, atol=0.01)


def test_l1_is_the_lasso_with_its_zeros(rng):
    X = rng.normal(size=(3000, 8)).astype(np.float32)
    y = (X @ [1, -1, 0.5, 0, 0, 0, 0, 0] + rng.normal(size=3000)).astype(np.float32)
    standard = (y - y.mean()) / y.std()
    reference = Lasso(alpha=0.1).fit((X - X.mean(axis=0)) / X.std(axis=0), standard)
    model = LinearLearner("regressor", l1=0.1, wd=0, **tuned(learning_rate=0.01, mini_batch_size=300)).fit(X, y)
    np.testing.assert_allclose(model.coef_ * X.std(axis=0) / y.std(), reference.coef_, atol=0.02)
    assert (model.coef_[3:] == 0).all()
    assert (model.coef_[:3] != 0).all()


def test_softmax_comes_to_the_optimum(rng):
    X = rng.normal(size=(3000, 4)).astype(np.float32)
    y = (X[:, :3] + rng.gumbel(size=(3000, 3))).argmax(axis=1)
    reference = LogisticRegression(C=1e6).fit(X, y)
    model = LinearLearner("multiclass_classifier", **tuned()).fit(X, np.array(["a", "b", "c"])[y])
    np.testing.assert_allclose(model.predict_proba(X), reference.predict_proba(X), atol=0.02)
    assert model.predict(X[:1]).tolist()[0] in "abc"


def test_hinge_comes_to_its_optimum(rng):
    X, y = binary_data(rng)
    model = LinearLearner(loss="hinge_loss", **tuned(learning_rate=0.01)).fit(X, y)

    def cost(weights):
        return losses.hinge(X @ weights[:5] + weights[5], y, 1.0)[0].mean()

    best = minimize(cost, np.append(model.coef_[0], model.intercept_), method="Nelder-Mead", options={"maxiter": 4000}).fun
    assert cost(np.append(model.coef_[0], model.intercept_)) <= best * 1.003
    with pytest.raises(AttributeError):
        model.predict_proba(X)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("sparse", [False, True])
def test_exact_is_the_normal_equations(use_bias, sparse, rng):
    X = rng.normal(size=(9000, 6)).astype(np.float32) + np.arange(6, dtype=np.float32)
    y = (X @ np.arange(6) + rng.normal(size=9000) + 3 * use_bias).astype(np.float32)
    weights = rng.random(9000)
    model = LinearLearner("regressor", optimizer="exact", use_bias=use_bias)
    model.fit(csr_matrix(X) if sparse else X, y, sample_weight=weights)
    design = np.column_stack([X, np.ones(9000)]) if use_bias else X.astype(np.float64)
    root = np.sqrt(weights)[:, None]
    expected = np.linalg.lstsq(design * root, y * root[:, 0], rcond=None)[0]
    np.testing.assert_allclose(model.coef_, expected[:6], atol=2e-5)
    np.testing.assert_allclose(model.intercept_, expected[6] if use_bias else 0, atol=1e-4)


def test_exact_ridge_is_scikit_learns(rng):
    X = rng.normal(size=(500, 4)).astype(np.float32)
    y = (X @ [1, 2, 3, 4] + rng.normal(size=500)).astype(np.float32)
    model = LinearLearner("regressor", optimizer="exact", wd=0.1).fit(X, y)
    scale = X.std(axis=0)
    reference = Ridge(alpha=0.1 * 500).fit((X - X.mean(axis=0)) / scale, y)
    np.testing.assert_allclose(model.coef_ * scale, reference.coef_, rtol=1e-4)


def test_exact_bears_repeated_columns_and_large_offsets(rng):
    X = rng.normal(size=(2000, 3)).astype(np.float32)
    y = X @ np.array([1, 2, 3], np.float32)
    moved = np.column_stack([X, X[:, 0]]) + np.float32(1e4)
    model = LinearLearner("regressor", optimizer="exact").fit(moved, y)
    np.testing.assert_allclose(model.predict(moved), y, atol=0.05)


def test_normal_equations_of_two_hosts_add_up(rng):
    X, y = rng.normal(size=(5000, 3)).astype(np.float32), rng.normal(size=5000).astype(np.float32)
    shift = np.append(X.mean(axis=0), y.mean())
    whole, one, two = (NormalEquations(shift).add(X[rows], y[rows]) for rows in (slice(None), slice(2048), slice(2048, None)))
    one.products += two.products
    np.testing.assert_allclose(one.solve(0, stdev=np.ones(3))[0], whole.solve(0, stdev=np.ones(3))[0], atol=1e-6)


def test_scale_and_offset_of_columns_do_not_matter(rng):
    X, y = binary_data(rng)
    factors, offsets = np.array([1, 1e3, 1e-3, 1, 7]), np.array([1e3, 0, 0, -500, 1])
    plain, moved = LinearLearner().fit(X, y), LinearLearner().fit(X * factors + offsets, y)
    np.testing.assert_allclose(moved.coef_ * factors, plain.coef_, atol=2e-3)
    np.testing.assert_allclose(moved.predict_proba(X * factors + offsets), plain.predict_proba(X), atol=2e-3)


def words(rng, rows=1000, columns=30):
    """Sparse rows, and labels by their first two columns."""
    X = rng.normal(size=(rows, columns)).astype(np.float32) * (rng.random((rows, columns)) < 0.1)
    return X, (X[:, 0] - X[:, 1] + rng.normal(size=rows) * 0.3 > 0).astype(np.float32)


def test_sparse_rows_teach_what_dense_ones_do(rng):
    X, y = words(rng)
    plain = {"normalize_data": False, "parameters": {"unbias_data": True}}
    for kind, models in (("binary_classifier", 1), ("binary_classifier", 3), ("multiclass_classifier", 1)):
        dense, sparse = (LinearLearner(kind, num_models=models, **plain).fit(rows, y) for rows in (X, csr_matrix(X)))
        np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=2e-3)
        np.testing.assert_allclose(sparse.decision_function(csr_matrix(X)), dense.decision_function(X), atol=2e-3)


def test_columns_that_few_sparse_rows_hold_are_not_blown_up(rng):
    X = csr_matrix((np.full(5, 3.0, np.float32), (np.arange(5), np.zeros(5, int))), shape=(1000, 2))
    assert Moments.of(X).stdev == pytest.approx([3.0, 1.0], rel=0.01)
    assert Moments.of(X[:500]).merged(Moments.of(X[500:])).stdev == pytest.approx([3.0, 1.0], rel=0.01)
    assert Moments.of(X.toarray()).stdev[0] == pytest.approx(0.21, rel=0.02)


def test_sorted_rows_are_shuffled(rng):
    X, y = binary_data(rng, rows=20_000)
    order = np.argsort(y, kind="stable")
    shuffled, straight = LinearLearner(epochs=1), LinearLearner(epochs=1, shuffle=False)
    fits = [sk_metrics.log_loss(y, model.fit(X[order], y[order]).predict_proba(X)) for model in (shuffled, straight)]
    best = sk_metrics.log_loss(y, LogisticRegression().fit(X, y).predict_proba(X))
    assert fits[0] < best + 1e-3
    assert fits[1] > best + 4e-3


def test_balanced_weights_are_the_ratio_of_the_classes(rng):
    X, y = binary_data(rng)
    y = y * (X[:, 4] > 0.7)
    ratio = float((1 - y).sum() / y.sum())
    balanced = LinearLearner(positive_example_weight_mult="balanced").fit(X, y)
    given = LinearLearner(positive_example_weight_mult=ratio).fit(X, y)
    np.testing.assert_allclose(balanced.coef_, given.coef_, atol=1e-6)
    assert balanced.predict(X).mean() > LinearLearner().fit(X, y).predict(X).mean()


def test_positive_weights_are_searched_when_auto(rng):
    X, y = binary_data(rng)
    weights = {each.positive for each in candidates.grid(32, positive=(1.0, 9.0, 3.0))}
    assert weights == {1.0, 3.0, 9.0}
    model = LinearLearner(
        num_models=12, positive_example_weight_mult="auto", binary_classifier_model_selection_criteria="f_beta"
    ).fit(X, y * (X[:, 4] > 0.7))
    assert model.candidate_["positive"] >= 1


def test_multiclass_weights_raise_the_recall_of_rare_classes(rng):
    X = rng.normal(size=(4000, 3)).astype(np.float32)
    y = (X + rng.gumbel(size=(4000, 3)) + [3, 0, -1]).argmax(axis=1)
    plain = LinearLearner("multiclass_classifier").fit(X, y)
    balanced = LinearLearner("multiclass_classifier", balance_multiclass_weights=True).fit(X, y)
    recall = [sk_metrics.recall_score(y, model.predict(X), average="macro") for model in (plain, balanced)]
    assert recall[1] > recall[0] + 0.1


def test_repeated_rows_are_weights_for_the_exact_solver(rng):
    X, y = rng.normal(size=(50, 3)), rng.normal(size=50)
    times = rng.integers(0, 4, 50)
    weighted = LinearLearner("regressor", optimizer="exact").fit(X, y, sample_weight=times)
    repeated = LinearLearner("regressor", optimizer="exact").fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)


def test_the_grid_has_32_different_candidates_with_the_asked_one_first():
    grid = candidates.grid(32)
    assert len(set(grid)) == 32
    assert grid[0] == candidates.Candidate(0.03, 0.0, 0.0)
    assert {each.learning_rate for each in grid} == {0.005, 0.01, 0.03, 0.1}
    assert max(each.wd for each in grid) == 1.0
    near = candidates.grid(32, learning_rate=0.2, wd=0.01, l1=0)
    assert near[0] == candidates.Candidate(0.2, 0.0, 0.01)
    assert {each.l1 for each in near} == {0.0}


def test_the_best_candidate_on_validation_rows_wins(rng):
    X, y = binary_data(rng, rows=60, columns=40)
    X_new, y_new = binary_data(rng, rows=5000, columns=40)
    one = LinearLearner(epochs=30).fit(X, y)
    best = LinearLearner(epochs=30, num_models=32).fit(X, y, validation=(X_new, y_new))
    assert sk_metrics.log_loss(y_new, best.predict_proba(X_new)) < sk_metrics.log_loss(y_new, one.predict_proba(X_new))
    assert best.candidate_["wd"] + best.candidate_["l1"] > 0


def test_training_stops_when_nothing_improves(rng):
    X, y = binary_data(rng)
    model = LinearLearner(epochs=500, early_stopping_patience=2).fit(X, y)
    assert model.n_iter_ < 100
    assert len(model.history_) == model.n_iter_


def brute_force(scores, labels, goal):
    values = []
    for cut in [-np.inf, *scores]:
        claimed = scores > cut
        right = int((claimed & (labels > 0)).sum())
        values.append(thresholds.value(np.array([right]), np.array([claimed.sum()]), int(labels.sum()), len(labels), goal)[0])
    return max(values)


@pytest.mark.parametrize("criterion", ["accuracy", "f_beta", "precision_at_target_recall", "recall_at_target_precision"])
def test_thresholds_are_the_best_there_are(criterion, rng):
    for round_ in range(40):
        goal = thresholds.Goal(criterion, f_beta=[0.5, 1, 2][round_ % 3], target_precision=0.7, target_recall=0.9)
        scores = rng.random(30).round(1 + round_ % 2).astype(np.float32)
        labels = (rng.random(30) < 0.2 + 0.6 * scores).astype(np.float32)
        cut, value = thresholds.best(scores, labels, goal)
        claimed = scores.astype(np.float64) > cut
        right = int((claimed & (labels > 0)).sum())
        reached = thresholds.value(np.array([right]), np.array([claimed.sum()]), int(labels.sum()), 30, goal)[0]
        assert value == reached == brute_force(scores, labels, goal)


def test_targets_are_met_by_the_calibrated_model(rng):
    X, y = binary_data(rng, rows=5000)
    for criterion, score in [
        ("precision_at_target_recall", sk_metrics.recall_score),
        ("recall_at_target_precision", sk_metrics.precision_score),
    ]:
        parameters = {"target_recall": 0.95, "target_precision": 0.95}
        model = LinearLearner(binary_classifier_model_selection_criteria=criterion, parameters=parameters).fit(X, y)
        assert 0.95 <= score(y, model.predict(X)) < 0.97
    assert LinearLearner().fit(X, y).threshold_ == 0.5


def test_metrics_of_two_classes_are_scikit_learns(rng):
    margins = rng.normal(size=700).round(1)
    labels = (rng.random(700) < losses.sigmoid(margins)).astype(np.float32)
    counted = evaluation.evaluation(Recipe(f_beta=2.0), 0.4)
    for part in np.array_split(np.arange(700), 3):
        counted.add(margins[part, None], labels[part])
    scores = losses.sigmoid(margins)
    predicted = scores > 0.4
    expected = {
        "binary_classification_cross_entropy_objective": sk_metrics.log_loss(labels, scores),
        "binary_classification_accuracy": sk_metrics.accuracy_score(labels, predicted),
        "binary_f_2.000": sk_metrics.fbeta_score(labels, predicted, beta=2),
        "precision": sk_metrics.precision_score(labels, predicted),
        "recall": sk_metrics.recall_score(labels, predicted),
        "roc_auc_score": sk_metrics.roc_auc_score(labels, scores),
    }
    assert counted.values() == pytest.approx(expected)


def test_metrics_of_several_classes_are_scikit_learns(rng):
    margins, labels = rng.normal(size=(600, 5)), rng.integers(0, 5, 600).astype(np.float32)
    margins[np.arange(600), labels.astype(int)] += 1
    counted = evaluation.evaluation(Recipe("multiclass_classifier"), 0.0, top_k=2)
    counted.add(margins[:250], labels[:250])
    counted.add(margins[250:], labels[250:])
    predicted, shares = margins.argmax(axis=1), losses.softmax_shares(margins)
    loss = sk_metrics.log_loss(labels, shares)
    expected = {
        "multiclass_cross_entropy_objective": loss,
        "multiclass_accuracy": sk_metrics.accuracy_score(labels, predicted),
        "multiclass_top_k_accuracy_2": sk_metrics.top_k_accuracy_score(labels, margins, k=2),
        "dcg": sk_metrics.dcg_score(np.eye(5)[labels.astype(int)], margins),
        "macro_recall": sk_metrics.recall_score(labels, predicted, average="macro"),
        "macro_precision": sk_metrics.precision_score(labels, predicted, average="macro"),
        "macro_f_1.000": sk_metrics.f1_score(labels, predicted, average="macro"),
        "multiclass_balanced_accuracy": sk_metrics.balanced_accuracy_score(labels, predicted),
        "multiclass_log_loss": loss,
    }
    assert counted.values() == pytest.approx(expected)


def test_metrics_of_a_regression_are_in_raw_units(rng):
    margins, labels = rng.normal(size=(300, 1)) * 5, (rng.normal(size=300) * 5).astype(np.float32)
    counted = evaluation.evaluation(Recipe("regressor", loss="absolute_loss"), 0.0, label_stdev=5.0)
    counted.add(margins, labels)
    mse, mae = (f(labels, margins[:, 0]) for f in (sk_metrics.mean_squared_error, sk_metrics.mean_absolute_error))
    expected = {"absolute_loss_objective": mae, "mse": mse, "rmse": np.sqrt(mse), "absolute_loss": mae}
    assert counted.values() == pytest.approx(expected)


def test_moments_merge_exactly(rng):
    X = rng.normal(size=(500, 3)) + np.array([0, 1e5, -3])
    merged = Moments.of(X[:100]).merged(Moments.of(csr_matrix(X[100:])))
    np.testing.assert_allclose(merged.mean, X.mean(axis=0))
    np.testing.assert_allclose(merged.stdev[[0, 2]], X.std(axis=0)[[0, 2]])
    assert merged.rows == 500
    assert Moments.of(np.full((9, 1), 3.0)).stdev == 1


def test_raw_and_standard_weights_are_inverse(rng):
    scaling = Scaling(rng.normal(size=4), rng.random(4) + 0.5, 3.0, 2.0)
    weights, bias = rng.normal(size=(2, 4)), rng.normal(size=2)
    back = scaling.standard_weights(*scaling.raw_weights(weights, bias))
    np.testing.assert_allclose(back[0], weights)
    np.testing.assert_allclose(back[1], bias)


def test_two_hosts_learn_what_one_does(rng):
    X, y = binary_data(rng, rows=100_000, columns=10)
    recipe = Recipe(mini_batch_size=500)
    halves = [(X[:40_000], y[:40_000]), (X[40_000:], y[40_000:])]
    statistics = Statistics.of(*halves[0], 2).merged(Statistics.of(*halves[1], 2))
    statistics = Statistics.from_arrays(statistics.arrays())
    hosts = [training.learner(recipe, statistics, 0) for _ in halves]
    for _ in range(2):
        for host, (features, labels) in zip(hosts, halves, strict=True):
            host.begin_epoch()
            for start in range(0, len(labels), 500):
                host.step(features[start : start + 500], labels[start : start + 500])
        states = [host.state() for host in hosts]
        total = {name: states[0][name] + states[1][name] for name in states[0]}
        hosts = [host.merge(total) for host in hosts]
    assert hosts[0].rows == 100_000
    weights, bias = hosts[1].raw_weights([0])
    ours = np.logaddexp(0, -(2 * y - 1) * (X @ weights[0, 0] + bias[0, 0])).mean()
    best = sk_metrics.log_loss(y, LogisticRegression(C=1e6).fit(X, y).predict_proba(X))
    assert ours - best < 11 / (2 * 100_000)


def test_partial_fit_goes_on_where_it_was(rng, tmp_path):
    X, y = binary_data(rng, rows=30_000)
    streamed = LinearLearner()
    for part in np.array_split(np.arange(30_000), 6):
        streamed.partial_fit(X[part], y[part], classes=[0, 1])
    best = sk_metrics.log_loss(y, LogisticRegression().fit(X, y).predict_proba(X))
    assert sk_metrics.log_loss(y, streamed.predict_proba(X)) < best + 5e-4
    streamed.save(tmp_path / "model")
    again = LinearLearner.load(tmp_path / "model").partial_fit(X[:5000], y[:5000])
    np.testing.assert_allclose(again.coef_, streamed.coef_, atol=0.15)


def test_frames_names_and_labels_are_kept(rng, tmp_path):
    X, y = binary_data(rng)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = LinearLearner().fit(frame, np.where(y > 0, "yes", "no"))
    assert model.feature_names_in_.tolist() == list("abcde")
    model.save(tmp_path / "model")
    loaded = LinearLearner.load(tmp_path / "model")
    assert loaded.predict(frame).tolist() == model.predict(frame).tolist()
    assert set(loaded.predict(frame)) == {"yes", "no"}


def test_progress_is_told_when_asked(rng, capsys):
    X, y = binary_data(rng, rows=200)
    LinearLearner(epochs=2, verbose=True).fit(X, y)
    assert [line[:12] for line in capsys.readouterr().out.splitlines()] == ["epoch 1 of 2", "epoch 2 of 2"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"predictor_type": "clustering"}, "predictor_type must be one of binary_classifier"),
        ({"loss": "squared_loss"}, "loss must be one of auto, logistic, hinge_loss"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0; got 0"),
        ({"epochs": 0}, "epochs must be a whole number"),
        ({"optimizer": "exact"}, "optimizer='exact' solves squared_loss"),
        ({"parameters": {"quantil": 0.5}}, "'quantil', which is no hyperparameter"),
        ({"parameters": {"quantile": 1.5}}, "quantile must be a number between 0 and 1"),
    ],
)
def test_mistakes_are_named(parameters, words, rng):
    with pytest.raises(ValueError, match=words):
        LinearLearner(**parameters).fit(*binary_data(rng, rows=20))


def test_what_is_not_finite_is_found(rng):
    X, y = binary_data(rng, rows=300)
    X[7, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        LinearLearner().fit(X, y)
    X[7, 2] = np.inf
    for estimator in (LinearLearner(num_models=3), LinearLearner("regressor", optimizer="exact")):
        with pytest.raises(ValueError, match="infinity"):
            estimator.fit(X, y)


def test_divergence_is_an_error(rng):
    X, y = rng.normal(size=(500, 3)), rng.normal(size=500)
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        LinearLearner("regressor", optimizer="sgd", learning_rate=1e6, epochs=30).fit(X, y)
