"""A booster's trees as flat arrays, which answer a few rows many times faster than the library does and with the same bits.

The library's own call for one row spends its time on everything but the trees. Not every booster can be laid flat (linear
boosters, dropped-out trees, splits by category): `Forest.of` says so with None.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import xgboost

from clary.algorithms.trees import ubjson
from clary.algorithms.trees.forest_kernels import (
    CLASS,
    EXPONENTIAL,
    IDENTITY,
    NODE,
    PROBABILITIES,
    SIGMOID,
    SIGN,
    add_trees,
)

_FORMS = {
    "reg:squarederror": IDENTITY,
    "reg:squaredlogerror": IDENTITY,
    "reg:pseudohubererror": IDENTITY,
    "reg:absoluteerror": IDENTITY,
    "binary:logitraw": IDENTITY,
    "rank:pairwise": IDENTITY,
    "rank:ndcg": IDENTITY,
    "rank:map": IDENTITY,
    "reg:logistic": SIGMOID,
    "binary:logistic": SIGMOID,
    "count:poisson": EXPONENTIAL,
    "reg:gamma": EXPONENTIAL,
    "reg:tweedie": EXPONENTIAL,
    "survival:cox": EXPONENTIAL,
    "survival:aft": EXPONENTIAL,
    "binary:hinge": SIGN,
    "multi:softprob": PROBABILITIES,
    "multi:softmax": CLASS,
}

_PROBES = 64
"""Rows that a forest must answer with the library's own bits before it answers anything else."""


class Forest:
    """`forest(rows)`: predictions of (rows, columns) C-contiguous float32, NaN is missing, as the booster itself gives them."""

    def __init__(self, nodes: np.ndarray, trees: np.ndarray, base: np.ndarray, columns: int, form: int):
        self._nodes = nodes  # (nodes,) NODE
        self._trees = trees  # (trees, 2) int32: root, group
        self._base = base  # (1, groups) float32: the margin before the first tree
        self._form = form
        self.columns = columns

    @classmethod
    def of(cls, booster: xgboost.Booster, rounds: int = 0) -> Forest | None:
        """The trees of the first `rounds` rounds, 0 is all; None for a booster that only the library can answer for."""
        learner = ubjson.parse(bytes(booster.save_raw("ubj")))["learner"]
        objective = learner["objective"]["name"]
        if objective not in _FORMS or learner["gradient_booster"]["name"] != "gbtree":
            return None
        model = learner["gradient_booster"]["model"]
        trees = model["trees"][: model["iteration_indptr"][rounds] if rounds else None]
        if not trees or any(_is_special(tree) for tree in trees):
            return None
        sizes = [len(tree["left_children"]) for tree in trees]
        roots = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int32)
        nodes = np.concatenate([_flat(tree, root) for tree, root in zip(trees, roots, strict=True)])
        places = np.column_stack([roots, model["tree_info"][: len(trees)]]).astype(np.int32)
        forest = cls(nodes, np.ascontiguousarray(places), _base(learner), booster.num_features(), _FORMS[objective])
        return forest if forest._agrees_with(booster, rounds) else None

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """(rows,) or, for probabilities of classes, (rows, classes) float32. Raises `ValueError` for another width."""
        if rows.shape[1] != self.columns:
            raise ValueError(f"rows must have {self.columns} columns; got shape {rows.shape}")
        predictions = np.repeat(self._base, len(rows), axis=0)
        add_trees(rows, self._nodes, self._trees, self._form, predictions)
        return predictions if self._form == PROBABILITIES else predictions[:, 0]

    def _agrees_with(self, booster: xgboost.Booster, rounds: int) -> bool:
        """Whether random rows, some at the very thresholds and some with gaps, get the library's bits on this machine."""
        rows = _probes(self._nodes, self.columns)
        expected = booster.inplace_predict(rows, iteration_range=(0, rounds))
        return np.array_equal(self(rows), expected, equal_nan=True)


def _is_special(tree: dict[str, Any]) -> bool:
    """Whether a tree splits by category, has vectors as leaves, or children that are no neighbours."""
    split = tree["left_children"] >= 0
    return bool(
        tree["split_type"].any()
        or tree["tree_param"]["size_leaf_vector"] not in ("0", "1")
        or (tree["right_children"][split] != tree["left_children"][split] + 1).any()
    )


def _flat(tree: dict[str, Any], root: int) -> np.ndarray:
    """(nodes,) of one tree, whose first node becomes number `root`."""
    nodes = np.empty(len(tree["left_children"]), dtype=NODE)
    leaf = tree["left_children"] < 0
    nodes["child"] = tree["left_children"] + root
    nodes["feature"] = np.where(leaf, -1, tree["split_indices"])
    nodes["threshold"] = tree["split_conditions"]
    nodes["missing"] = nodes["child"] + (tree["default_left"] == 0)
    return nodes


def _base(learner: dict[str, Any]) -> np.ndarray:
    """(1, groups) float32: the margin of every row before the first tree, from a booster that has none."""
    given = learner["learner_model_param"]
    parameters = {"objective": learner["objective"]["name"], "nthread": 1, "verbosity": 0}
    if given["num_class"] != "0":
        parameters["num_class"] = given["num_class"]
    row = xgboost.DMatrix(np.zeros((1, int(given["num_feature"])), dtype=np.float32), nthread=1)
    treeless = json.loads(xgboost.Booster(parameters, cache=[row]).save_raw("json"))
    # as a parameter the same text would be read less exactly than as part of a model
    treeless["learner"]["learner_model_param"]["base_score"] = given["base_score"]
    booster = xgboost.Booster({"nthread": 1, "verbosity": 0}, model_file=bytearray(json.dumps(treeless).encode()))
    return booster.predict(row, output_margin=True).reshape(1, -1)


def _probes(nodes: np.ndarray, columns: int) -> np.ndarray:
    """(_PROBES, columns) float32: thresholds of the trees, drawn per column, and gaps."""
    rng = np.random.default_rng(0)
    splits = nodes[nodes["feature"] >= 0]
    rows = rng.normal(size=(_PROBES, columns)).astype(np.float32)
    if len(splits):
        drawn = splits[rng.integers(0, len(splits), _PROBES * 8)]
        rows[np.arange(len(drawn)) % _PROBES, drawn["feature"]] = drawn["threshold"]
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows
