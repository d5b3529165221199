"""Predicting a few dense rows without overhead.

`Booster.inplace_predict` looks for a dozen data frame libraries on every call, which takes three times as long as the
prediction of one row. This calls the same function of XGBoost's C interface directly.
"""

from __future__ import annotations

import ctypes
import json

import numpy as np
import xgboost
from xgboost.libpath import find_lib_path

_Shape = ctypes.POINTER(ctypes.c_uint64)
_Floats = ctypes.POINTER(ctypes.c_float)


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
