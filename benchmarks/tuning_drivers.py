"""Optuna and Ray Tune drive the training function of tuning_training, two trials at a time; prints JSON. Run by tuning_jobs.

python -m benchmarks.tuning_drivers optuna|ray TABLE --trials 20 --seconds 5
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks.tuning_training import train

ETA, DEPTH, SUBSAMPLE = (0.01, 0.5), (2, 8), (0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("driver", choices=("optuna", "ray"))
    parser.add_argument("table", type=Path)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--parallel", type=int, default=2)
    options = parser.parse_args()
    driver = {"optuna": _optuna, "ray": _ray}[options.driver]
    print(json.dumps(driver(options.table.resolve(), options.trials, options.seconds, options.parallel)))


def _optuna(table: Path, trials: int, seconds: float, parallel: int) -> dict[str, float]:
    import optuna

    def objective(trial: Any) -> float:
        eta, subsample = trial.suggest_float("eta", *ETA, log=True), trial.suggest_float("subsample", *SUBSAMPLE)
        return train(table, seconds, eta, trial.suggest_int("max_depth", *DEPTH), subsample)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    began = time.monotonic()
    study.optimize(objective, n_trials=trials, n_jobs=parallel)
    return {"start": 0.0, "wall": time.monotonic() - began, "best": study.best_value}


def _ray(table: Path, trials: int, seconds: float, parallel: int) -> dict[str, float]:
    os.environ |= {
        "RAY_AUTH_MODE": "disabled",
        "RAY_DEDUP_LOGS": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    began = time.monotonic()
    import ray
    from ray import tune

    ray.init(num_cpus=parallel, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    started = time.monotonic()

    def trainable(config: dict[str, Any]) -> None:
        tune.report({"rmse": train(table, seconds, **config)})

    ranges = {
        "eta": tune.loguniform(*ETA),
        "max_depth": tune.randint(DEPTH[0], DEPTH[1] + 1),
        "subsample": tune.uniform(*SUBSAMPLE),
    }
    settings = tune.TuneConfig(metric="rmse", mode="min", num_samples=trials, max_concurrent_trials=parallel)
    best = (
        tune.Tuner(trainable, param_space=ranges, tune_config=settings, run_config=tune.RunConfig(verbose=0))
        .fit()
        .get_best_result()
    )
    ended = time.monotonic()
    ray.shutdown()
    return {"start": started - began, "wall": ended - started, "best": best.metrics["rmse"]}


if __name__ == "__main__":
    main()
