"""TensorFlow's images: a SavedModel behind TensorFlow Serving's REST format, with the user's handlers around it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clary.compute.toolkit import encoding
from clary.compute.toolkit.handlers import Defaults


class TensorFlow(Defaults):
    """Requests are `{"instances": [...]}`, `{"inputs": …}`, bare JSON arrays or CSV rows; answers `{"predictions": [...]}`."""

    def model_fn(self, model_dir: str) -> Any:
        import tensorflow

        return tensorflow.saved_model.load(str(saved_model(Path(model_dir))))

    def input_fn(self, body: Any, content_type: str) -> Any:
        if encoding.media_type(content_type) == encoding.JSON:
            data = json.loads(body)
            return data if isinstance(data, dict) else {"instances": data}
        return {"instances": encoding.decode(body, content_type).tolist()}

    def predict_fn(self, data: Any, model: Any) -> Any:
        signature = model.signatures[data.get("signature_name", "serving_default")]
        by_rows = "instances" in data
        inputs = data["instances"] if by_rows else data["inputs"]
        answers = {name: value.numpy().tolist() for name, value in signature(**_tensors(signature, inputs, by_rows)).items()}
        if not by_rows:
            return {"outputs": next(iter(answers.values())) if len(answers) == 1 else answers}
        if len(answers) == 1:
            return {"predictions": next(iter(answers.values()))}
        names = list(answers)
        return {"predictions": [dict(zip(names, row, strict=True)) for row in zip(*answers.values(), strict=True)]}

    def output_fn(self, prediction: Any, accept: str) -> Any:
        return encoding.as_json(prediction), encoding.JSON


def _tensors(signature: Any, inputs: Any, by_rows: bool) -> dict[str, Any]:
    """The signature's arguments: of named inputs by their names, of anything else the only one."""
    import tensorflow

    wanted = signature.structured_input_signature[1]
    if by_rows and isinstance(inputs[0], dict):
        inputs = {name: [row[name] for row in inputs] for name in inputs[0]}
    if not isinstance(inputs, dict):
        inputs = {next(iter(wanted)): inputs}
    return {name: tensorflow.constant(value, dtype=wanted[name].dtype) for name, value in inputs.items()}


def saved_model(directory: Path) -> Path:
    """The SavedModel below `directory`: of several numbered versions the greatest. Raises `ValueError` when there is none."""
    found = [file.parent for file in directory.rglob("saved_model.pb")]
    if not found:
        raise ValueError("the model archive holds no SavedModel (a directory 1/ with saved_model.pb); use model.export")
    return max(found, key=lambda path: int(path.name) if path.name.isdecimal() else -1)
