"""Hugging Face's images: a pipeline of the saved model, asked with `{"inputs": …, "parameters": {…}}`."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

from clary.compute.toolkit import encoding
from clary.compute.toolkit.handlers import Defaults

_TASKS = {
    "TapasForQuestionAnswering": "table-question-answering",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "EncoderDecoderModel": "text2text-generation",
    "GPT2LMHeadModel": "text-generation",
    "T5WithLMHeadModel": "text2text-generation",
}
"""What the name of a model's architecture contains -> the pipeline it is for."""


class HuggingFace(Defaults):
    def model_fn(self, model_dir: str) -> Any:
        """The pipeline for `HF_TASK`, or for the architecture in `config.json`; of `HF_MODEL_ID` when there are no files."""
        from transformers import pipeline

        source = model_dir if (Path(model_dir) / "config.json").is_file() else os.environ.get("HF_MODEL_ID", "")
        if not source:
            raise ValueError("the model archive has no config.json at its root, and HF_MODEL_ID names no model")
        task = os.environ.get("HF_TASK") or _task_of(Path(source) / "config.json")
        return pipeline(task=task, model=source)

    def input_fn(self, body: Any, content_type: str) -> Any:
        name = encoding.media_type(content_type)
        if name == encoding.JSON:
            return json.loads(body)
        if name == encoding.CSV:
            return _from_csv(body)
        return encoding.decode(body, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        if not isinstance(data, dict):
            return model(data)
        inputs, parameters = data.get("inputs", data), data.get("parameters") or {}
        return model(inputs, **parameters)

    def output_fn(self, prediction: Any, accept: str) -> Any:
        content_type = encoding.accepted(accept)
        if content_type == encoding.CSV and isinstance(prediction, list) and isinstance(prediction[0], dict):
            return _to_csv(prediction), content_type
        return encoding.encode(prediction, content_type), content_type


def _task_of(config: Path) -> str:
    """The task of a saved model. Raises `ValueError` when its architecture tells none."""
    architecture = json.loads(config.read_text()).get("architectures", [""])[0] if config.is_file() else ""
    for part, task in _TASKS.items():
        if part in architecture:
            return task
    raise ValueError(f"set HF_TASK: the architecture {architecture or '(none)'} does not tell which pipeline the model is for")


def _from_csv(body: str) -> dict[str, Any]:
    """Rows below a header with `inputs`, or with the names of a question answering model."""
    rows = list(csv.DictReader(io.StringIO(body)))
    if not rows or not {"inputs", "question", "context"} & rows[0].keys():
        raise ValueError("CSV needs a header line with inputs, or with question and context")
    return {"inputs": [row["inputs"] for row in rows] if "inputs" in rows[0] else rows}


def _to_csv(rows: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
