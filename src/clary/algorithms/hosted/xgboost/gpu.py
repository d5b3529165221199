"""Whether the installed XGBoost can train on a GPU of this machine."""

from __future__ import annotations

import xgboost

from clary.algorithms import device


def obstacle() -> str | None:
    """Why no GPU can be used, in a few words; None when one can."""
    if not xgboost.build_info().get("USE_CUDA"):
        return (
            f"the installed XGBoost {xgboost.__version__} is built without CUDA (install the package xgboost, not xgboost-cpu)"
        )
    return None if device.gpus() else "this machine has no GPU that CUDA knows"
