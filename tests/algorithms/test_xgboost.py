"""The XGBoost estimator: the library's own results, bit for bit, and its habits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest
import xgboost
from scipy.sparse import csr_matrix
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from clary.algorithms import XGBoost
from clary.algorithms.trees import boosting
from clary.algorithms.trees.prediction import DensePredictor
from clary.formats.batch import Batch


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(3000, 8)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X, (np.nan_to_num(X[:, 0] * X[:, 1]) + rng.normal(size=len(X)) > 0).astype(np.float32)


@pytest.mark.parametrize("tree_method", ["hist", "approx", "exact"])
def test_the_model_is_the_library_s_bit_for_bit(data, tree_method):
    X, y = data
    parameters = {"objective": "binary:logistic", "max_depth": 4, "subsample": 0.8, "seed": 7, "nthread": 1}
    theirs = xgboost.train(parameters | {"tree_method": tree_method}, xgboost.DMatrix(X, y), 20)
    shared = {name: value for name, value in parameters.items() if name != "nthread"}
    ours = XGBoost(20, tree_method=tree_method, n_jobs=1, **shared).fit(X, y)
    np.testing.assert_array_equal(ours.predict_proba(X)[:, 1], theirs.predict(xgboost.DMatrix(X)))


def test_batches_give_the_model_of_one_matrix(data):
    X, y = data
    parameters = {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1}
    batches = [Batch(X[start : start + 700], y[start : start + 700]) for start in range(0, len(X), 700)]
    ours = xgboost.train(parameters, boosting.matrix(batches, parameters), 20)
    theirs = xgboost.train(parameters, xgboost.DMatrix(X, y), 20)
    np.testing.assert_array_equal(ours.predict(xgboost.DMatrix(X)), theirs.predict(xgboost.DMatrix(X)))


@pytest.mark.parametrize("objective", ["reg:squarederror", "binary:logistic", "multi:softprob", "multi:softmax"])
def test_the_short_way_to_a_prediction_gives_the_library_s_prediction(data, objective):
    X, y = data
    classes = {"num_class": 2} if objective.startswith("multi") else {}
    booster = xgboost.train({"objective": objective, "nthread": 1} | classes, xgboost.DMatrix(X, y), 5)
    np.testing.assert_array_equal(DensePredictor(booster)(X), booster.inplace_predict(X))
    np.testing.assert_array_equal(DensePredictor(booster, 2)(X[:1]), booster.inplace_predict(X[:1], iteration_range=(0, 2)))


def test_the_short_way_to_a_prediction_reports_the_library_s_error(data):
    X, y = data
    predictor = DensePredictor(xgboost.train({}, xgboost.DMatrix(X, y), 2))
    with pytest.raises(xgboost.core.XGBoostError, match="Number of columns"):
        predictor(X[:, :3].copy())


def test_sparse_and_dense_rows_with_the_same_missing_values_agree(data):
    X, y = data
    sparse = csr_matrix(np.nan_to_num(X))
    dense = sparse.toarray()
    dense[dense == 0] = np.nan
    np.testing.assert_array_equal(
        XGBoost(5, n_jobs=1).fit(sparse, y).predict(sparse), XGBoost(5, n_jobs=1).fit(dense, y).predict(dense)
    )


def test_training_stops_early_and_keeps_the_best_round(data):
    X, y = data
    model = XGBoost(200, objective="binary:logistic", eta=1, early_stopping_rounds=3, n_jobs=1)
    model.fit(X[:2000], y[:2000], validation=(X[2000:], y[2000:]))
    losses = model.history_["validation"]["logloss"]
    assert model.booster_.num_boosted_rounds() == int(np.argmin(losses)) + 1 < 200


def test_early_stopping_without_validation_data_is_refused(data):
    with pytest.raises(ValueError, match="validation"):
        XGBoost(2, early_stopping_rounds=3).fit(*data)


def test_weights_count(data):
    X, y = data
    weights = np.where(y == 1, 100.0, 1.0)
    plain = XGBoost(5, objective="binary:logistic", n_jobs=1).fit(X, y)
    weighted = XGBoost(5, objective="binary:logistic", n_jobs=1).fit(X, y, sample_weight=weights)
    assert weighted.predict(X).mean() > plain.predict(X).mean()


def test_classes_are_predicted_and_scored(data):
    X, y = data
    model = XGBoost(20, objective="multi:softprob", num_class=2, n_jobs=1).fit(X, y)
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    assert model.score(X, y) == np.mean(model.predict(X) == y)
    regressor = XGBoost(2).fit(X, y)
    assert not hasattr(regressor, "predict_proba")
    with pytest.raises(AttributeError) as refused:
        regressor.predict_proba(X)
    assert "use binary:logistic or multi:softprob" in str(refused.value.__cause__)


def test_a_saved_model_opens_in_plain_xgboost(data, tmp_path):
    X, y = data
    model = XGBoost(5, n_jobs=1).fit(X, y)
    model.save(tmp_path / "model.ubj")
    plain = xgboost.Booster(model_file=tmp_path / "model.ubj")
    np.testing.assert_array_equal(plain.predict(xgboost.DMatrix(X)), model.predict(X))


def test_files_that_are_no_saved_model_are_refused(data, tmp_path):
    X, y = data
    (tmp_path / "junk").write_bytes(b"not a model at all")
    xgboost.train({}, xgboost.DMatrix(X, y), 1).save_model(tmp_path / "plain.ubj")
    for name in ("junk", "plain.ubj"):
        with pytest.raises(ValueError, match=name):
            XGBoost.load(tmp_path / name)


ROUNDING = "a weight is multiplied where repeated rows are added, which differs in the last bit of float32"
EXEMPTIONS = {
    "check_sample_weight_equivalence_on_dense_data": ROUNDING,
    "check_sample_weight_equivalence_on_sparse_data": ROUNDING,
}


@pytest.mark.parametrize(
    ("objective", "exempt"),
    [("reg:squarederror", {}), ("binary:logistic", {}), ("multi:softprob", EXEMPTIONS)],
)
def test_scikit_learn_s_own_checks_pass(objective, exempt):
    check_estimator(XGBoost(8, objective=objective, n_jobs=1), expected_failed_checks=exempt, on_skip=None)


def test_the_exemptions_are_in_the_manual():
    page = (Path(__file__).parents[2] / "docs" / "algorithms" / "xgboost.md").read_text()
    assert all(f"`{name}`" in page for name in EXEMPTIONS)


def test_classes_may_be_text_and_come_back_from_the_file(data, tmp_path):
    X, y = data
    names = np.where(y == 1, "yes", np.where(np.nan_to_num(X[:, 2]) > 1, "perhaps", "no"))
    model = XGBoost(10, objective="multi:softprob", n_jobs=1).fit(X, names)
    assert model.classes_.tolist() == ["no", "perhaps", "yes"]
    assert model.score(X, names) > 0.8
    model.save(tmp_path / "model.ubj")
    loaded = XGBoost.load(tmp_path / "model.ubj")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    np.testing.assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="y has the class 'maybe', which is none of"):
        model.fit(X, names, validation=(X[:2], np.array(["yes", "maybe"])))


def test_column_names_are_remembered_and_checked(data, tmp_path):
    X, y = data
    frame = pandas.DataFrame(X, columns=[f"column {number}" for number in range(8)])
    model = XGBoost(3, n_jobs=1).fit(frame, y)
    model.save(tmp_path / "model.ubj")
    loaded = XGBoost.load(tmp_path / "model.ubj")
    assert loaded.feature_names_in_.tolist() == list(frame.columns)
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[list(reversed(frame.columns))])


def test_weights_of_zero_leave_rows_out(data):
    X, y = data
    weights = (np.arange(len(X)) % 3 > 0).astype(float)
    weighted = XGBoost(5, objective="binary:logistic", n_jobs=1).fit(X, y, weights)
    without = XGBoost(5, objective="binary:logistic", n_jobs=1).fit(X[weights > 0], y[weights > 0])
    np.testing.assert_array_equal(weighted.predict_proba(X), without.predict_proba(X))


@pytest.mark.parametrize(
    ("objective", "labels", "message"),
    [
        ("binary:logistic", [1, 1, 1], "y has one class"),
        ("binary:logistic", [0, 1, 2], "binary:logistic knows two classes; y has 3: use multi:softprob"),
    ],
)
def test_labels_that_do_not_fit_the_objective_are_named(objective, labels, message):
    with pytest.raises(ValueError, match=message):
        XGBoost(2, objective=objective).fit(np.eye(3), labels)


def test_classes_that_the_rows_lack_are_kept_when_their_number_is_given():
    model = XGBoost(3, objective="multi:softprob", num_class=4, n_jobs=1).fit(np.eye(3), [0, 2, 2])
    assert model.predict_proba(np.eye(3)).shape == (3, 4)
    with pytest.raises(ValueError, match="y has the class 4"):
        XGBoost(3, objective="multi:softprob", num_class=4, n_jobs=1).fit(np.eye(3), [0, 2, 4])


def test_it_works_inside_scikit_learn(data):
    X, y = data
    pipeline = make_pipeline(SimpleImputer(), XGBoost(5, objective="binary:logistic", n_jobs=1))
    search = GridSearchCV(pipeline, {"xgboost__max_depth": [1, 4]}, cv=2).fit(X, y)
    assert search.best_params_ == {"xgboost__max_depth": 4}
