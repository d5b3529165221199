"""The serve program of factorization machines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit

from clary.algorithms.hosted.factorization_machines.artifact import Artifact
from clary.algorithms.hosted.serving import JSON, JSON_LINES, RECORDS, RecordModel

_FORMATS = (JSON, JSON_LINES, RECORDS)


def load(model_dir: Path, environment: dict[str, str]) -> RecordModel:
    """The model in `model_dir`. Raises `ValueError` when there is none."""
    files = sorted(path for path in model_dir.iterdir() if path.is_file() and path.name.startswith("model_"))
    if not files:
        raise ValueError("the model archive holds no model file; that of factorization machines is model_algo-1 at its root")
    model = Artifact.read(files[0])

    def answer(rows: Any) -> dict[str, np.ndarray]:
        scores = model.parameters.scores(csr_matrix(rows))
        if model.predictor_type == "regressor":
            return {"score": scores}
        likely = expit(scores)
        return {"score": likely, "predicted_label": likely >= 0.5}

    columns = len(model.parameters.weights)
    return RecordModel(answer, columns=columns, sparse=True, integers=("predicted_label",), readable=_FORMATS, accepts=_FORMATS)
