"""The model's files: `model_algo-1` is a FAISS index, `model_algo-1.labels` its labels as raw float32, `model_algo-1.json` how
rows become vectors and answers. Users may edit `k` and `predictor_type` in the last one and host the model again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from clary.algorithms.neighbors import search
from clary.algorithms.neighbors.knn import KNN

VERSION = "1.0"


def save(model: KNN, path: Path) -> None:
    """Write `path`, `path`.labels and `path`.json."""
    search.to_file(model.index_, path)
    labels = model.classes_[model.labels_] if model.predictor_type == "classifier" else model.labels_
    labels.astype("<f4").tofile(_labels_of(path))
    path.with_name(f"{path.name}.json").write_text(json.dumps(_metadata(model), indent=1))


def load(directory: Path) -> KNN:
    """The model in `directory`. Raises `ValueError` that names the file and what is wrong with it."""
    found = sorted(directory.rglob("model_algo-*.json"))
    if not found:
        raise ValueError("the model archive holds no model_algo-1.json: it is no k-NN model")
    path = found[0].with_suffix("")
    for needed in (path, _labels_of(path)):
        if not needed.exists():
            raise ValueError(f"the model archive holds no {needed.name}")
    index = search.from_file(path)
    try:
        metadata = json.loads(found[0].read_text())
        return KNN.of_index(index, np.fromfile(_labels_of(path), dtype="<f4"), **_parameters(metadata, index))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{found[0].name} does not fit the index {path.name}: {error}") from error


def _labels_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.labels")


def _parameters(metadata: dict[str, Any], index: search.Index) -> dict[str, Any]:
    """Arguments of `KNN.of_index`."""
    plan, reduction = search.plan_of(index), metadata.get("dimension_reduction") or {}
    return {
        "k": metadata["k"],
        "predictor_type": metadata["predictor_type"],
        "columns": reduction.get("input_dim") or metadata.get("feature_dim") or index.d,
        "dimension_reduction_type": reduction.get("type"),
        "dimension_reduction_target": reduction.get("target_dim"),
        "seed": reduction.get("seed", 0),
        "index_type": plan.type,
        "index_metric": "COSINE" if metadata.get("normalize") else plan.metric,
        "nprobe": plan.probes,
        "pq_m": plan.parts,
    }


def _metadata(model: KNN) -> dict[str, Any]:
    reduction = model.reduction_
    described = None
    if reduction is not None:
        described = {
            "type": reduction.kind,
            "seed": reduction.seed,
            "target_dim": reduction.target_dim,
            "input_dim": reduction.input_dim,
        }
    return {
        "k": model.k,
        "predictor_type": model.predictor_type,
        "dimension_reduction": described,
        "normalize": model.index_metric == "COSINE",
        "feature_dim": model.n_features_in_,
        "version": VERSION,
    }
