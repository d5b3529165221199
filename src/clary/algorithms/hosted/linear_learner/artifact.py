"""The model file: a zip of an MXNet module (`mx.mod.Module.load("mx-mod", 0)`) and of what the module does not say.

- mx-mod-symbol.json      the network: one fully connected layer and the function that makes scores of its margins
- mx-mod-0000.params      its arrays, `arg:fc0_weight` (outputs, features) and `arg:fc0_bias` (outputs,), for raw features
- additional-params.json  predictor type, loss, threshold, classes, and the biases in full precision
- manifest.json           what is in the zip
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.training import Model
from clary.formats import ndarray_list

FORMAT = 1
_SYMBOL, _PARAMS, _MORE, _MANIFEST = "mx-mod-symbol.json", "mx-mod-0000.params", "additional-params.json", "manifest.json"
_WEIGHT, _BIAS = "arg:fc0_weight", "arg:fc0_bias"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of all members: equal models make equal files."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model to serve: raw `weights` (outputs, features) float32, `bias` (outputs,) float64."""

    predictor_type: str
    loss: str
    threshold: float
    weights: np.ndarray
    bias: np.ndarray

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `ValueError` for a file that is none, naming it."""
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = ndarray_list.read(archive.read(_PARAMS), f"{path.name}: {_PARAMS}")
                more = json.loads(archive.read(_MORE))
        except (zipfile.BadZipFile, KeyError) as error:
            raise ValueError(f"{path.name} is no linear learner model: {error}") from error
        if not isinstance(arrays, dict) or "clary_format" not in more:
            raise ValueError(f"{path.name} was not written by Clary; its {_MORE} does not say what kind of model it is")
        if more["clary_format"] > FORMAT:
            raise ValueError(f"{path.name} is of format {more['clary_format']}; this Clary reads up to {FORMAT}: upgrade it")
        weights = np.asarray(arrays[_WEIGHT])
        return cls(more["predictor_type"], more["loss"], more["threshold"], weights, np.array(more["bias"]))


def save(path: Path, model: Model, recipe: Recipe, classes: int) -> None:
    """Write `model`, trained by `recipe`; `classes` is 0 for a regressor."""
    outputs, features = model.weights.shape
    weights = model.weights.astype(np.float32)
    more = {
        "clary_format": FORMAT,
        "predictor_type": recipe.predictor_type,
        "loss": recipe.loss_name,
        "threshold": model.threshold,
        "num_classes": classes,
        "feature_dim": features,
        "bias": model.bias.tolist(),
    }
    members: dict[str, str | bytes] = {
        _MANIFEST: json.dumps({"model": "mx-mod", "epoch": 0, "members": [_SYMBOL, _PARAMS, _MORE]}),
        _MORE: json.dumps(more),
        _SYMBOL: json.dumps(_symbol(outputs, recipe.loss_name)),
        _PARAMS: ndarray_list.write({_WEIGHT: weights, _BIAS: model.bias.astype(np.float32)}),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)


def _symbol(outputs: int, loss: str) -> dict[str, Any]:
    """The graph as `mxnet.symbol.load_json` reads it: inputs before the operations that take them."""
    layer = _node("FullyConnected", "fc0", [0, 1, 2], {"num_hidden": str(outputs), "no_bias": "False"})
    nodes = [_node("null", "data"), _node("null", "fc0_weight"), _node("null", "fc0_bias"), layer]
    if loss == "logistic":
        nodes.append(_node("sigmoid", "score", [3]))
    elif loss == "softmax_loss":
        nodes.append(_node("softmax", "score", [3], {"axis": "-1"}))
    return {
        "nodes": nodes,
        "arg_nodes": [0, 1, 2],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }


def _node(
    operation: str, name: str, inputs: list[int] | None = None, attributes: dict[str, str] | None = None
) -> dict[str, Any]:
    node: dict[str, Any] = {"op": operation, "name": name, "inputs": [[number, 0, 0] for number in inputs or []]}
    return node | ({"attrs": attributes} if attributes else {})
