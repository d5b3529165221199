"""Estimators as a plain library, with scikit-learn's habits: `from clary.algorithms import XGBoost`.

Knows nothing of jobs, buckets or containers; `clary.algorithms.hosted` translates those to it. Install with
`pip install clary[algorithms]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clary.algorithms.anomaly.hotspots import Hotspots
    from clary.algorithms.anomaly.random_cut_forest import RandomCutForest
    from clary.algorithms.cluster.kmeans import KMeans
    from clary.algorithms.decomposition.pca import PCA
    from clary.algorithms.embeddings.ip_insights import IPInsights
    from clary.algorithms.linear.linear_learner import LinearLearner
    from clary.algorithms.neighbors.knn import KNN
    from clary.algorithms.recommend.factorization_machines import FactorizationMachines
    from clary.algorithms.text.lda import LDA
    from clary.algorithms.trees.xgboost import XGBoost

__all__ = [
    "KNN",
    "LDA",
    "PCA",
    "FactorizationMachines",
    "Hotspots",
    "IPInsights",
    "KMeans",
    "LinearLearner",
    "RandomCutForest",
    "XGBoost",
]

_HOMES = {
    "FactorizationMachines": "clary.algorithms.recommend.factorization_machines",
    "Hotspots": "clary.algorithms.anomaly.hotspots",
    "IPInsights": "clary.algorithms.embeddings.ip_insights",
    "KMeans": "clary.algorithms.cluster.kmeans",
    "KNN": "clary.algorithms.neighbors.knn",
    "LDA": "clary.algorithms.text.lda",
    "LinearLearner": "clary.algorithms.linear.linear_learner",
    "PCA": "clary.algorithms.decomposition.pca",
    "RandomCutForest": "clary.algorithms.anomaly.random_cut_forest",
    "XGBoost": "clary.algorithms.trees.xgboost",
}


def __getattr__(name: str) -> Any:
    """Import an estimator, and the library it stands on, when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
