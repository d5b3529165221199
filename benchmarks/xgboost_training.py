"""An XGBoost job, from files to artifact, against the library alone with the rows already in memory.

The recipe: 500,000 rows of 28 columns like those of the Higgs data, 100 rounds of depth 6, one thread. What the job adds to the
library's own time is reading its files, which is shown apart, checking, metrics and saving. Both report the same metric of the
training rows in each round. The models must be equal, and the AUC is that of 100,000 further rows.

    python -m benchmarks.xgboost_training [--rows 500000] [--rounds 100] [--repeats 3] [--formats csv,parquet,records,libsvm]
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from sklearn.metrics import roc_auc_score

from clary.algorithms.hosted.xgboost import data, train
from clary.formats import records

TEST_ROWS = 100_000
PARAMETERS: dict[str, Any] = {"objective": "binary:logistic", "max_depth": 6, "eta": 0.1, "nthread": 1, "seed": 0}


def main() -> None:
    options = _options()
    os.environ["CLARY_IMAGE_TAG"] = "3.0-5"
    table = higgs_like(options.rows + TEST_ROWS)
    training, test = table[: options.rows], table[options.rows :]
    library: list[float] = []
    jobs: dict[str, list[tuple[float, float]]] = {name: [] for name in options.formats}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.formats:
            lay_out(Path(folder) / name, FORMATS[name], training, options.rounds)
        for _ in range(options.repeats):
            alone, seconds = _timed(lambda: _library(training, options.rounds))
            library.append(seconds)
            for name in options.formats:
                jobs[name].append(_job(Path(folder) / name))
        boosters = {name: xgboost.Booster(model_file=Path(folder) / name / "model" / "xgboost-model") for name in jobs}
    print(f"{options.rows} rows x 28 columns, {options.rounds} rounds, one thread; CPU seconds, median of {options.repeats}")
    _report("library alone, from memory", statistics.median(library), alone, test)
    for name, seconds in jobs.items():
        decode, rest = (statistics.median(part) for part in zip(*seconds, strict=True))
        ratio = statistics.median(job / own for (_, job), own in zip(seconds, library, strict=True))
        _report(
            f"job, {name}, after decoding", rest, boosters[name], test, f"{ratio:.3f} x the library, {decode:.2f} s of decoding"
        )
        equal = np.array_equal(
            boosters[name].predict(xgboost.DMatrix(test[:, 1:])), alone.predict(xgboost.DMatrix(test[:, 1:]))
        )
        print(f"{'':34}the library's model: {'yes' if equal else 'no (text has fewer digits)'}")


def higgs_like(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 29) float32: a label that is Bernoulli(sigmoid(f)), 21 normal columns and 7 made of them with noise."""
    rng = np.random.default_rng(seed)
    Z = rng.standard_normal((rows, 21), dtype=np.float32)
    made = np.stack(
        [
            Z[:, 0] * Z[:, 1],
            np.hypot(Z[:, 2], Z[:, 3]),
            np.abs(Z[:, 4] - Z[:, 5]),
            Z[:, 6] * Z[:, 7] * Z[:, 8],
            np.hypot(Z[:, 9] + Z[:, 10], Z[:, 11]),
            np.cos(2 * Z[:, 12]) * Z[:, 13],
            np.maximum(Z[:, 14], Z[:, 15]),
        ],
        axis=1,
    )
    noisy = made + 0.3 * rng.standard_normal(made.shape, dtype=np.float32)
    f = 0.8 * made[:, 0] - 0.9 * (made[:, 1] - 1.25) + 0.7 * (made[:, 2] - 1.1) + 0.5 * made[:, 3] + 0.6 * made[:, 5]
    f += 0.5 * np.sin(3 * Z[:, 16]) + 0.4 * Z[:, 17] * (Z[:, 18] > 0) - 0.3 * Z[:, 19]
    labels = (rng.random(rows) < 1 / (1 + np.exp(-f))).astype(np.float32)
    return np.column_stack([labels, Z, noisy]).astype(np.float32)


def _csv(table: np.ndarray) -> bytes:
    text = io.BytesIO()
    np.savetxt(text, table, delimiter=",", fmt="%.9g")
    return text.getvalue()


def _parquet(table: np.ndarray) -> bytes:
    import pyarrow
    import pyarrow.parquet

    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({f"c{at}": column for at, column in enumerate(table.T)}), sink)
    return sink.getvalue()


def _libsvm(table: np.ndarray) -> bytes:
    form = "%d " + " ".join(f"{column}:%.9g" for column in range(table.shape[1] - 1))
    return "\n".join(form % tuple(row) for row in table.tolist()).encode()


Format = tuple[str, Callable[[np.ndarray], bytes]]
FORMATS: dict[str, Format] = {
    "csv": ("text/csv", _csv),
    "parquet": ("application/x-parquet", _parquet),
    "records": ("application/x-recordio-protobuf", lambda table: records.write(table[:, 1:], table[:, 0])),
    "libsvm": ("text/libsvm", _libsvm),
}


def lay_out(opt_ml: Path, form: Format, table: np.ndarray, rounds: int) -> None:
    """`/opt/ml` of a job with one file."""
    content_type, write = form
    config, channel = opt_ml / "input" / "config", opt_ml / "input" / "data" / "train"
    config.mkdir(parents=True)
    channel.mkdir(parents=True)
    hyperparameters = {name: str(value) for name, value in PARAMETERS.items()} | {"num_round": str(rounds)}
    (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    (config / "inputdataconfig.json").write_text(json.dumps({"train": {"ContentType": content_type}}))
    (config / "resourceconfig.json").write_text(json.dumps({"hosts": ["algo-1"]}))
    (channel / "data").write_bytes(write(table))


def _library(table: np.ndarray, rounds: int) -> xgboost.Booster:
    matrix = xgboost.QuantileDMatrix(table[:, 1:], table[:, 0], nthread=1)
    return xgboost.train(PARAMETERS, matrix, rounds, evals=[(matrix, "train")], verbose_eval=False)


def _job(opt_ml: Path) -> tuple[float, float]:
    """CPU seconds of decoding, and of everything else."""
    decoding: list[float] = []
    read = data.read

    def timed_read(*given: Any) -> Any:
        rows, seconds = _timed(lambda: read(*given))
        decoding.append(seconds)
        return rows

    data.read = timed_read
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            _, whole = _timed(lambda: train(opt_ml))
    finally:
        data.read = read
    return decoding[0], whole - decoding[0]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def _report(name: str, seconds: float, booster: xgboost.Booster, test: np.ndarray, more: str = "") -> None:
    auc = roc_auc_score(test[:, 0], booster.predict(xgboost.DMatrix(test[:, 1:])))
    print(f"{name:34}{seconds:6.2f} s   AUC {auc:.5f}   {more}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--formats", type=lambda text: text.split(","), default=["csv", "parquet", "records"])
    return parser.parse_args()


if __name__ == "__main__":
    main()
