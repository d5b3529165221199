"""Whether the installed XGBoost can train on a GPU of this machine."""

from __future__ import annotations

import ctypes

import xgboost

_CUDA_DRIVERS = ("libcuda.so.1", "nvcuda.dll")


def obstacle() -> str | None:
    """Why no GPU can be used, in a few words; None when one can."""
    if not xgboost.build_info().get("USE_CUDA"):
        return (
            f"the installed XGBoost {xgboost.__version__} is built without CUDA (install the package xgboost, not xgboost-cpu)"
        )
    return None if _devices() else "this machine has no GPU that CUDA knows"


def _devices() -> int:
    """How many GPUs the CUDA driver shows to this process."""
    count = ctypes.c_int()
    for name in _CUDA_DRIVERS:
        try:
            driver = ctypes.CDLL(name)
        except OSError:
            continue
        if driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0:
            return count.value
    return 0
