"""What a suggestion of the optimiser costs by the length of the history, and what the scale of a range is worth.

    python -m benchmarks.tuning_cost [--seeds 30]

CPU milliseconds of one suggestion after 50, 200 and 750 random trials of two to twenty parameters. Then a made-up learning
curve: the loss of a learning rate in [1e-6, 1] and a weight decay in [1e-8, 0.1], a bowl in their logarithms with the best at
3e-4 and 1e-4, searched for 20 trials with Auto (logarithmic here) and with Linear scaling.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable

import numpy as np
from scipy.stats import wilcoxon

from clary.tuning import Bayesian, Continuous, Random, Scale, Space, Trial, Values

HISTORIES = [(6, 50), (6, 200), (6, 750), (2, 50), (20, 50)]
REPEATS = {50: 20, 200: 5, 750: 3}
SEARCHED = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    for parameters, trials in HISTORIES:
        print(
            f"{parameters} parameters, {trials} trials: {milliseconds(parameters, trials):.1f} ms CPU a suggestion", flush=True
        )
    for strategy in (Bayesian, Random):
        found = {
            scale: np.array([searched(strategy, scale, seed) for seed in range(options.seeds)]) for scale in ("Auto", "Linear")
        }
        said = ", ".join(f"{scale} {np.median(each):.2e}" for scale, each in found.items())
        p = wilcoxon(found["Auto"], found["Linear"], alternative="less").pvalue
        print(f"{strategy.__name__}, median regret after {SEARCHED} trials: {said} (Auto better: p = {p:.1e})")


def milliseconds(parameters: int, trials: int) -> float:
    """The median over seeds, the first left out."""
    space = Space(tuple(Continuous(f"x{i}", 0, 1) for i in range(parameters)))
    rng = np.random.default_rng(0)
    history = []
    for index in range(trials):
        values: Values = {f"x{i}": float(x) for i, x in enumerate(rng.random(parameters))}
        cost = sum((float(value) - 0.3) ** 2 * math.exp(-i) for i, value in enumerate(values.values()))
        history.append(Trial(index, values, cost + math.sin(9 * float(values["x0"])), "finished"))
    spent = []
    for seed in range(REPEATS[trials] + 1):
        begin = time.process_time()
        Bayesian(seed).suggest(space, history, trials)
        spent.append(time.process_time() - begin)
    return statistics.median(spent[1:]) * 1e3


def searched(strategy: Callable[..., Bayesian | Random], scale: Scale, seed: int) -> float:
    space = Space((Continuous("rate", 1e-6, 1.0, scale), Continuous("decay", 1e-8, 0.1, scale)))
    trials: list[Trial] = []
    for index in range(SEARCHED):
        values = strategy(seed=seed, minimize=True).suggest(space, trials, index)
        trials.append(Trial(index, values, loss(values), "finished"))
    return min(trial.objective for trial in trials)


def loss(values: Values) -> float:
    return math.log10(float(values["rate"]) / 3e-4) ** 2 + 0.1 * math.log10(float(values["decay"]) / 1e-4) ** 2


if __name__ == "__main__":
    main()
