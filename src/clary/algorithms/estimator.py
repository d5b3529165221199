"""What every estimator shares: scikit-learn's contract, and a model file without pickle."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator

from clary.algorithms import model_file


class Estimator(BaseEstimator):
    """Base of all estimators: scikit-learn's, with `save` and `load`.

    The constructor stores its arguments under their names and does nothing else; `fit` checks them. What was learned ends
    in an underscore and exists only after `fit`.
    """

    def clone(self) -> Self:
        """A new estimator with the same parameters that has learned nothing."""
        return type(self)(**self.get_params(deep=False))

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one file (safetensors, versioned). Raises `ValueError` before `fit`."""
        document, arrays = self._state()
        if not document and not arrays:
            raise ValueError(f"this {type(self).__name__} has learned nothing yet; call fit first")
        parameters = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        model_file.write(path, type(self).__name__, {"parameters": parameters, "learned": document}, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The model that `save` wrote. Raises `ValueError` for any other file."""
        document, arrays = model_file.read(path, cls.__name__)
        known = inspect.signature(cls.__init__).parameters
        model = cls(**{name: value for name, value in document["parameters"].items() if name in known})
        model._restore(document["learned"], arrays)
        return model

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What was learned, as a JSON document and numeric arrays. Estimators that hold other things override both."""
        learned = {name: value for name, value in vars(self).items() if name.endswith("_") and not name.startswith("_")}
        arrays = {
            name: value for name, value in learned.items() if isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
        }
        return {name: _plain(value) for name, value in learned.items() if name not in arrays}, arrays

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take over what `_state` gave."""
        for name, value in document.items():
            setattr(self, name, _rich(value))
        for name, array in arrays.items():
            setattr(self, name, array)


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


def _plain(value: Any) -> Any:
    """`value` as JSON; an array of text becomes `{"array": [...]}`."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _rich(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"array"}:
        return np.array(value["array"], dtype=object)
    return value
