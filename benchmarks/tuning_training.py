"""The training function that tuning_jobs gives to every contestant; run as a program it is the script of a training job."""

from __future__ import annotations

import argparse
import csv
import os
import time
from pathlib import Path

import numpy as np
import xgboost

ROUNDS = 60


def train(table: Path, seconds: float, eta: float, max_depth: int, subsample: float) -> float:
    """RMSE of XGBoost on abalone, mean over random splits: as many of them as begin within so many seconds, at least one."""
    began, errors = time.monotonic(), []
    cells = rows(table)
    while not errors or time.monotonic() - began < seconds:
        errors.append(_split(cells, len(errors), {"eta": eta, "max_depth": max_depth, "subsample": subsample}))
    return float(np.mean(errors))


def _split(rows: np.ndarray, seed: int, parameters: dict[str, float]) -> float:
    shuffled = np.random.default_rng(seed).permutation(rows)
    cut = len(rows) * 7 // 10
    data, held = (xgboost.DMatrix(part[:, :-1], part[:, -1], nthread=1) for part in (shuffled[:cut], shuffled[cut:]))
    booster = xgboost.train(parameters | {"nthread": 1, "seed": seed}, data, ROUNDS)
    return float(np.sqrt(np.mean((booster.predict(held) - held.get_label()) ** 2)))


def rows(table: Path) -> np.ndarray:
    with table.open() as file:
        cells = list(csv.reader(file))[1:]
    return np.array([[float("MFI".index(row[0])), *map(float, row[1:])] for row in cells], dtype=np.float32)


def main() -> None:
    """In a job: hyperparameters are arguments, the table is in the channel `train`, the metric is a line of the log."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--eta", type=float, required=True)
    parser.add_argument("--max_depth", type=int, required=True)
    parser.add_argument("--subsample", type=float, required=True)
    found = train(Path(os.environ["SM_CHANNEL_TRAIN"], "abalone.csv"), **vars(parser.parse_args()))
    print(f"rmse={found:.5f};", flush=True)


if __name__ == "__main__":
    main()
