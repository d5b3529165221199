"""The optimiser on functions with a known minimum: simple regret at equal evaluations, ours against whichever peers are there.

    python -m benchmarks.tuning_functions [--functions branin hartmann6] [--methods clary optuna_gp ...] [--budget 50]
                                          [--seeds 30] [--store FILE]

Methods: `clary` (`clary.tuning.Bayesian`), `clary_4` (four workers, simulated asynchronously), `clary_random`, and the peers
`optuna_gp`, `optuna_tpe`, `botorch`, `smac`, `hebo`; a peer that is not installed is named in one line and left out. All see
the same function on the unit cube, know nothing of it, and use their defaults. With --store the runs are kept in a JSON file
and not made again; `python -m tools.plots.tuning` draws them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import wilcoxon

Point = Sequence[float]
Function = Callable[[Point], float]

A = np.array([[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]])
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
ALPHA = np.array([1, 1.2, 3, 3.2])
A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])


def branin(x: Point) -> float:
    a, b = x[0] * 15 - 5, x[1] * 15
    return (b - 5.1 / (4 * math.pi**2) * a * a + 5 / math.pi * a - 6) ** 2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(a) + 10


def hartmann6(x: Point) -> float:
    return -float(ALPHA @ np.exp(-(A * (np.asarray(x) - P) ** 2).sum(axis=1)))


def hartmann3(x: Point) -> float:
    return -float(ALPHA @ np.exp(-(A3 * (np.asarray(x) - P3) ** 2).sum(axis=1)))


def rosenbrock4(x: Point) -> float:
    z = np.asarray(x) * 15 - 5
    return float((100 * (z[1:] - z[:-1] ** 2) ** 2 + (z[:-1] - 1) ** 2).sum())


def ackley5(x: Point) -> float:
    z = np.asarray(x) * 40 - 15
    return float(20 + math.e - 20 * np.exp(-0.2 * np.sqrt((z**2).mean())) - np.exp(np.cos(2 * math.pi * z).mean()))


FUNCTIONS: dict[str, tuple[Function, int, float]] = {
    "branin": (branin, 2, 0.39788735772973816),
    "hartmann6": (hartmann6, 6, -3.322368011415515),
    "hartmann3": (hartmann3, 3, -3.8627797873327696),
    "rosenbrock4": (rosenbrock4, 4, 0.0),
    "ackley5": (ackley5, 5, 0.0),
}
"""Name -> function of the unit cube, dimensions, minimum."""


def ours(
    function: Function, dimensions: int, budget: int, seed: int, *, strategy: str = "Bayesian", workers: int = 1
) -> list[float]:
    """Values in the order the trials were started; with several workers each trial ends when `workers - 1` more were begun."""
    from clary.tuning import Bayesian, Continuous, Random, Space, Trial

    space = Space(tuple(Continuous(f"x{i}", 0.0, 1.0, "Linear") for i in range(dimensions)))
    chooser = {"Bayesian": Bayesian, "Random": Random}[strategy](seed=seed, minimize=True)
    trials: list[Trial] = []
    values: list[float] = []
    for index in range(budget):
        proposed = chooser.suggest(space, trials, index)
        values.append(function([float(proposed[f"x{i}"]) for i in range(dimensions)]))
        trials.append(Trial(index, proposed))
        if (ended := index - workers + 1) >= 0:
            trials[ended] = Trial(ended, trials[ended].values, values[ended], "finished")
    return values


def optuna(sampler: Callable[[Any, int], Any]) -> Callable[[Function, int, int, int], list[float]]:
    def run(function: Function, dimensions: int, budget: int, seed: int) -> list[float]:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=sampler(optuna.samplers, seed))
        study.optimize(lambda trial: function([trial.suggest_float(f"x{i}", 0, 1) for i in range(dimensions)]), budget)
        return [trial.value for trial in study.trials]

    return run


def botorch(function: Function, dimensions: int, budget: int, seed: int) -> list[float]:
    """BoTorch as its tutorials and Ax set it up: five Sobol points, then SingleTaskGP and log expected improvement."""
    import torch
    from botorch.acquisition.analytic import LogExpectedImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import SingleTaskGP
    from botorch.models.transforms import Standardize
    from botorch.optim import optimize_acqf
    from botorch.utils.sampling import draw_sobol_samples
    from gpytorch.mlls import ExactMarginalLogLikelihood

    torch.manual_seed(seed)
    bounds = torch.stack([torch.zeros(dimensions), torch.ones(dimensions)]).double()
    X = draw_sobol_samples(bounds, n=5, q=1, seed=seed).squeeze(1)
    values = [function(x.tolist()) for x in X]
    while len(values) < budget:
        y = -torch.tensor(values).double().unsqueeze(-1)
        model = SingleTaskGP(X, y, outcome_transform=Standardize(1))
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        chosen, _ = optimize_acqf(LogExpectedImprovement(model, y.max()), bounds, q=1, num_restarts=10, raw_samples=512)
        X = torch.cat([X, chosen])
        values.append(function(chosen[0].tolist()))
    return values


def smac(function: Function, dimensions: int, budget: int, seed: int) -> list[float]:
    from tempfile import TemporaryDirectory

    from ConfigSpace import ConfigurationSpace
    from smac import BlackBoxFacade, Scenario

    space = ConfigurationSpace({f"x{i}": (0.0, 1.0) for i in range(dimensions)})
    values: list[float] = []

    def target(config: Any, seed: int = 0) -> float:
        values.append(function([config[f"x{i}"] for i in range(dimensions)]))
        return values[-1]

    with TemporaryDirectory() as folder:
        scenario = Scenario(space, deterministic=True, n_trials=budget, seed=seed, output_directory=Path(folder))
        BlackBoxFacade(scenario, target, logging_level=50, overwrite=True).optimize()
    return values


def hebo(function: Function, dimensions: int, budget: int, seed: int) -> list[float]:
    import torch
    from hebo.design_space.design_space import DesignSpace
    from hebo.optimizers.hebo import HEBO

    np.random.seed(seed)
    torch.manual_seed(seed)
    space = DesignSpace().parse([{"name": f"x{i}", "type": "num", "lb": 0, "ub": 1} for i in range(dimensions)])
    optimizer, values = HEBO(space, scramble_seed=seed), []
    for _ in range(budget):
        proposed = optimizer.suggest(1)
        values.append(function([float(proposed[f"x{i}"].iloc[0]) for i in range(dimensions)]))
        optimizer.observe(proposed, np.array([[values[-1]]]))
    return values


METHODS: dict[str, tuple[str, Callable[..., list[float]]]] = {
    "clary": ("clary", ours),
    "clary_4": ("clary", lambda *work: ours(*work, workers=4)),
    "clary_random": ("clary", lambda *work: ours(*work, strategy="Random")),
    "optuna_gp": ("optuna", optuna(lambda samplers, seed: samplers.GPSampler(seed=seed))),
    "optuna_tpe": ("optuna", optuna(lambda samplers, seed: samplers.TPESampler(seed=seed, multivariate=True))),
    "botorch": ("botorch", botorch),
    "smac": ("smac", smac),
    "hebo": ("hebo", hebo),
}
"""Name -> the package it needs, and the run: (function, dimensions, budget, seed) -> values in the order of evaluation."""


class Runs:
    """What was run, by `function/method/budget/seed`: values, CPU milliseconds a suggestion; kept in `file` if there is one."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.kept: dict[str, dict[str, Any]] = json.loads(file.read_text()) if file and file.exists() else {}

    def get(self, function: str, method: str, budget: int, seed: int) -> dict[str, Any]:
        key = f"{function}/{method}/{budget}/{seed}"
        if key not in self.kept:
            work, dimensions, _ = FUNCTIONS[function]
            begin = time.process_time()
            values = METHODS[method][1](work, dimensions, budget, seed)
            cost = (time.process_time() - begin) / budget * 1e3
            self.kept[key] = {"values": [float(f"{value:.10g}") for value in values], "milliseconds": round(cost, 3)}
            if self.file:
                self.file.write_text(json.dumps(self.kept))
        return self.kept[key]

    def regrets(self, function: str, method: str, budget: int, seeds: int) -> np.ndarray:
        """(seeds, budget), the best value so far less the minimum."""
        rows = [self.get(function, method, budget, seed)["values"][:budget] for seed in range(seeds)]
        return np.minimum.accumulate(np.array(rows), axis=1) - FUNCTIONS[function][2]


