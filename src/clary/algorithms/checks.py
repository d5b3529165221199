"""The contract that every estimator keeps, beside scikit-learn's own (`sklearn.utils.estimator_checks`).

Each check takes an unfitted estimator and data `X` (rows, columns), `y` (rows,) and raises `AssertionError` when the
contract is broken. What an estimator says of rows is its `predict`, else its `transform`, else its `score_samples`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import get_tags


def said_of(fitted: Any, X: np.ndarray) -> np.ndarray:
    """(rows,) or (rows, n): what the fitted estimator says of each row."""
    for method in ("predict", "transform", "score_samples"):
        if hasattr(fitted, method):
            return getattr(fitted, method)(X)
    raise AssertionError(f"{type(fitted).__name__} says nothing of rows")


def same_seed_gives_the_same_model(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    first, second = estimator.clone().fit(X, y), estimator.clone().fit(X, y)
    np.testing.assert_array_equal(said_of(first, X), said_of(second, X))


def fitting_twice_equals_fitting_once(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    once = estimator.clone().fit(X, y)
    twice = estimator.clone().fit(X[: len(X) // 2], y[: len(y) // 2]).fit(X, y)
    np.testing.assert_array_equal(said_of(once, X), said_of(twice, X))


def the_constructor_only_stores(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    parameters = estimator.get_params()
    copy = type(estimator)(**parameters)
    assert all(getattr(copy, name) is value for name, value in parameters.items())
    assert not [name for name in vars(copy) if name.endswith("_")], "learned attributes before fit"


def a_clone_has_learned_nothing(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    fitted = estimator.clone().fit(X, y)
    clone = fitted.clone()
    assert clone.get_params() == fitted.get_params()
    assert not [name for name in vars(clone) if name.endswith("_")]


def fit_leaves_parameters_and_data_alone(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    model, X_before, y_before = estimator.clone(), X.copy(), y.copy()
    before = dict(model.get_params())
    model.fit(X, y)
    assert model.get_params() == before
    np.testing.assert_array_equal(X, X_before)
    np.testing.assert_array_equal(y, y_before)


def saving_and_loading_changes_nothing(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    fitted = estimator.clone().fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder) / "model")
        loaded = type(estimator).load(Path(folder) / "model")
    assert loaded.get_params() == fitted.get_params()
    np.testing.assert_array_equal(said_of(loaded, X), said_of(fitted, X))


def one_row_is_predicted_as_in_company(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    fitted = estimator.clone().fit(X, y)
    # matrix products of one row and of many add in another order
    np.testing.assert_allclose(said_of(fitted, X[:1]), said_of(fitted, X)[:1], rtol=1e-4, atol=1e-5)


def wrong_shapes_are_named(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    fitted = estimator.clone().fit(X, y)
    _assert_names(lambda: estimator.clone().fit(X[:, 0], y), "shape", "1D array")
    _assert_names(lambda: said_of(fitted, X[:, :-1]), f"{X.shape[1]} columns", f"expecting {X.shape[1]} features")
    if get_tags(estimator).target_tags.required:
        _assert_names(lambda: estimator.clone().fit(X, y[:-1]), str(len(y) - 1))


def saying_before_fit_is_refused(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    _assert_names(lambda: said_of(estimator.clone(), X), "fit")


def an_unknown_parameter_is_refused(estimator: Any, X: np.ndarray, y: np.ndarray) -> None:
    _assert_names(lambda: estimator.clone().set_params(no_such_parameter=1), "no_such_parameter")


ALL: tuple[Callable[[Any, np.ndarray, np.ndarray], None], ...] = (
    same_seed_gives_the_same_model,
    fitting_twice_equals_fitting_once,
    the_constructor_only_stores,
    a_clone_has_learned_nothing,
    fit_leaves_parameters_and_data_alone,
    saving_and_loading_changes_nothing,
    one_row_is_predicted_as_in_company,
    wrong_shapes_are_named,
    saying_before_fit_is_refused,
    an_unknown_parameter_is_refused,
)


def _assert_names(call: Callable[[], Any], *words: str) -> None:
    """`call` raises a `ValueError` that says one of `words`."""
    message = None
    try:
        call()
    except ValueError as error:
        message = str(error)
    assert message is not None, "a mistake was accepted"
    assert any(word in message for word in words), f"the message {message!r} says none of {words}"
