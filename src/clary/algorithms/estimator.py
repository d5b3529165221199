"""What every estimator shares: parameters that the constructor only stores, and saying what is wrong with arrays."""

from __future__ import annotations

import inspect
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse


class Estimator:
    """Base of all estimators, with scikit-learn's habits.

    The constructor stores its arguments under their names and does nothing else; `fit` checks them. What was learned ends
    in an underscore and exists only after `fit`.
    """

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name. `deep` is accepted for scikit-learn's sake."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **parameters: Any) -> Self:
        """Replace constructor arguments; raises `ValueError` for a name that is none."""
        for name, value in parameters.items():
            if name not in self._names():
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(self._names())}")
            setattr(self, name, value)
        return self

    def clone(self) -> Self:
        """A new estimator with the same parameters that has learned nothing."""
        return type(self)(**self.get_params())

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = {name: value for name, value in self.get_params().items() if value is not defaults[name].default}
        shown = {name: value for name, value in changed.items() if value != defaults[name].default}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def features(X: Any, columns: int | None = None) -> Any:
    """`X` as (rows, columns) float32, dense or CSR. Raises `ValueError` naming the shape that was found."""
    X = X.tocsr() if issparse(X) else np.asarray(X, dtype=np.float32)
    if X.ndim != 2:
        raise ValueError(f"X must have shape (rows, columns); got shape {X.shape}")
    if 0 in X.shape:
        raise ValueError(f"X must have at least one row and one column; got shape {X.shape}")
    if columns is not None and X.shape[1] != columns:
        raise ValueError(f"X must have {columns} columns, as in fit; got shape {X.shape}")
    return X


def vector(values: Any, rows: int, name: str) -> np.ndarray:
    """`values` as (rows,) float32. Raises `ValueError` naming the shape that was found."""
    array = np.asarray(values, dtype=np.float32)
    if array.shape != (rows,):
        raise ValueError(f"{name} must have shape ({rows},), one value per row of X; got shape {array.shape}")
    return array
