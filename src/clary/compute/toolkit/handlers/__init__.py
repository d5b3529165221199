"""The serving functions of a model: the user's own, where the user wrote them, over the defaults of the framework."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clary.compute.toolkit import encoding


class Defaults:
    """What a framework does where the user's module has no function of the name."""

    def model_fn(self, model_dir: str) -> Any:
        """The model in `model_dir`."""
        raise NotImplementedError("the source has no model_fn(model_dir), which loads the model; write one")

    def input_fn(self, body: Any, content_type: str) -> Any:
        """What the model predicts from; `body` is text for JSON and CSV, else bytes."""
        return encoding.decode(body, content_type)

    def predict_fn(self, data: Any, model: Any) -> Any:
        raise NotImplementedError("the source has no predict_fn(data, model), which this framework needs; write one")

    def output_fn(self, prediction: Any, accept: str) -> Any:
        """The answer's body and its content type."""
        content_type = encoding.accepted(accept)
        return encoding.encode(prediction, content_type), content_type


def only_file(model_dir: str, suffixes: tuple[str, ...], preferred: str) -> Path:
    """The file `preferred` of `model_dir`, else the only one that ends in one of `suffixes`. Raises `ValueError`."""
    directory = Path(model_dir)
    if (directory / preferred).is_file():
        return directory / preferred
    found = sorted(path for path in directory.iterdir() if path.is_file() and path.name.endswith(suffixes))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise ValueError(
            f"without a model_fn the model must be one file that ends in {' or '.join(suffixes)}; the archive has {names}"
        )
    return found[0]
