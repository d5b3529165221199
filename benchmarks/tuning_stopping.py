"""Stopping trials early: the median rule against none, and Hyperband against random search, on the tables' measured curves.

Workers train trials at the same time, asynchronously: each report comes after the CPU time that a round of that trial took, and
a rule looks at it at once. Nothing is trained; the rules are those that tuning jobs use. A stopped trial counts with its last
report. Work is counted in rounds. Regret is (found - best of the table) / (median of the table - best of the table).

    python -m benchmarks.tuning_stopping [--data ../shared/data] [--seeds 20] [--trials 50] [--problems NAME...]
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.tuning_tables import DATA, PROBLEMS, Table, table
from scipy.stats import wilcoxon
from threadpoolctl import threadpool_limits

from clary.tuning import Bayesian, Hyperband, Random, Trial, median_rule, successive_halving

Rule = Callable[[Trial, list[Trial]], bool]
WORKERS = (1, 4)


@dataclass
class Tuning:
    """A tuning job on a table: its trials in order of their start, its work, and the best so far whenever one ended better."""

    trials: list[Trial] = field(default_factory=list)
    rounds: int = 0
    best: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def cost(self) -> float:
        """Of the best trial that ended."""
        return self.best[-1][1]

    def rounds_to(self, cost: float) -> float:
        """Of work until a trial ended with this cost or less; infinite if none did."""
        return next((rounds for rounds, found in self.best if found <= cost), np.inf)


@dataclass
class _Running:
    trial: int
    entry: int


def tune(
    known: Table,
    strategy: Any,
    rule: Rule,
    workers: int,
    *,
    trials: int = 10**9,
    rounds: float = np.inf,
    until: float = -np.inf,
) -> Tuning:
    """Until so many trials ended, so many rounds were worked, or one ended with a cost of `until` or less."""
    costs = known.curves if known.problem.minimize else -known.curves
    pace, space = known.seconds / known.problem.rounds, known.problem.space()
    job, unused = Tuning(), np.ones(len(costs), dtype=bool)
    queue: list[tuple[float, int, _Running]] = []

    def start(now: float) -> None:
        number = len(job.trials)
        if number >= min(trials, len(costs)) or job.rounds >= rounds or (job.best and job.cost <= until):
            return
        entry, _ = known.nearest(strategy.suggest(space, job.trials, number), unused)
        unused[entry] = False
        job.trials.append(Trial(number, known.settings[entry]))
        heapq.heappush(queue, (now + pace[entry], number, _Running(number, entry)))

    for _ in range(workers):
        start(0.0)
    while queue:
        now, number, running = heapq.heappop(queue)
        curve = (*job.trials[number].curve, float(costs[running.entry, len(job.trials[number].curve)]))
        job.rounds += 1
        job.seconds += pace[running.entry]
        trial = job.trials[number] = Trial(number, known.settings[running.entry], curve=curve)
        finished = len(curve) == known.problem.rounds
        if finished or rule(trial, job.trials):
            state = "finished" if finished else "stopped"
            job.trials[number] = Trial(number, trial.values, curve[-1], state, curve)
            if not job.best or curve[-1] < job.cost:
                job.best.append((job.rounds, curve[-1]))
            start(now)
        else:
            heapq.heappush(queue, (now + pace[running.entry], number, running))
    return job


def never(trial: Trial, others: list[Trial]) -> bool:
    return False


def main() -> None:
    options = _options()
    tables = [
        table(each, options.data) for each in PROBLEMS if not options.problems or any(n in each.name for n in options.problems)
    ]
    with threadpool_limits(1):
        for kind in (Random, Bayesian):
            if options.only in (None, f"median {kind.__name__}"):
                _median(kind, tables, options)
        if options.only in (None, "Hyperband"):
            _hyperband(tables, options)


def _median(kind: Any, tables: list[Table], options: argparse.Namespace) -> None:
    """The same number of trials with and without the rule."""
    print(f"\nmedian rule, {kind.__name__} search, {options.trials} trials, {options.seeds} seeds")
    columns = (
        ("rounds saved", 14),
        ("time saved", 12),
        ("regret", 9),
        ("without", 9),
        ("same or better", 16),
        ("p: worse", 10),
    )
    print(f"{'':24}{'workers':>8}" + "".join(f"{column:>{width}}" for column, width in columns))
    rule = partial(median_rule, minimize=True)
    for workers in WORKERS:
        both = []
        for known in tables:
            runs = [
                [tune(known, kind(seed=seed), each, workers, trials=options.trials) for each in (rule, never)]
                for seed in range(options.seeds)
            ]
            both.append(np.array([[_regret(known, run.cost) for run in pair] for pair in runs]))
            rounds, seconds = ([1 - getattr(a, what) / getattr(b, what) for a, b in runs] for what in ("rounds", "seconds"))
            _say_median(known.problem.name, workers, rounds, seconds, both[-1])
        _say_median("all", workers, [], [], np.concatenate(both))


def _say_median(name: str, workers: int, rounds: list[float], seconds: list[float], regrets: np.ndarray) -> None:
    kept = float(np.mean(regrets[:, 0] <= regrets[:, 1]))
    different = (regrets[:, 0] != regrets[:, 1]).any()
    p = wilcoxon(regrets[:, 0], regrets[:, 1], alternative="greater").pvalue if different else 1.0
    saved = "".join(
        f"{f'{np.mean(each):.0%}':>{width}}" if each else " " * width for each, width in ((rounds, 14), (seconds, 12))
    )
    print(f"{name:24}{workers:8}{saved}{regrets[:, 0].mean():9.4f}{regrets[:, 1].mean():9.4f}{kept:16.0%}{p:10.3g}", flush=True)


def _hyperband(tables: list[Table], options: argparse.Namespace) -> None:
    """Rounds until Hyperband has found what random search found in all its rounds, as a share of those.

    It is told to begin with a ninth of a trial's rounds: the service's MinResource. The searches of a pair have other seeds.
    """
    print(f"\nHyperband against random search of {options.trials} trials, {options.seeds} pairs of searches")
    print(f"{'':24}{'workers':>8}{'median share':>14}{'quartiles':>16}{'within 1/3':>12}{'not reached':>13}")
    for workers in WORKERS:
        shares = [np.array([_share(known, seed, workers, options.trials) for seed in range(options.seeds)]) for known in tables]
        for name, found in zip(
            (*(known.problem.name for known in tables), "all"), (*shares, np.concatenate(shares)), strict=True
        ):
            low, middle, high = np.quantile(found, (0.25, 0.5, 0.75), method="lower")
            cells = (
                f"{middle:14.2f}{f'{low:.2f} - {high:.2f}':>16}{np.mean(found <= 1 / 3):12.0%}{np.mean(np.isinf(found)):13.0%}"
            )
            print(f"{name:24}{workers:8}{cells}", flush=True)


def _share(known: Table, seed: int, workers: int, trials: int) -> float:
    """Of the rounds of a random search, those that Hyperband needs to reach its best; infinite if all are not enough."""
    random = tune(known, Random(seed=seed + 1000), never, workers, trials=trials)
    limits = {"minimize": True, "min_resource": max(1, known.problem.rounds // 9), "max_resource": known.problem.rounds}
    rule = partial(successive_halving, **limits)
    halved = tune(known, Hyperband(seed=seed, **limits), rule, workers, rounds=random.rounds, until=random.cost)
    return halved.rounds_to(random.cost) / random.rounds


def _regret(known: Table, cost: float) -> float:
    costs = known.objectives if known.problem.minimize else -known.objectives
    return float((cost - costs.min()) / (np.median(costs) - costs.min()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets, for tables that are missing")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--only", choices=("median Random", "median Bayesian", "Hyperband"))
    parser.add_argument("--problems", nargs="*", help="only problems that have one of these in their name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
