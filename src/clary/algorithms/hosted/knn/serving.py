"""The serve program of k-NN."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clary.algorithms.hosted.knn import artifact
from clary.algorithms.hosted.serving import RecordModel
from clary.algorithms.neighbors.knn import KNN


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model of an unpacked archive. Raises `ValueError` when its files do not fit together.

    Distances in verbose answers are those of FAISS for L2, squares of Euclidean distances.
    """
    # a worker is a fork: OpenMP starts its threads, as many as there are cores, with the first search in the worker
    model = artifact.load(model_dir)

    def answer(rows: np.ndarray) -> dict[str, np.ndarray]:
        distances, places = model.nearest(rows)
        return {"predicted_label": model.decide(places), "distances": distances, "labels": _labels(model, places)}

    return RecordModel(answer, columns=model.n_features_in_, verbose_only=("distances", "labels"))


def _labels(model: KNN, places: np.ndarray) -> np.ndarray:
    """(rows, k) the label of each neighbour."""
    labels = model.labels_[places]
    return model.classes_[labels] if model.predictor_type == "classifier" else labels
