"""The file of a fitted estimator: arrays and a JSON document in one safetensors file. Opening one runs no code of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

FORMAT = 1
_KEY = "clary"


def write(path: str | Path, kind: str, document: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write the model `kind`. `document` is JSON; `arrays` are of any numeric dtype."""
    text = json.dumps({"format": FORMAT, "kind": kind, "document": dict(document)})
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, str(path), metadata={_KEY: text})


def read(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Document and arrays of the model `kind`. Raises `ValueError` for any other file."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - the file is no mapping
    except SafetensorError as error:
        raise ValueError(f"{path} holds no model of Clary: {error}") from error
    header = json.loads(text) if text else {}
    if header.get("kind") != kind:
        raise ValueError(f"{path} holds {header.get('kind') or 'no'} model of Clary where a {kind} is expected")
    if header["format"] > FORMAT:
        raise ValueError(f"{path} is of format {header['format']}; this Clary reads up to {FORMAT}: upgrade it")
    return header["document"], arrays
