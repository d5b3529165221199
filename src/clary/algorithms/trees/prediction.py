"""Predicting dense rows without overhead, with the library's own bits.

A few rows are answered from flat arrays (`forest`). More rows, and boosters that cannot be laid flat, go to XGBoost's C
interface directly: `Booster.inplace_predict` looks for a dozen data frame libraries on every call, which takes three times as
long as the prediction of one row.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable

import numpy as np
import xgboost
from xgboost.libpath import find_lib_path

_Shape = ctypes.POINTER(ctypes.c_uint64)
_Floats = ctypes.POINTER(ctypes.c_float)


Predictor = Callable[[np.ndarray], np.ndarray]
"""(rows, columns) C-contiguous float32, NaN is missing -> (rows,) or (rows, classes) float32."""

FEW_ROWS = 64
"""Up to so many rows the flat arrays are faster; beyond, the library works on blocks of rows."""


def dense_predictor(booster: xgboost.Booster, rounds: int = 0) -> Predictor:
    """The fastest way to this booster's predictions. `rounds` is how many rounds of boosting count; 0 is all."""
    from clary.algorithms.trees.forest import Forest  # stands on numba, which training does not need

    library, forest = DensePredictor(booster, rounds), Forest.of(booster, rounds)
    if forest is None:
        return library
    flat = forest
    return lambda rows: (flat if len(rows) <= FEW_ROWS and rows.shape[1] == flat.columns else library)(rows)


class DensePredictor:
    """`predictor(rows)`: predictions of (rows, columns) C-contiguous float32, NaN is missing.

    `rounds` is how many rounds of boosting count; 0 is all. Not for several threads at a time.
    """

    def __init__(self, booster: xgboost.Booster, rounds: int = 0):
        self._booster = booster  # keeps the handle alive
        self._library = ctypes.CDLL(find_lib_path()[0])
        self._library.XGBGetLastError.restype = ctypes.c_char_p
        self._predict = self._library.XGBoosterPredictFromDense
        self._predict.argtypes = [
            ctypes.c_void_p,
            ctypes.c_char_p,
            ctypes.c_char_p,
            ctypes.c_void_p,
            ctypes.POINTER(_Shape),
            ctypes.POINTER(ctypes.c_uint64),
            ctypes.POINTER(_Floats),
        ]
        settings = {"type": 0, "training": False, "iteration_begin": 0, "iteration_end": rounds, "strict_shape": False}
        self._settings = json.dumps(settings | {"missing": float("nan"), "cache_id": 0}).encode()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(rows,) or (rows, classes) float32. Raises `XGBoostError` as the library does."""
        array = b'{"data":[%d,true],"shape":[%d,%d],"typestr":"<f4","version":3}' % (rows.ctypes.data, *rows.shape)
        shape, dimensions, values = _Shape(), ctypes.c_uint64(), _Floats()
        failed = self._predict(self._booster.handle, array, self._settings, None, shape, dimensions, values)
        if failed:
            raise xgboost.core.XGBoostError(self._library.XGBGetLastError().decode())
        sizes = tuple(shape[: dimensions.value])
        # the memory is the booster's and holds the next prediction soon
        return np.ctypeslib.as_array(values, sizes).copy()
