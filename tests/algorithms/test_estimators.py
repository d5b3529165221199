"""Every estimator keeps the contract of `algorithms/checks.py`."""

from __future__ import annotations

import doctest
import importlib

import numpy as np
import pytest

import clary.algorithms
from clary.algorithms import XGBoost, checks

ESTIMATORS = [
    XGBoost(5, n_jobs=1),
    XGBoost(5, objective="binary:logistic", subsample=0.5, seed=3, n_jobs=1),
    XGBoost(5, objective="multi:softprob", num_class=2, tree_method="exact", n_jobs=1),
]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    return X, (X[:, 0] + X[:, 1] > 0).astype(np.float32)


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@pytest.mark.parametrize("check", checks.ALL, ids=lambda check: check.__name__)
def test_estimators_keep_the_contract(estimator, check, data):
    check(estimator, *data)


@pytest.mark.parametrize("name", sorted(clary.algorithms.__all__))
def test_the_manual_of_an_estimator_runs(name):
    module = importlib.import_module(getattr(clary.algorithms, name).__module__)
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0


def test_a_check_fails_for_an_estimator_that_breaks_it(data):
    class Forgetful(XGBoost):
        def clone(self):
            return self

    with pytest.raises(AssertionError):
        checks.a_clone_has_learned_nothing(Forgetful(2, n_jobs=1), *data)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchEstimator"):
        clary.algorithms.NoSuchEstimator  # noqa: B018
