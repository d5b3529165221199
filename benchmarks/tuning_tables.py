"""Tables of trials: five real tuning problems, each trained at a thousand or two settings once, with the metric of every round.

Settings are scrambled Sobol points of the scaled unit cube, so that a table is as dense everywhere. A table is made when it is
missing and kept in build/tuning (about 45 minutes of one core for all five).

    python -m benchmarks.tuning_tables [--data ../shared/data] [NAME...]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.factorization_machines import Ratings, movielens
from benchmarks.xgboost_quality import Split, abalone
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from clary.algorithms import FactorizationMachines, LinearLearner, XGBoost
from clary.tuning import Categorical, Continuous, Integer, Space

HOME = Path(__file__).parent.parent / "build" / "tuning"
DATA = Path(__file__).parent.parent.parent / "shared" / "data"
ROUNDS, EPOCHS = 100, 30
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
        scale = "Logarithmic" if self.log else "Linear"
        return Integer(self.name, int(self.low), int(self.high), scale) if self.whole else Continuous(self.name, self.low, self.high, scale)

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
    load: Callable[[Path], Any]
    train: Callable[[Any, Values], Sequence[float]]

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
    rows = problem.load(data)
    with threadpool_limits(1):
        timed = [_timed(problem, rows, values) for values in problem.settings()]
    HOME.mkdir(parents=True, exist_ok=True)
    unfinished = problem.path().with_suffix(f".{os.getpid()}.tmp.npz")
    curves, seconds = np.array([each[0] for each in timed], np.float32), np.array([each[1] for each in timed], np.float32)
    np.savez_compressed(unfinished, curves=curves, seconds=seconds)
    unfinished.rename(problem.path())
    print(f"{problem.name}: {problem.entries} trials of {problem.rounds} rounds, {seconds.sum():.0f} CPU seconds", flush=True)


def _timed(problem: Problem, rows: Any, values: Values) -> tuple[list[float], float]:
    began = time.process_time()
    curve = list(problem.train(rows, values))
    if len(curve) != problem.rounds or not np.isfinite(curve).all():
        raise ValueError(f"{problem.name}: {values} has no metric of every round: {curve}")
    return curve, time.process_time() - began


def _boosted(split: Split, values: Values, *, objective: str, metric: str) -> Sequence[float]:
    """The metric of the validation rows after each round of XGBoost."""
    given = {name: value for name, value in values.items() if name not in ("lambda", "alpha")}
    regularised = {f"reg_{name}": values[name] for name in ("lambda", "alpha") if name in values}
    model = XGBoost(ROUNDS, objective=objective, eval_metric=metric, n_jobs=1, **given, **regularised)  # type: ignore[arg-type]
    model.fit(split.train[:, 1:], split.train[:, 0], validation=(split.test[:, 1:], split.test[:, 0]))
    return model.history_["validation"][metric]


def _linear(split: Split, values: Values) -> Sequence[float]:
    """The loss of the validation rows after each epoch of one linear model."""
    given = dict(values) | {"use_bias": values["use_bias"] == "True"}
    model = LinearLearner("multiclass_classifier", epochs=EPOCHS, early_stopping_patience=EPOCHS, **given)  # type: ignore[arg-type]
    model.fit(split.train[:, 1:], split.train[:, 0], validation=(split.test[:, 1:], split.test[:, 0]))
    return model.history_


def _factorized(data: Ratings, values: Values) -> Iterator[float]:
    """The error of the test ratings after each epoch."""
    train, test, truth = data.rows(slice(data.cut)), data.rows(slice(data.cut, None)), data.ratings[data.cut :]
    model = FactorizationMachines(16, **values)  # type: ignore[arg-type]
    for _ in range(EPOCHS):
        model.partial_fit(train, data.ratings[: data.cut])
        yield float(np.sqrt(np.mean((model.predict(test) - truth) ** 2)))


def _bank(data: Path) -> Split:
    """The direct marketing data; `duration`, which is only known afterwards, is left out, and text becomes numbers in order of the words."""
    import pandas as pd

    parts = [pd.read_csv(data / "bank_marketing" / f"bank_marketing_{part}.csv.gz") for part in ("train", "test")]
    rows = pd.concat(parts).drop(columns="duration")
    labels = rows.pop("y") == "yes"
    coded = rows.apply(lambda column: column if column.dtype.kind in "if" else column.astype("category").cat.codes)
    whole = np.column_stack([labels, coded]).astype(np.float32)
    return Split(whole[: len(parts[0])], whole[len(parts[0]) :])


def _churn(data: Path) -> Split:
    import pandas as pd

    parts = (pd.read_csv(data / "telecom_churn" / f"churn_{part}.csv.gz") for part in ("train", "validation"))
    return Split(*(part.to_numpy(np.float32) for part in parts))


def _letters(data: Path) -> Split:
    """The first 16,000 letters to train, the others to validate, as is usual with these data."""
    import pandas as pd

    rows = pd.read_csv(data / "letter_recognition" / "letter_recognition.csv.gz")
    whole = np.column_stack([rows.pop("lettr").map(ord) - ord("A"), rows]).astype(np.float32)
    return Split(whole[:16_000], whole[16_000:])


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
    Problem(
        "XGBoost abalone",
        "validation:rmse",
        True,
        ROUNDS,
        (*_TREES, Axis("gamma", 0, 5), Axis("alpha", 0.01, 1000, log=True)),
        2048,
        partial(abalone, seed=0),
        partial(_boosted, objective="reg:squarederror", metric="rmse"),
    ),
    Problem(
        "XGBoost bank",
        "validation:auc",
        False,
        ROUNDS,
        (*_TREES, Axis("lambda", 0.01, 1000, log=True)),
        1024,
        _bank,
        partial(_boosted, objective="binary:logistic", metric="auc"),
    ),
    Problem(
        "XGBoost churn",
        "validation:logloss",
        True,
        ROUNDS,
        (*_TREES, Axis("lambda", 0.01, 1000, log=True), Axis("alpha", 0.01, 1000, log=True)),
        2048,
        _churn,
        partial(_boosted, objective="binary:logistic", metric="logloss"),
    ),
    Problem("linear learner letters", "validation:objective_loss", True, EPOCHS, _DESCENT, 2048, _letters, _linear),
    Problem("FM MovieLens", "test:rmse", True, EPOCHS, _FACTORS, 2048, movielens, _factorized),
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
