"""Five real tuning problems, 30 trials each: ours against Optuna, BoTorch and SMAC3, all on the same tables of measured trials.

A suggestion becomes the nearest setting of the table that this search has not used (Euclidean distance in the scaled unit cube),
and the optimiser is told that setting with its measured objective. So all optimisers meet the same results and each is a real
training; a model fitted to the table would answer everywhere, but smoothly and in the likeness of the optimisers that use such a
model. The price is a coarse world: suggestions are moved, on average by what `moved` says, per coordinate.

Regret is (found - best of the table) / (median of the table - best of the table). Ranks are among the optimisers of the run.

    python -m benchmarks.tuning_problems [--data ../shared/data] [--seeds 10] [--trials 30] [--only NAME...]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.tuning_peers import Optimizer, missing, ours, peers
from benchmarks.tuning_tables import DATA, HOME, PROBLEMS, Table, table
from rich.console import Console
from rich.table import Table as Printed
from scipy.stats import rankdata, wilcoxon
from threadpoolctl import threadpool_limits

from clary.tuning import Space

FIRST = "Clary Bayesian"
Make = Callable[[Space, int], Optimizer]


@dataclass(frozen=True)
class Search:
    """One search of one table: normalised regret after each trial, CPU milliseconds a trial, how far suggestions were moved."""

    regrets: list[float]
    milliseconds: float
    moved: float


def main() -> None:
    options = _options()
    contestants = ours() | peers()
    if options.only:
        contestants = {name: make for name, make in contestants.items() if any(part in name for part in options.only)}
    tables = [table(problem, options.data) for problem in PROBLEMS]
    searches = {}
    with threadpool_limits(1):
        for name, make in contestants.items():
            searches[name] = [[search(each, make, seed, options.trials) for seed in range(options.seeds)] for each in tables]
            print(f"{name}: done", flush=True)
    _save(searches)
    _show(searches, tables)
    print(missing())


def search(known: Table, make: Make, seed: int, trials: int) -> Search:
    """Let an optimiser find the best of a table in so many trials."""
    sign = 1 if known.problem.minimize else -1
    costs = sign * known.objectives
    optimizer = make(known.problem.space(), seed)
    unused = np.ones(len(costs), dtype=bool)
    found, moved, spent = [], [], 0.0
    for _ in range(trials):
        began = time.process_time()
        asked = optimizer.ask()
        spent += time.process_time() - began
        at, distance = known.nearest(asked, unused)
        unused[at] = False
        found.append(float(costs[at]))
        moved.append(distance / known.places.shape[1] ** 0.5)
        began = time.process_time()
        optimizer.tell(asked, known.settings[at], found[-1])
        spent += time.process_time() - began
    best, middle = costs.min(), np.median(costs)
    regrets = (np.minimum.accumulate(found) - best) / (middle - best)
    return Search(regrets.tolist(), 1000 * spent / trials, float(np.mean(moved)))


def _show(searches: dict[str, list[list[Search]]], tables: Sequence[Table]) -> None:
    final = {name: np.array([[run.regrets[-1] for run in runs] for runs in found]) for name, found in searches.items()}
    _show_regrets(final, tables)
    _show_ranks(final, searches)


def _show_regrets(final: dict[str, np.ndarray], tables: Sequence[Table]) -> None:
    printed = Printed("", *[known.problem.name for known in tables], title="normalised regret, mean ± standard error of seeds")
    for name, regrets in final.items():
        error = regrets.std(axis=1) / regrets.shape[1] ** 0.5
        printed.add_row(name, *[f"{mean:.3f} ± {off:.3f}" for mean, off in zip(regrets.mean(axis=1), error, strict=True)])
    Console(width=160).print(printed)


def _show_ranks(final: dict[str, np.ndarray], searches: dict[str, list[list[Search]]]) -> None:
    """Ranks over all searches, and whether ours and each other one differ (Wilcoxon's signed ranks of paired searches)."""
    ranks = rankdata(np.array([regrets.ravel() for regrets in final.values()]), axis=0)
    columns = ("mean regret", "mean rank", "ours better, worse", "p: worse than ours", "p: better than ours", "ms/trial", "moved")
    printed = Printed("", *columns, title="all problems")
    first = final.get(FIRST, next(iter(final.values()))).ravel()
    for at, (name, regrets) in enumerate(final.items()):
        runs = [run for found in searches[name] for run in found]
        cells = [f"{regrets.mean():.4f}", f"{ranks[at].mean():.2f}", *_paired(first, regrets.ravel())]
        cells += [f"{np.mean([run.milliseconds for run in runs]):.1f}", f"{np.mean([run.moved for run in runs]):.3f}"]
        printed.add_row(name, *cells)
    Console(width=160).print(printed)


def _paired(ours: np.ndarray, other: np.ndarray) -> list[str]:
    """How many searches ours won and lost, and the two one-sided p values."""
    if np.array_equal(ours, other):
        return ["", "", ""]
    better, worse = (wilcoxon(other, ours, alternative=which).pvalue for which in ("greater", "less"))
    return [f"{(ours < other).sum()}, {(ours > other).sum()}", f"{better:.3g}", f"{worse:.3g}"]


def _save(searches: dict[str, list[list[Search]]]) -> None:
    """The regrets of all trials, for tools/plots/tuning.py."""
    regrets = {name: [[run.regrets for run in runs] for runs in found] for name, found in searches.items()}
    (HOME / "problems.json").write_text(json.dumps({"problems": [each.name for each in PROBLEMS], "regrets": regrets}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets, for tables that are missing")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--only", nargs="*", help="optimisers that have one of these in their name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
