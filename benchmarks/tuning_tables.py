"""Tables of trials: five real tuning problems, each trained at a thousand or two settings once, with the metric of every round.

Settings are scrambled Sobol points of the scaled unit cube, so that a table is as dense everywhere. A table is made when it is
missing and kept in build/tuning (about 20 minutes of one core for all five).

    python -m benchmarks.tuning_tables [--data ../shared/data] [NAME...]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from clary.tuning import Categorical, Continuous, Integer, Scale, Space

HOME = Path(__file__).parent.parent / "build" / "tuning"
DATA = Path(__file__).parent.parent.parent / "shared" / "data"
Value = float | int | str
Values = Mapping[str, Value]


@dataclass(frozen=True)
class Axis:
    """A hyperparameter: a range of numbers, evenly spread or over orders of magnitude, whole or not, or `choices`."""

    name: str
    low: float = 0
    high: float = 1
    log: bool = False
    whole: bool = False
    choices: tuple[str, ...] = ()

    def value(self, unit: float) -> Value:
        """At a place in [0, 1)."""
        if self.choices:
            return self.choices[int(unit * len(self.choices))]
        value = self.low * (self.high / self.low) ** unit if self.log else self.low + unit * (self.high - self.low)
        return round(value) if self.whole else value

    def parameter(self) -> Categorical | Continuous | Integer:
        if self.choices:
            return Categorical(self.name, self.choices)
        scale: Scale = "Logarithmic" if self.log else "Linear"
        if self.whole:
            return Integer(self.name, int(self.low), int(self.high), scale)
        return Continuous(self.name, self.low, self.high, scale)

    def places(self, value: Value) -> list[float]:
        """Coordinates of a value in the unit cube, one per choice: settings that differ in one choice are 1 apart."""
        if self.choices:
            return [(value == choice) / 2**0.5 for choice in self.choices]
        number = float(value)
        if self.log:
            return [float(np.log(number / self.low) / np.log(self.high / self.low))]
        return [(number - self.low) / (self.high - self.low)]


@dataclass(frozen=True)
class Problem:
    """A data set, an algorithm, what is tuned, and the metric of the validation rows that a trial reports each round."""

    name: str
    metric: str
    minimize: bool
    rounds: int
    axes: tuple[Axis, ...]
    entries: int

    def settings(self) -> list[dict[str, Value]]:
        """Of all entries."""
        units = qmc.Sobol(len(self.axes), seed=0).random(self.entries)
        return [{axis.name: axis.value(place) for axis, place in zip(self.axes, row, strict=True)} for row in units]

    def places(self, values: Values) -> np.ndarray:
        """Of one entry in the unit cube."""
        return np.array([place for axis in self.axes for place in axis.places(values[axis.name])])

    def space(self) -> Space:
        """For our optimisers."""
        return Space(tuple(axis.parameter() for axis in self.axes))

    def path(self) -> Path:
        """Of the table; another one when what is searched is another. Delete it when the algorithm has changed."""
        searched = repr((self.metric, self.rounds, self.axes, self.entries)).encode()
        return HOME / f"{self.name.replace(' ', '_')}-{hashlib.sha256(searched).hexdigest()[:8]}.npz"


@dataclass(frozen=True)
class Table:
    """What was measured: `places` (entries, coordinates), `curves` (entries, rounds), CPU `seconds` (entries,)."""

    problem: Problem
    settings: list[dict[str, Value]]
    places: np.ndarray
    curves: np.ndarray
    seconds: np.ndarray

    @property
    def objectives(self) -> np.ndarray:
        """(entries,): the metric of the last round, as the service takes it."""
        return self.curves[:, -1]

    def nearest(self, values: Values, allowed: np.ndarray) -> tuple[int, float]:
        """The entry with the least Euclidean distance to `values` among those `allowed` (entries,), and that distance."""
        distances = np.linalg.norm(self.places - self.problem.places(values), axis=1)
        at = int(np.where(allowed, distances, np.inf).argmin())
        return at, float(distances[at])


def table(problem: Problem, data: Path = DATA) -> Table:
    """Of the problem; made first if it is missing. Raises `SystemExit` where the data are not there."""
    if not problem.path().exists():
        _make(problem, data)
    settings, saved = problem.settings(), np.load(problem.path())
    places = np.array([problem.places(each) for each in settings])
    return Table(problem, settings, places, saved["curves"].astype(np.float64), saved["seconds"])


def _make(problem: Problem, data: Path) -> None:
    if not data.is_dir():
        raise SystemExit(f"{problem.name}: no table yet, and no data at {data}; give their folder with --data DIR")
    from benchmarks.tuning_trials import TRAINED

    load, train = TRAINED[problem.name]
    rows = load(data)
    with threadpool_limits(1):
        timed = [_timed(problem, partial(train, rows), values) for values in problem.settings()]
    HOME.mkdir(parents=True, exist_ok=True)
    unfinished = problem.path().with_suffix(f".{os.getpid()}.tmp.npz")
    curves, seconds = np.array([each[0] for each in timed], np.float32), np.array([each[1] for each in timed], np.float32)
    np.savez_compressed(unfinished, curves=curves, seconds=seconds)
    unfinished.rename(problem.path())
    print(f"{problem.name}: {problem.entries} trials of {problem.rounds} rounds, {seconds.sum():.0f} CPU seconds", flush=True)


def _timed(problem: Problem, train: Callable[[Values], Iterable[float]], values: Values) -> tuple[list[float], float]:
    began = time.process_time()
    curve = list(train(values))
    if len(curve) != problem.rounds or not np.isfinite(curve).all():
        raise ValueError(f"{problem.name}: {values} has no metric of every round: {curve}")
    return curve, time.process_time() - began


def _decay(name: str) -> Axis:
    return Axis(name, 0.01, 1000, log=True)


_TREES = (
    Axis("eta", 0.01, 0.5, log=True),
    Axis("max_depth", 1, 10, whole=True),
    Axis("min_child_weight", 1, 120, log=True),
    Axis("subsample", 0.5, 1),
    Axis("colsample_bytree", 0.5, 1),
)
_DESCENT = (
    Axis("learning_rate", 1e-5, 1, log=True),
    Axis("mini_batch_size", 100, 5000, log=True, whole=True),
    Axis("wd", 1e-7, 1, log=True),
    Axis("l1", 1e-7, 1, log=True),
    Axis("use_bias", choices=("True", "False")),
)
_FACTORS = (
    Axis("factors_lr", 1e-5, 0.1, log=True),
    Axis("linear_lr", 1e-5, 0.1, log=True),
    Axis("bias_lr", 1e-5, 0.1, log=True),
    Axis("factors_wd", 1e-6, 0.1, log=True),
    Axis("linear_wd", 1e-6, 0.1, log=True),
    Axis("factors_init_sigma", 1e-4, 1, log=True),
    Axis("mini_batch_size", 100, 10_000, log=True, whole=True),
)

PROBLEMS = (
    Problem("XGBoost abalone", "validation:rmse", True, 100, (*_TREES, Axis("gamma", 0, 5), _decay("alpha")), 2048),
    Problem("XGBoost bank", "validation:auc", False, 100, (*_TREES, _decay("lambda")), 1024),
    Problem("XGBoost churn", "validation:logloss", True, 100, (*_TREES, _decay("lambda"), _decay("alpha")), 2048),
    Problem("linear learner letters", "validation:objective_loss", True, 30, _DESCENT, 2048),
    Problem("FM MovieLens", "test:rmse", True, 30, _FACTORS, 2048),
)


def main() -> None:
    options = _options()
    for problem in PROBLEMS:
        if not options.names or any(name in problem.name for name in options.names):
            found = table(problem, options.data)
            ranked = np.sort(found.objectives if problem.minimize else -found.objectives) * (1 if problem.minimize else -1)
            quantiles = ", ".join(f"{ranked[int(share * len(ranked))]:.4f}" for share in (0, 0.01, 0.1, 0.5, 0.9))
            print(f"{problem.name}: {problem.metric} best, 1 %, 10 %, 50 %, 90 %: {quantiles}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="only problems that have this in their name")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets")
    return parser.parse_args()


if __name__ == "__main__":
    main()
