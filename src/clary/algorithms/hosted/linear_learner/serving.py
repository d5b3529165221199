"""The serve program of the linear learner: scores, and labels by the calibrated threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.hosted.linear_learner.artifact import Artifact
from clary.algorithms.hosted.serving import RecordModel
from clary.algorithms.linear import losses


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model in `model_dir`. Raises `ValueError` when there is none."""
    files = sorted(path for path in model_dir.iterdir() if path.is_file() and path.name.startswith("model_"))
    if not files:
        raise ValueError("the model archive holds no model file; a linear learner's is model_algo-1 at its root")
    scorer = Scorer(Artifact.read(files[0]))
    return RecordModel(scorer, columns=scorer.columns, sparse=True, integers=("predicted_label",))


class Scorer:
    """(rows, columns) float32, dense or CSR -> `score` and, of a classifier, `predicted_label`."""

    def __init__(self, artifact: Artifact):
        self._artifact = artifact
        self._weights = artifact.weights.T.astype(np.float64)

    @property
    def columns(self) -> int:
        return self._weights.shape[0]

    def __call__(self, rows: Any) -> dict[str, np.ndarray]:
        margins = np.asarray(rows.astype(np.float64) @ self._weights) + self._artifact.bias
        if self._artifact.predictor_type == "regressor":
            return {"score": margins[:, 0]}
        if self._artifact.predictor_type == "multiclass_classifier":
            return {"score": losses.softmax_shares(margins), "predicted_label": margins.argmax(axis=1)}
        scores = losses.sigmoid(margins[:, 0]) if self._artifact.loss == "logistic" else margins[:, 0]
        return {"score": scores, "predicted_label": scores > self._artifact.threshold}
