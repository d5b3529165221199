"""The serve program: answers whatever requests wait with one prediction."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from scipy.sparse import issparse, vstack

from clary.algorithms.hosted import log
from clary.algorithms.hosted.job import IMAGE_TAG
from clary.algorithms.hosted.xgboost import artifact, payloads, replies
from clary.algorithms.hosted.xgboost.payloads import Refusal, Rows
from clary.algorithms.hosted.xgboost.selection import VARIABLE, Selection
from clary.algorithms.trees.prediction import dense_predictor
from clary.catalog.builtin.xgboost import ALGORITHM
from clary.catalog.hyperparameters import Version
from clary.core.inference import InferenceRequest, InferenceResponse

DEFAULT_LIMIT_BYTES = 6 << 20
LARGEST_LIMIT_BYTES = 20 << 20

Waiting = tuple[int, Rows, replies.Encoder]
"""Position of the request, its rows, how to answer it."""


def load(model_dir: Path, environment: dict[str, str]) -> XGBoostModel:
    """The model of an unpacked archive, served as the image `environment["CLARY_IMAGE_TAG"]` serves it.

    Raises `ValueError` when a file is no model.
    """
    return XGBoostModel(artifact.load_all(model_dir), environment)


class XGBoostModel:
    """One or several boosters behind the container's request and reply formats."""

    def __init__(self, boosters: list[xgboost.Booster], environment: dict[str, str]):
        if environment.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true").lower() == "false":
            boosters = boosters[:1]
        self._ensemble = _Ensemble(boosters)
        self._environment = environment
        self._version = ALGORITHM.version(environment.get(IMAGE_TAG) or "3.0-5")
        self._limit = min(int(environment.get("MAX_CONTENT_LENGTH", DEFAULT_LIMIT_BYTES)), LARGEST_LIMIT_BYTES)
        self._selection = _selection(boosters[0], self._version, environment)

    def invoke(self, requests: list[InferenceRequest]) -> list[InferenceResponse]:
        """One response per request, in order; all dense rows are predicted at once, and all sparse ones."""
        responses: dict[int, InferenceResponse] = {}
        waiting: list[Waiting] = []
        for position, request in enumerate(requests):
            try:
                waiting.append((position, self._rows(request), self._encoder(request)))
            except Refusal as refusal:
                responses[position] = _refused(refusal)
        for sparse in (False, True):
            self._answer([entry for entry in waiting if issparse(entry[1]) == sparse], responses)
        return [responses[position] for position in range(len(requests))]

    def execution_parameters(self) -> dict[str, Any]:
        """What batch transform uses where the job does not say."""
        return {
            "MaxConcurrentTransforms": os.cpu_count() or 1,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": max(self._limit >> 20, 1),
        }

    def _rows(self, request: InferenceRequest) -> Rows:
        if not request.body:
            raise Refusal(204, "")
        if len(request.body) > self._limit:
            raise Refusal(413, f"The data value transmitted exceeds the capacity limit of {self._limit} bytes.")
        return payloads.rows(request.body, request.content_type, self._ensemble.columns)

    def _encoder(self, request: InferenceRequest) -> replies.Encoder:
        return replies.encoder(request.accept, self._version, self._environment, self._selection)

    def _answer(self, waiting: Sequence[Waiting], responses: dict[int, InferenceResponse]) -> None:
        """Predict the rows of all `waiting` requests, which are all dense or all sparse, and answer each."""
        if not waiting:
            return
        try:
            predictions = self._ensemble.predict(_stacked([rows for _, rows, _ in waiting]))
        except xgboost.core.XGBoostError as error:
            if len(waiting) > 1:  # find the one that spoils it
                for entry in waiting:
                    self._answer([entry], responses)
                return
            responses[waiting[0][0]] = _refused(Refusal(400, f"Unable to evaluate payload provided: {error}"))
            return
        start = 0
        for position, rows, encode in waiting:
            responses[position] = encode(predictions[start : start + rows.shape[0]])
            start += rows.shape[0]


class _Ensemble:
    """Boosters that predict together: scores are averaged, classes put to the vote."""

    def __init__(self, boosters: list[xgboost.Booster]):
        self._boosters = boosters
        self._rounds = [_rounds(booster) for booster in boosters]
        self._dense = [dense_predictor(booster, rounds) for booster, rounds in zip(boosters, self._rounds, strict=True)]
        self._votes = _objective(boosters[0]) in ("multi:softmax", "binary:hinge")
        self.columns = max(booster.num_features() for booster in boosters)

    def predict(self, rows: Rows) -> np.ndarray:
        """(rows,) or (rows, classes) float32."""
        if issparse(rows):
            ends = zip(self._boosters, self._rounds, strict=True)
            parts = [booster.inplace_predict(rows, iteration_range=(0, end)) for booster, end in ends]
        else:
            parts = [predict(rows) for predict in self._dense]
        if len(parts) == 1:
            return parts[0]
        return _majority(np.stack(parts)) if self._votes else np.mean(np.stack(parts), axis=0)


def _majority(votes: np.ndarray) -> np.ndarray:
    """The most frequent class of each row, the lowest of equals; `votes` is (models, rows)."""
    classes = np.unique(votes)
    counts = (votes[:, :, None] == classes).sum(axis=0)  # (rows, classes)
    return classes[counts.argmax(axis=1)]


def _learner(booster: xgboost.Booster) -> dict[str, Any]:
    return json.loads(booster.save_config())["learner"]


def _objective(booster: xgboost.Booster) -> str:
    return _learner(booster)["objective"]["name"]


def _selection(booster: xgboost.Booster, version: Version, environment: dict[str, str]) -> Selection | None:
    """The content that answers hold; None for the plain prediction, which is all that images before 1.0 know."""
    classes = int(_learner(booster)["learner_model_param"]["num_class"])
    selection = Selection.of(environment, _objective(booster), classes)
    if selection is None:
        return None
    if version < (1, 0):
        log.line(f"{VARIABLE} has no effect in images before 1.0", "WARNING")
        return None
    if selection.strangers:
        strangers = ", ".join(selection.strangers)
        log.line(f"{VARIABLE}: {strangers} means nothing for {selection.objective}; its value will be nan", "WARNING")
    return selection


def _rounds(booster: xgboost.Booster) -> int:
    """Rounds that count: up to the best one where training stopped early; 0 is all."""
    best = booster.attr("best_iteration")
    return min(int(best) + 1, booster.num_boosted_rounds()) if best else 0


def _stacked(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return vstack(parts, format="csr") if issparse(parts[0]) else np.concatenate(parts)


def _refused(refusal: Refusal) -> InferenceResponse:
    return InferenceResponse(refusal.message.encode(), "text/plain; charset=utf-8", refusal.status)
