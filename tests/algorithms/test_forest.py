"""Trees laid flat answer with the library's bits; boosters that cannot be laid flat are left to the library."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st

from clary.algorithms.trees import ubjson
from clary.algorithms.trees.forest import Forest
from clary.algorithms.trees.prediction import FEW_ROWS, DensePredictor, dense_predictor

COLUMNS = 5


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(600, COLUMNS)).astype(np.float32).round(1)  # many values lie at a threshold
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def trained(X, objective="reg:squarederror", rounds=12, **parameters):
    signal = np.nan_to_num(X[:, 0]) * 2 + np.nan_to_num(X[:, 1])
    y = {"multi": np.digitize(signal, [-1, 1]), "binary": signal > 0, "rank": signal > 0}.get(objective.split(":")[0])
    y = np.abs(signal) + 0.1 if y is None else y.astype(np.float32)
    if objective == "reg:logistic":
        y = (signal > 0).astype(np.float32)
    data = xgboost.DMatrix(X, y)
    if objective == "survival:aft":
        data.set_float_info("label_lower_bound", y)
        data.set_float_info("label_upper_bound", y)
    classes = {"num_class": 3} if objective.startswith("multi") else {}
    return xgboost.train({"objective": objective, "nthread": 1, "max_depth": 4} | classes | parameters, data, rounds)


@pytest.mark.parametrize(
    "objective",
    [
        "reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror", "reg:logistic", "reg:gamma",
        "reg:tweedie", "binary:logistic", "binary:logitraw", "binary:hinge", "count:poisson", "multi:softmax", "multi:softprob",
        "rank:pairwise", "rank:ndcg", "rank:map", "survival:cox", "survival:aft",
    ],
)  # fmt: skip
@pytest.mark.parametrize("rounds", [0, 7])
def test_every_objective_gets_the_library_s_bits(X, objective, rounds):
    booster = trained(X, objective)
    forest = Forest.of(booster, rounds)
    assert forest is not None
    np.testing.assert_array_equal(forest(X), booster.inplace_predict(X, iteration_range=(0, rounds)))
    np.testing.assert_array_equal(forest(X[:1]), forest(X)[:1])


@pytest.mark.parametrize(
    "parameters",
    [
        {"tree_method": "exact", "gamma": 2},  # pruned: nodes are missing from the arrays
        {"num_parallel_tree": 3, "subsample": 0.5},
        {"grow_policy": "lossguide", "max_leaves": 40, "max_depth": 0},
        {"base_score": 0.123},
        {"eta": 30.0},  # margins beyond what exp takes
        {"max_depth": 0, "min_child_weight": 1e9},  # no tree splits
    ],
)
@pytest.mark.parametrize("objective", ["binary:logistic", "multi:softprob"])
def test_every_shape_of_trees_gets_the_library_s_bits(X, objective, parameters):
    booster = trained(X, objective, **parameters)
    forest = Forest.of(booster)
    assert forest is not None
    np.testing.assert_array_equal(forest(X), booster.inplace_predict(X))
    far = X * np.float32(1e30)
    np.testing.assert_array_equal(forest(far), booster.inplace_predict(far))


def test_models_loaded_from_the_older_format_are_laid_flat_too(X):
    booster = trained(X, "binary:logistic")
    with xgboost.config_context(verbosity=0):
        older = xgboost.Booster(model_file=bytearray(booster.save_raw("deprecated")))
    forest = Forest.of(older)
    assert forest is not None
    np.testing.assert_array_equal(forest(X), booster.inplace_predict(X))


def test_boosters_that_cannot_be_laid_flat_are_left_to_the_library(X):
    assert Forest.of(trained(X, booster="gblinear")) is None
    assert Forest.of(trained(X, booster="dart", rate_drop=0.5)) is None
    assert Forest.of(trained(X, "reg:quantileerror", quantile_alpha=0.5)) is None
    categories = xgboost.DMatrix(
        np.nan_to_num(X).round() % 3, X[:, 1] > 0, feature_types=["c"] * COLUMNS, enable_categorical=True
    )
    by_category = xgboost.train({"nthread": 1, "max_cat_to_onehot": 1}, categories, 3)
    assert Forest.of(by_category) is None
    assert isinstance(dense_predictor(by_category), DensePredictor)
    two_targets = xgboost.DMatrix(X, np.nan_to_num(X[:, :2]))
    assert Forest.of(xgboost.train({"multi_strategy": "multi_output_tree", "nthread": 1}, two_targets, 2)) is None


def test_few_rows_and_many_agree(X):
    booster = trained(X, "binary:logistic")
    predict = dense_predictor(booster)
    for rows in (1, FEW_ROWS, FEW_ROWS + 1, len(X)):
        np.testing.assert_array_equal(predict(X[:rows]), booster.inplace_predict(X[:rows]))


def test_rows_of_another_width_are_refused(X):
    booster = trained(X)
    narrow = np.ascontiguousarray(X[:1, :2])
    with pytest.raises(xgboost.core.XGBoostError, match="Number of columns"):
        dense_predictor(booster)(narrow)
    forest = Forest.of(booster)
    assert forest is not None
    with pytest.raises(ValueError, match=r"5 columns; got shape \(1, 2\)"):
        forest(narrow)


def plain(value):
    """A document of `ubjson` as JSON has it."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_a_model_in_binary_json_is_the_model_in_json(X):
    booster = trained(X, rounds=3)
    ours = plain(ubjson.parse(bytes(booster.save_raw("ubj"))))
    theirs = json.loads(booster.save_raw("json"))
    np.testing.assert_equal(_rounded(ours), _rounded(theirs))


def _rounded(value):
    """JSON's text has fewer digits than a float32 written as float64."""
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(np.float32(value)) if isinstance(value, float) else value


@given(st.data())
def test_damaged_documents_are_refused(data):
    cut = data.draw(st.integers(0, len(WHOLE) - 1))
    with pytest.raises(ValueError, match=REFUSAL):
        ubjson.parse(WHOLE[:cut])
    with pytest.raises(ValueError, match=REFUSAL):
        ubjson.parse(WHOLE[:cut] + b"\xff" + WHOLE[cut:])


REFUSAL = "begins no value|is no length|is damaged|is cut off|follow the document|is not known"
WHOLE = b"{L" + bytes([0, 0, 0, 0, 0, 0, 0, 1]) + b"a[$d#L" + bytes([0, 0, 0, 0, 0, 0, 0, 0]) + b"}"


@pytest.mark.parametrize(
    ("data", "document"),
    [
        (b"[]", []),
        (b"[i\x01U\xffI\x00\x02l\x00\x00\x00\x03]", [1, 255, 2, 3]),
        (b"[#i\x02TZ", [True, None]),
        (b"{i\x01aSi\x02hi}", {"a": "hi"}),
        (b"D\x3f\xf0\x00\x00\x00\x00\x00\x00", 1.0),
        (b"F", False),
    ],
)
def test_values_of_binary_json(data, document):
    assert ubjson.parse(data) == document


@pytest.mark.parametrize("data", [b"", b"?", b"[$?#i\x01", b"[$di\x01", b"[$d#i\x05", b"[#Si\x011", b"TT", b"[" * 100_000])
def test_what_is_no_binary_json_is_refused(data):
    with pytest.raises(ValueError, match=REFUSAL):
        ubjson.parse(data)
