"""XGBoost on one host and on several, each with a share of the same rows: does the model stay as good?

60,000 rows of the recipe of `xgboost_training`, 60 rounds; test AUC on 60,000 further rows. The hosts are processes of this
machine, so their time says nothing: they share its cores.

    python -m benchmarks.xgboost_hosts [--rows 60000] [--seeds 5] [--hosts 1,2,4]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import secrets
import socket
import tempfile
from pathlib import Path

import numpy as np
import xgboost
from benchmarks.xgboost_training import FORMATS, higgs_like, lay_out
from sklearn.metrics import roc_auc_score

from clary.algorithms.hosted.cluster import ADDRESS, SECRET
from clary.algorithms.hosted.xgboost import train

ROUNDS = 60
PROCESSES = multiprocessing.get_context("forkserver")


def main() -> None:
    options = _options()
    PROCESSES.set_forkserver_preload(["clary.algorithms.hosted.xgboost"])
    reached: dict[int, list[float]] = {hosts: [] for hosts in options.hosts}
    for seed in range(options.seeds):
        table = higgs_like(2 * options.rows, seed)
        test = xgboost.DMatrix(table[options.rows :, 1:])
        for hosts in options.hosts:
            booster = together(table[: options.rows], hosts)
            reached[hosts].append(float(roc_auc_score(table[options.rows :, 0], booster.predict(test))))
    print(
        f"{options.rows} rows x 28 columns, {ROUNDS} rounds; test AUC, mean and standard deviation of {options.seeds} data sets"
    )
    first = np.array(reached[options.hosts[0]])
    for hosts, values in reached.items():
        change = np.array(values) - first
        print(
            f"{hosts} hosts   {np.mean(values):.5f} ± {np.std(values):.5f}   change {change.mean():+.5f} ± {change.std():.5f}"
        )


def together(table: np.ndarray, hosts: int) -> xgboost.Booster:
    """The model that so many hosts train, each on a share of `table`."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        meeting = {ADDRESS: f"127.0.0.1:{holder.getsockname()[1]}", SECRET: secrets.token_hex(32)}
        names = [f"algo-{number}" for number in range(1, hosts + 1)]
        started = []
        for name, share in zip(names, np.array_split(table, hosts), strict=True):
            opt_ml = Path(folder) / name
            lay_out(opt_ml, FORMATS["records"], share, ROUNDS)
            resources = {"current_host": name, "hosts": names}
            (opt_ml / "input" / "config" / "resourceconfig.json").write_text(json.dumps(resources))
            started.append(PROCESSES.Process(target=_host, args=(opt_ml, meeting)))
            started[-1].start()
        for process in started:
            process.join()
        return xgboost.Booster(model_file=Path(folder) / names[0] / "model" / "xgboost-model")


def _host(opt_ml: Path, meeting: dict[str, str]) -> None:
    os.environ.update(meeting, CLARY_IMAGE_TAG="3.0-5")
    with (opt_ml / "log").open("wb") as log:
        os.dup2(log.fileno(), 1)
    train(opt_ml)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=60_000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--hosts", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2, 4])
    return parser.parse_args()


if __name__ == "__main__":
    main()
