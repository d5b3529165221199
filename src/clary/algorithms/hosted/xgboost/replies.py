"""Predictions -> response bodies. What a reply looks like depends on the image version, on batch transform and on Accept."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from clary.algorithms.hosted.xgboost.payloads import Refusal
from clary.algorithms.hosted.xgboost.selection import Selection
from clary.catalog.hyperparameters import Version
from clary.core.inference import InferenceResponse

Encoder = Callable[[np.ndarray], InferenceResponse]
"""(rows,) or (rows, classes) -> the response."""

_CSV = "text/csv; charset=utf-8"
_ACCEPTED = ("application/json", "application/jsonlines", "application/x-recordio-protobuf", "text/csv")


def encoder(accept: str, version: Version, environment: dict[str, str], selection: Selection | None = None) -> Encoder:
    """How to answer a request with header `accept`. Raises `Refusal` 406 for a type that no image knows, 500 for what an
    image knows only with selectable content."""
    batch = bool(environment.get("SAGEMAKER_BATCH"))
    if selection is not None:
        return selection.encoder(_media_type(accept, environment), batch)
    if batch:
        return batch_lines
    if version < (1, 2):
        return one_line  # images before 1.2 answer CSV whatever they are asked for
    media_type = _media_type(accept, environment)
    if media_type == "text/csv":
        return one_line if environment.get("SAGEMAKER_MULTI_MODEL") == "true" else lines
    if media_type == "application/json":
        return json_document
    raise Refusal(500, f"Accept type {media_type} needs selectable content: set SAGEMAKER_INFERENCE_OUTPUT, or accept text/csv")


def _media_type(accept: str, environment: dict[str, str]) -> str:
    """The type to answer with, lower case. Raises `Refusal` 406 for one that no image knows."""
    media_type = accept.partition(";")[0].strip().lower()
    if media_type in ("", "*/*"):
        media_type = environment.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    if media_type not in _ACCEPTED:
        raise Refusal(406, f"Accept type {accept} is not supported. Please use supported accept types: {', '.join(_ACCEPTED)}.")
    return media_type


def lines(predictions: np.ndarray) -> InferenceResponse:
    """A row a line, classes joined by commas, every line ended."""
    if predictions.ndim == 2:
        text = "".join(",".join(map(repr, row)) + "\n" for row in predictions.tolist())
    else:
        text = "".join(f"{value!r}\n" for value in predictions.tolist())
    return InferenceResponse(text.encode(), _CSV)


def one_line(predictions: np.ndarray) -> InferenceResponse:
    """All rows joined by commas, classes in brackets, no newline."""
    return InferenceResponse(",".join(map(str, predictions.tolist())).encode(), _CSV)


def batch_lines(predictions: np.ndarray) -> InferenceResponse:
    """A row a line, classes in brackets, every line ended."""
    return InferenceResponse("".join(f"{value}\n" for value in predictions.tolist()).encode(), _CSV)


def json_document(predictions: np.ndarray) -> InferenceResponse:
    """`{"predictions": [{"score": 0.43}]}`; with classes a score is a list."""
    scores = [{"score": value} for value in predictions.tolist()]
    return InferenceResponse(json.dumps({"predictions": scores}).encode(), "application/json")
