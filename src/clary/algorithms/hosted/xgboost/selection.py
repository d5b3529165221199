"""Selectable content: which of label, probabilities and scores an answer holds, as `SAGEMAKER_INFERENCE_OUTPUT` lists them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clary.algorithms.hosted.xgboost.payloads import Refusal
from clary.core.inference import InferenceResponse
from clary.formats import record_answers

VARIABLE = "SAGEMAKER_INFERENCE_OUTPUT"

_OF_CLASSES = ("predicted_label", "labels", "raw_score", "raw_scores")
_OF_PROBABILITIES = ("predicted_label", "labels", "probability", "probabilities", "raw_score", "raw_scores")
_OF_VALUES = ("predicted_score",)
_VALID = {
    "reg:squarederror": _OF_VALUES,
    "reg:logistic": _OF_VALUES,
    "reg:gamma": _OF_VALUES,
    "reg:tweedie": _OF_VALUES,
    "binary:logistic": _OF_PROBABILITIES,
    "binary:logitraw": _OF_CLASSES,
    "binary:hinge": _OF_CLASSES,
    "multi:softmax": _OF_CLASSES,
    "multi:softprob": _OF_PROBABILITIES,
}
"""Objective -> the keys that mean something for it, in the order of an answer."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """The `keys` that are asked for, of a model with this `objective` and number of classes (0 without)."""

    keys: tuple[str, ...]
    objective: str
    classes: int

    @classmethod
    def of(cls, environment: Mapping[str, str], objective: str, classes: int) -> Selection | None:
        """What the environment asks for; None when it asks for nothing."""
        listed = environment.get(VARIABLE)
        if not listed:
            return None
        return cls(tuple(listed.replace(" ", "").lower().split(",")), objective, classes)

    @property
    def strangers(self) -> tuple[str, ...]:
        """Keys that mean nothing for this objective; their value is NaN."""
        return tuple(key for key in self.keys if key not in _VALID.get(self.objective, ()))

    def encoder(self, media_type: str, batch_transform: bool) -> Callable[[np.ndarray], InferenceResponse]:
        """How to answer with `media_type`. Raises `Refusal` 500 for an objective whose answers cannot be chosen."""
        if self.objective not in _VALID:
            raise Refusal(500, f"Objective `{self.objective}` unsupported for selectable inference predictions.")
        write = {
            "application/json": _json,
            "application/jsonlines": _json_lines,
            "application/x-recordio-protobuf": _records,
            "text/csv": self._csv_of_batch if batch_transform else self._csv,
        }[media_type]
        return lambda predictions: InferenceResponse(write(self.entries(predictions)), media_type)

    def entries(self, predictions: np.ndarray) -> list[Entry]:
        """What is asked for, one dictionary per row of (rows,) or (rows, classes) predictions."""
        valid = [key for key in _VALID[self.objective] if key in self.keys]
        missing = dict.fromkeys(self.strangers, math.nan)
        return [{key: self._content(key, row) for key in valid} | missing for row in predictions.tolist()]

    def _content(self, key: str, row: Any) -> Any:
        """One value of a row, which is a number or, for `multi:softprob`, the list of probabilities."""
        match key:
            case "predicted_label":
                return self._label(row)
            case "labels":
                return list(range(self.classes or 2))
            case "probabilities" | "raw_scores":
                return row if isinstance(row, list) else [1.0 - row, row]
            case _:
                return max(row) if isinstance(row, list) else row

    def _label(self, row: Any) -> int | float:
        match self.objective:
            case "multi:softprob":
                return row.index(max(row))
            case "binary:logistic":
                return int(row > 0.5)
            case "binary:logitraw":
                return int(row > 0)
            case _:
                return row  # softmax and hinge predict the class itself

    def _csv(self, entries: list[Entry]) -> bytes:
        return "\n".join(",".join(_cell(entry[key]) for key in self.keys) for entry in entries).encode()

    def _csv_of_batch(self, entries: list[Entry]) -> bytes:
        return self._csv(entries) + b"\n"


def _cell(value: Any) -> str:
    return f'"{value}"' if isinstance(value, list) else str(value)


def _json(entries: list[Entry]) -> bytes:
    return json.dumps({"predictions": entries}).encode()


def _json_lines(entries: list[Entry]) -> bytes:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()


def _records(entries: list[Entry]) -> bytes:
    """A record per row, a key of the label map per selected name, numbers as tensors of one."""
    return record_answers.write({key: np.array([np.atleast_1d(entry[key]) for entry in entries]) for key in entries[0]})
