"""Estimators as a plain library, with scikit-learn's habits: `from clary.algorithms import XGBoost`.

Knows nothing of jobs, buckets or containers; `clary.algorithms.hosted` translates those to it. Install with
`pip install clary[algorithms]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clary.algorithms.trees.xgboost import XGBoost

__all__ = ["XGBoost"]

_HOMES = {"XGBoost": "clary.algorithms.trees.xgboost"}


def __getattr__(name: str) -> Any:
    """Import an estimator, and the library it stands on, when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
