"""The model file: a zip of an MXNet module and of what the module does not say.

- symbol.json   the network; `out` takes the label `out_label`
- params        its arrays: `arg:v` (features, num_factors), `arg:w1_weight` (features, 1) and `arg:w0_weight` (1,)
- meta.json     predictor type and sizes

Renamed to `model-symbol.json` and `model-0000.params` they open with
`mx.module.Module.load("model", 0, False, label_names=["out_label"])`.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from clary.algorithms.recommend.parameters import Parameters
from clary.formats import ndarray_list

_SYMBOL, _PARAMS, _META = "symbol.json", "params", "meta.json"
_FACTORS, _WEIGHTS, _BIAS = "v", "w1_weight", "w0_weight"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of all members: equal models make equal files."""
_OUTPUTS = {"regressor": "LinearRegressionOutput", "binary_classifier": "LogisticRegressionOutput"}


@dataclass(frozen=True, slots=True)
class Artifact:
    """A model to serve."""

    predictor_type: str
    parameters: Parameters

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises `ValueError` for a file that is none, naming it."""
        try:
            with zipfile.ZipFile(path) as archive:
                arrays = ndarray_list.read(archive.read(_PARAMS), f"{path.name}: {_PARAMS}")
                symbol = json.loads(archive.read(_SYMBOL))
        except (zipfile.BadZipFile, KeyError, json.JSONDecodeError) as error:
            raise ValueError(f"{path.name} is no factorization machines model: {error}") from error
        bias, weights, factors = (_array(arrays, name, path) for name in (_BIAS, _WEIGHTS, _FACTORS))
        if factors.ndim != 2 or weights.size != len(factors) or bias.size != 1:
            raise ValueError(f"{path.name}: v {factors.shape}, w1_weight {weights.shape} and w0_weight {bias.shape} do not fit")
        return cls(_predictor_type(symbol, path), Parameters.of(float(bias.ravel()[0]), weights.ravel(), factors))


def save(path: Path, machine: Parameters, predictor_type: str, num_factors: int) -> None:
    """Write `machine`; without the padding of its factors."""
    factors = machine.factors[:, :num_factors]
    arrays = {
        f"arg:{_FACTORS}": factors,
        f"arg:{_WEIGHTS}": machine.weights[:, None],
        f"arg:{_BIAS}": machine.bias,
    }
    meta = {"predictor_type": predictor_type, "feature_dim": len(factors), "num_factors": num_factors}
    members: dict[str, str | bytes] = {
        _META: json.dumps(meta),
        _SYMBOL: json.dumps(_symbol(predictor_type, *factors.shape)),
        _PARAMS: ndarray_list.write(arrays),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)


def _array(arrays: Any, name: str, path: Path) -> np.ndarray:
    if not isinstance(arrays, dict) or f"arg:{name}" not in arrays:
        raise ValueError(f"{path.name} is no factorization machines model: its {_PARAMS} have no array {name}")
    return arrays[f"arg:{name}"]


def _predictor_type(symbol: dict[str, Any], path: Path) -> str:
    """What the network's last operation says."""
    operations = {node.get("op") for node in symbol.get("nodes", [])}
    found = [predictor for predictor, output in _OUTPUTS.items() if output in operations]
    if not found:
        raise ValueError(f"{path.name}: its {_SYMBOL} ends in none of {', '.join(_OUTPUTS.values())}")
    return found[0]


def _symbol(predictor_type: str, features: int, num_factors: int) -> dict[str, Any]:
    """The graph as `mxnet.symbol.load_json` reads it: (operation, name, inputs, attributes), inputs first."""
    graph: list[tuple[str, str, tuple[int, ...], dict[str, str]]] = [
        ("null", "data", (), {}),
        ("null", _WEIGHTS, (), {"__shape__": f"({features}, 1)"}),
        ("dot", "linear", (0, 1), {}),
        ("null", _BIAS, (), {"__shape__": "(1,)"}),
        ("broadcast_add", "linear_and_bias", (2, 3), {}),
        ("null", _FACTORS, (), {"__shape__": f"({features}, {num_factors})"}),
        ("dot", "sums", (0, 5), {}),
        ("square", "squared_sums", (6,), {}),
        ("square", "squared_data", (0,), {}),
        ("square", "squared_v", (5,), {}),
        ("dot", "sums_of_squares", (8, 9), {}),
        ("elemwise_sub", "differences", (7, 10), {}),
        ("sum", "twice_pairs", (11,), {"axis": "1", "keepdims": "True"}),
        ("_mul_scalar", "pairs", (12,), {"scalar": "0.5"}),
        ("elemwise_add", "score", (4, 13), {}),
        ("null", "out_label", (), {}),
        (_OUTPUTS[predictor_type], "out", (14, 15), {}),
    ]
    nodes = [
        {"op": operation, "name": name, "inputs": [[number, 0, 0] for number in inputs], "attrs": attributes}
        for operation, name, inputs, attributes in graph
    ]
    return {
        "nodes": nodes,
        "arg_nodes": [number for number, (operation, *_) in enumerate(graph) if operation == "null"],
        "node_row_ptr": list(range(len(nodes) + 1)),
        "heads": [[len(nodes) - 1, 0, 0]],
        "attrs": {"mxnet_version": ["int", 10901]},
    }
