"""XGBoost's quality on public data: jobs as the hosted notebooks ran them, the library alone, and scikit-learn's boosting.

Needs the data sets (telecom churn, abalone, census income) in folders of DIR; without them it says that it measures nothing.
Every figure is the mean of five seeds, with its standard deviation; `published` is the hosted service's or a notebook's.

    python -m benchmarks.xgboost_quality --data DIR [--image 1.2-2]
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

from clary.algorithms.hosted.xgboost import train
from clary.formats import csv as csv_format

SEEDS = range(5)
ROUNDS = 100


@dataclass(frozen=True)
class Split:
    """(rows, 1 + columns) float32 tables, label first."""

    train: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Case:
    """A data set, the hyperparameters of its notebook, what is measured, and the published figure."""

    name: str
    split: Callable[[Path, int], Split]
    hyperparameters: dict[str, Any]
    measure: str
    score: Callable[[np.ndarray, np.ndarray], float]
    published: str


def main() -> None:
    options = _options()
    if options.data is None or not options.data.is_dir():
        print("skipped: give the folder of the data sets with --data DIR (telecom_churn, abalone, adult_census)")
        return
    os.environ["CLARY_IMAGE_TAG"] = options.image
    print(f"jobs of image {options.image}; mean and standard deviation of {len(SEEDS)} seeds")
    print(f"{'':16}{'measure':22}{'job':20}{'library, hist':20}{'scikit-learn':20}published")
    for case in CASES:
        splits = [case.split(options.data, seed) for seed in SEEDS]
        columns = [[quality(case, part, seed) for part, seed in zip(splits, SEEDS, strict=True)] for quality in CONTESTANTS]
        cells = "".join(f"{f'{np.mean(column):.4f} ± {np.std(column):.4f}':20}" for column in columns)
        print(f"{case.name:16}{case.measure:22}{cells}{case.published}", flush=True)


def job_quality(case: Case, split: Split, seed: int) -> float:
    """Of the model that the train program leaves."""
    with tempfile.TemporaryDirectory() as folder:
        opt_ml = Path(folder)
        given = {name: str(value) for name, value in case.hyperparameters.items()}
        _lay_out(opt_ml, given | {"seed": str(seed), "nthread": "1"}, split)
        with contextlib.redirect_stdout(io.StringIO()):
            train(opt_ml)
        booster = xgboost.Booster(model_file=opt_ml / "model" / "xgboost-model")
    return case.score(split.test[:, 0], booster.predict(xgboost.DMatrix(split.test[:, 1:])))


def library_quality(case: Case, split: Split, seed: int) -> float:
    """Of the installed library with its own defaults and the same parameters."""
    parameters = {name: value for name, value in case.hyperparameters.items() if name != "num_round"}
    data = xgboost.DMatrix(split.train[:, 1:], split.train[:, 0])
    booster = xgboost.train(parameters | {"seed": seed, "nthread": 1}, data, case.hyperparameters["num_round"])
    return case.score(split.test[:, 0], booster.predict(xgboost.DMatrix(split.test[:, 1:])))


def sklearn_quality(case: Case, split: Split, seed: int) -> float:
    """Of scikit-learn's histogram boosting with as many rounds and the same step size."""
    given = case.hyperparameters
    shared = {"max_iter": given["num_round"], "learning_rate": given["eta"], "early_stopping": False, "random_state": seed}
    X, y = split.train[:, 1:], split.train[:, 0]
    if given["objective"].startswith("binary:"):
        classifier = HistGradientBoostingClassifier(**shared).fit(X, y)
        return case.score(split.test[:, 0], classifier.predict_proba(split.test[:, 1:])[:, 1])
    return case.score(split.test[:, 0], HistGradientBoostingRegressor(**shared).fit(X, y).predict(split.test[:, 1:]))


CONTESTANTS = (job_quality, library_quality, sklearn_quality)


def error(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.mean((predicted > 0.5) != truth))


def rmse(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - truth) ** 2)))


def auc(truth: np.ndarray, predicted: np.ndarray) -> float:
    return float(roc_auc_score(truth, predicted))


def churn(data: Path, seed: int) -> Split:
    """The notebook's own split; the data are numbers already."""
    parts = [_numbers(data / "telecom_churn" / f"churn_{part}.csv.gz") for part in ("train", "validation")]
    return Split(*parts)


def abalone(data: Path, seed: int) -> Split:
    """70 % to train, 15 % to test, cut anew with every seed; the sex becomes 1, 2 or 3."""
    rows = list(_rows(data / "abalone" / "abalone.csv"))[1:]
    sexes = {"M": 1, "F": 2, "I": 3}
    table = np.array([[float(row[-1]), sexes[row[0]], *map(float, row[1:-1])] for row in rows], dtype=np.float32)
    table = table[np.random.default_rng(seed).permutation(len(table))]
    return Split(table[: int(0.7 * len(table))], table[int(0.85 * len(table)) :])


def census(data: Path, seed: int) -> Split:
    """A fifth of the training rows is left out, another one with every seed; categories become columns of 0 and 1."""
    parts = [list(_rows(data / "adult_census" / f"adult_{part}.csv.gz")) for part in ("train", "test")]
    header, rows = parts[0][0], parts[0][1:] + parts[1][1:]
    columns = [np.array([row[-1] == ">50K" for row in rows], dtype=np.float32)]
    for at, name in enumerate(header[:-1]):
        columns += _columns([row[at] for row in rows], name)
    table = np.column_stack(columns)
    count = len(parts[0]) - 1
    kept = np.random.default_rng(seed).permutation(count)[: int(0.8 * count)]
    return Split(table[kept], table[count:])


def _columns(cells: list[str], name: str) -> list[np.ndarray]:
    """A column of numbers as it is, one of text as a column per value."""
    if name in ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"):
        return [np.array([float(cell) if cell else np.nan for cell in cells], dtype=np.float32)]
    values = np.array(cells)
    return [(values == value).astype(np.float32) for value in np.unique(values)]


def _rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        yield from csv.reader(file)


def _numbers(path: Path) -> np.ndarray:
    return np.array(list(_rows(path))[1:], dtype=np.float32)


CHURN = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.2, "gamma": 4, "min_child_weight": 6, "subsample": 0.8}
ABALONE = {"objective": "reg:squarederror", "max_depth": 5, "eta": 0.2, "gamma": 4, "min_child_weight": 6, "subsample": 0.7}
CENSUS = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.2, "gamma": 4, "min_child_weight": 6, "subsample": 0.8}

CASES = (
    Case("telecom churn", churn, CHURN | {"num_round": ROUNDS}, "validation error", error, "0.063 to 0.064"),
    Case("abalone", abalone, ABALONE | {"num_round": 50}, "test RMSE", rmse, "about 2.1"),
    Case("census income", census, CENSUS | {"num_round": ROUNDS, "tree_method": "hist"}, "test AUC", auc, "0.911"),
)


def _lay_out(opt_ml: Path, hyperparameters: dict[str, str], split: Split) -> None:
    config, channel = opt_ml / "input" / "config", opt_ml / "input" / "data" / "train"
    config.mkdir(parents=True)
    channel.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(json.dumps({"train": {"ContentType": "text/csv"}}))
    (config / "resourceconfig.json").write_text(json.dumps({"hosts": ["algo-1"]}))
    (channel / "data.csv").write_bytes(csv_format.format_rows(split.train))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--image", default="1.2-2", help="tag of the image whose defaults are used")
    return parser.parse_args()


if __name__ == "__main__":
    main()
