"""Five real tuning problems, 30 trials each: ours against Optuna, BoTorch, SMAC3 and HEBO on the same measured trials.

A suggestion becomes the nearest setting of a table that this search has not used (Euclidean distance in the scaled unit cube);
the optimiser is told that setting with its measured objective. So all meet the same results, each of them a real training. A
model fitted to the table would answer everywhere, but smoothly, and in the likeness of the optimisers that use such a model.
The price is a coarse world: each coordinate of a suggestion is moved, on average by what `moved` says.

Regret is (found - best of the table) / (median of the table - best of the table). Ranks are among the optimisers of the run.

    python -m benchmarks.tuning_problems [--data ../shared/data] [--seeds 10] [--trials 30] [--only NAME...] [--store FOLDER]

With --store the searches of the peers are kept there and not made again, so that peers of other environments can be added.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from benchmarks.tuning_peers import PEERS, Make, missing, ours, peers
from benchmarks.tuning_tables import DATA, PROBLEMS, Table, table
from scipy.stats import rankdata, wilcoxon
from threadpoolctl import threadpool_limits


@dataclass(frozen=True)
class Search:
    """One search of one table: normalised regret after each trial, CPU milliseconds a trial, how far suggestions were moved."""

    regrets: list[float]
    milliseconds: float
    moved: float


def main() -> None:
    options = _options()
    warnings.filterwarnings("ignore")
    tables = [table(problem, options.data) for problem in PROBLEMS if not options.problem or options.problem in problem.name]
    searches: dict[str, list[list[Search]]] = {}
    with threadpool_limits(1):
        for name, make in (ours() | peers()).items():
            if not options.only or any(part in name for part in options.only):
                searches[name] = [_searches(known, name, make, options) for known in tables]
                print(f"{name}: done", flush=True)
    if options.store:
        searches |= _kept(tables, options, set(PEERS) - set(searches))
    _show_regrets(searches, tables)
    _show_ranks(searches)
    print(missing())


def _searches(known: Table, name: str, make: Make, options: argparse.Namespace) -> list[Search]:
    """One for each seed; those of a store are taken from it if they are of a peer, and added to it."""
    file = _file(known, name, options)
    if file and file.exists() and name in PEERS:
        return _read(file)
    found = [search(known, make, seed, options.trials) for seed in range(options.seeds)]
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([asdict(each) for each in found]))
    return found


def _kept(tables: Sequence[Table], options: argparse.Namespace, names: set[str]) -> dict[str, list[list[Search]]]:
    """Searches of the store by peers that did not run now, where it has them for every problem."""
    files = {name: [_file(known, name, options) for known in tables] for name in sorted(names)}
    return {
        name: [_read(file) for file in found if file]
        for name, found in files.items()
        if all(file and file.exists() for file in found)
    }


def _read(file: Path) -> list[Search]:
    return [Search(**each) for each in json.loads(file.read_text())]


def _file(known: Table, name: str, options: argparse.Namespace) -> Path | None:
    return options.store and options.store / f"{known.problem.path().stem}-{name}-{options.trials}x{options.seeds}.json"


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
        optimizer.tell(known.settings[at], found[-1])
        spent += time.process_time() - began
    best, middle = costs.min(), np.median(costs)
    regrets = (np.minimum.accumulate(found) - best) / (middle - best)
    return Search(regrets.tolist(), 1000 * spent / trials, float(np.mean(moved)))


def _show_regrets(searches: dict[str, list[list[Search]]], tables: Sequence[Table]) -> None:
    print("\nnormalised regret, mean ± standard error over the seeds")
    print(" " * 17 + "".join(f"{known.problem.name:>24}" for known in tables))
    for name, found in searches.items():
        regrets = [np.array([run.regrets[-1] for run in runs]) for runs in found]
        cells = "".join(f"{f'{each.mean():.4f} ± {each.std() / len(each) ** 0.5:.4f}':>24}" for each in regrets)
        print(f"{name:17}{cells}")


def _show_ranks(searches: dict[str, list[list[Search]]]) -> None:
    """Ranks over all searches, and whether the first and each other one differ (Wilcoxon's signed ranks of paired searches)."""
    final = np.array([[run.regrets[-1] for runs in found for run in runs] for found in searches.values()])
    ranks = rankdata(final, axis=0).mean(axis=1)
    columns = ("mean regret", "mean rank", "won, lost", "p: ours better", "p: ours worse", "ms/trial", "moved")
    print("\nall problems, paired with the first" + "\n" + " " * 17 + "".join(f"{column:>16}" for column in columns))
    for at, (name, found) in enumerate(searches.items()):
        runs = [run for each in found for run in each]
        cells = [f"{final[at].mean():.4f}", f"{ranks[at]:.2f}", *_paired(final[0], final[at])]
        cells += [f"{np.mean([run.milliseconds for run in runs]):.1f}", f"{np.mean([run.moved for run in runs]):.3f}"]
        print(f"{name:17}" + "".join(f"{cell:>16}" for cell in cells))


def _paired(ours: np.ndarray, other: np.ndarray) -> list[str]:
    """How many searches ours won and lost, and the two one-sided p values."""
    if np.array_equal(ours, other):
        return ["", "", ""]
    better, worse = (wilcoxon(other, ours, alternative=which).pvalue for which in ("greater", "less"))
    return [f"{(ours < other).sum()}, {(ours > other).sum()}", f"{better:.3g}", f"{worse:.3g}"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets, for tables that are missing")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--only", nargs="*", help="optimisers that have one of these in their name")
    parser.add_argument("--problem", help="only problems with this in their name")
    parser.add_argument("--store", type=Path, help="folder that keeps the searches of the peers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
