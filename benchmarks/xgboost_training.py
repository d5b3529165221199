"""XGBoost training, from files to artifact, against the library alone with the data already in memory.

What the train program adds is reading, checking and saving: CPU seconds of both, and whether the models are equal.

    python benchmarks/xgboost_training.py [--rows 200000] [--rounds 50]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import xgboost

from clary.algorithms.hosted.xgboost import train

COLUMNS = 30
PARAMETERS = {"objective": "binary:logistic", "max_depth": 6, "nthread": 1, "seed": 1}


def main() -> None:
    options = _options()
    table = _table(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        opt_ml = Path(folder)
        size = _lay_out(opt_ml, table, options.rounds)
        ours = _cpu_seconds(lambda: _quietly(opt_ml))
        booster = xgboost.Booster(model_file=opt_ml / "model" / "xgboost-model")
    plain: list[xgboost.Booster] = []
    alone = _cpu_seconds(lambda: plain.append(_library(table, options.rounds)))
    rows = xgboost.DMatrix(table[:1000, 1:])
    equal = np.array_equal(booster.predict(rows), plain[0].predict(rows))
    print(f"{options.rows} rows x {COLUMNS} columns, {size:.0f} MB of CSV, {options.rounds} rounds, one thread")
    print(f"clary, from files      {ours:7.2f} s CPU")
    print(f"library, from memory   {alone:7.2f} s CPU   ratio {ours / alone:.2f}   equal models: {equal}")


def _table(rows: int) -> np.ndarray:
    """(rows, 1 + COLUMNS) float32, label first; the cells are what their text says."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(rows, COLUMNS)).round(4).astype(np.float32)
    return np.column_stack([(features[:, 0] * features[:, 1] > 0).astype(np.float32), features])


def _lay_out(opt_ml: Path, table: np.ndarray, rounds: int) -> float:
    """`/opt/ml` of a job with one CSV file; its size in megabytes."""
    config, channel = opt_ml / "input" / "config", opt_ml / "input" / "data" / "train"
    config.mkdir(parents=True)
    channel.mkdir(parents=True)
    hyperparameters = {name: str(value) for name, value in PARAMETERS.items()} | {"num_round": str(rounds)}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(
        json.dumps({"train": {"ContentType": "text/csv", "TrainingInputMode": "File"}})
    )
    (config / "resourceconfig.json").write_text(json.dumps({"hosts": ["algo-1"]}))
    np.savetxt(channel / "data.csv", table, delimiter=",", fmt="%.6g")
    return (channel / "data.csv").stat().st_size / 1e6


def _quietly(opt_ml: Path) -> None:
    os.environ["CLARY_IMAGE_TAG"] = "3.0-5"
    with contextlib.redirect_stdout(io.StringIO()):
        train(opt_ml)


def _library(table: np.ndarray, rounds: int) -> xgboost.Booster:
    data = xgboost.QuantileDMatrix(table[:, 1:], table[:, 0], nthread=1)
    return xgboost.train(PARAMETERS, data, rounds, evals=[(data, "train")], verbose_eval=False)


def _cpu_seconds(work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=50)
    return parser.parse_args()


if __name__ == "__main__":
    main()