def main() -> None:
    warnings.filterwarnings("ignore")
    options = _options()
    methods = _present(options.methods)
    runs = Runs(options.store)
    for function in options.functions:
        print(f"\n{function}, {options.budget} evaluations, {options.seeds} seeds; regret: median, quartiles, worst")
        final: dict[str, np.ndarray] = {}
        for method in methods:
            final[method] = runs.regrets(function, method, options.budget, options.seeds)[:, -1]
            cost = np.median(
                [runs.get(function, method, options.budget, seed)["milliseconds"] for seed in range(options.seeds)]
            )
            print(_line(method, final[method], final[methods[0]], cost), flush=True)
        if {"clary", "clary_4"} <= final.keys():
            print(_loss(*(runs.regrets(function, method, options.budget, options.seeds) for method in ("clary", "clary_4"))))


def _line(method: str, regrets: np.ndarray, first: np.ndarray, cost: float) -> str:
    low, middle, high = np.percentile(regrets, [25, 50, 75])
    said = f"  {method:13s} {middle:9.2e}  [{low:9.2e} {high:9.2e}]  {regrets.max():9.2e}  {cost:8.1f} ms CPU a suggestion"
    if regrets is first or np.array_equal(regrets, first):
        return said
    better, worse = (wilcoxon(first, regrets, alternative=way).pvalue for way in ("less", "greater"))
    return f"{said}  ours better p={better:.3f}, worse p={worse:.3f}"


def _loss(one: np.ndarray, four: np.ndarray) -> str:
    """How many evaluations four workers cost: those after which one has reached the median that four end with, against all."""
    end, budget = float(np.median(four[:, -1])), one.shape[1]
    better = np.median(one, axis=0) <= end
    if not better.any():
        return "  four workers end below where one ends"
    reached = int(np.argmax(better)) + 1
    return f"  four workers end where one is after {reached} evaluations: {budget / reached - 1:.0%} more are needed"


def _present(methods: Sequence[str]) -> list[str]:
    here = [name for name in methods if importlib.util.find_spec(METHODS[name][0])]
    if missing := sorted({METHODS[name][0] for name in methods} - {METHODS[name][0] for name in here}):
        print(
            f"not installed, so left out: {', '.join(missing)} (pip install NAME; those that use PyTorch: torch==2.13.0 first)"
        )
    return here


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--functions", nargs="+", default=["branin", "hartmann6"], choices=FUNCTIONS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--budget", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--store", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    main()
