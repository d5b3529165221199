"""Other optimisers behind one way of asking and telling, for searches of tables; those that are not installed are said.

`pip install optuna torch==2.13.0 botorch smac` brings all but HEBO, which asks for NumPy below 1.25 and needs an environment
of its own, with `src` on PYTHONPATH; the `--store` of the benchmark brings the searches of several environments together.
"""

from __future__ import annotations

import importlib.util
import logging
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from clary.tuning import Bayesian, Categorical, Continuous, Integer, Parameter, Random, Sobol, Space, Trial

Values = Mapping[str, Any]
LOG = "Logarithmic"
START = 5
"""Settings that BoTorch and SMAC3 spread over the space first."""


class Optimizer(Protocol):
    """Searches a space for the lowest objective."""

    def ask(self) -> Values:
        """Settings to try next."""

    def tell(self, measured: Values, objective: float) -> None:
        """`objective` was measured at `measured`: what was asked for, or a neighbour of it."""


Make = Callable[[Space, int], Optimizer]
"""Called with the space and a seed."""


def ours() -> dict[str, Make]:
    """Clary's own, by name."""
    return {f"Clary {kind.__name__}": partial(Ours, kind=kind) for kind in (Bayesian, Random, Sobol)}


def peers() -> dict[str, Make]:
    """Those that are installed, by name."""
    return {name: make for name, (make, needs) in PEERS.items() if not _absent(needs)}


def missing() -> str:
    """One line that says which peers are left out and why; empty if none is."""
    left_out = [f"{name} ({', '.join(absent)})" for name, (_, needs) in PEERS.items() if (absent := _absent(needs))]
    return f"not installed, so left out: {'; '.join(left_out)}" if left_out else ""


class Ours:
    """A strategy of clary.tuning, which is a function of the history: it is called with all trials so far."""

    def __init__(self, space: Space, seed: int, kind: Callable[..., Any]):
        self._space, self._strategy = space, kind(seed=seed, minimize=True)
        self._trials: list[Trial] = []

    def ask(self) -> Values:
        return self._strategy.suggest(self._space, self._trials, len(self._trials))

    def tell(self, measured: Values, objective: float) -> None:
        self._trials.append(Trial(len(self._trials), dict(measured), objective, "finished"))


class Optuna:
    """A study with one of Optuna's samplers as it comes."""

    def __init__(self, space: Space, seed: int, sampler: str):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed))
        self._ranges = {parameter.name: self._range(parameter) for parameter in space.parameters}

    def ask(self) -> Values:
        self._trial = self._study.ask(self._ranges)
        return self._trial.params

    def tell(self, measured: Values, objective: float) -> None:
        if measured == self._trial.params:
            self._study.tell(self._trial, objective)
            return
        self._study.tell(self._trial, state=self._optuna.trial.TrialState.FAIL)
        told = self._optuna.trial.create_trial(params=dict(measured), distributions=self._ranges, value=objective)
        self._study.add_trial(told)

    def _range(self, parameter: Parameter) -> Any:
        distributions = self._optuna.distributions
        if isinstance(parameter, Categorical):
            return distributions.CategoricalDistribution(list(parameter.values))
        kind = distributions.IntDistribution if isinstance(parameter, Integer) else distributions.FloatDistribution
        return kind(parameter.low, parameter.high, log=parameter.scale == LOG)


class Smac:
    """SMAC3's facade for hyperparameters (forests). Its model is fitted for every suggestion, not for every eighth."""

    def __init__(self, space: Space, seed: int):
        import ConfigSpace
        import smac

        logging.getLogger("smac").setLevel(logging.ERROR)
        self._space = ConfigSpace.ConfigurationSpace(seed=seed)
        self._space.add(*(self._hyperparameter(ConfigSpace, parameter) for parameter in space.parameters))
        self._types = {each.name: TYPES[type(each)] for each in space.parameters}
        self._folder = tempfile.TemporaryDirectory()
        kind, folder = smac.HyperparameterOptimizationFacade, self._folder.name
        scenario = smac.Scenario(self._space, deterministic=True, n_trials=10_000, seed=seed, output_directory=folder)
        self._facade = kind(
            scenario,
            lambda config, seed=0: 0.0,
            initial_design=kind.get_initial_design(scenario, n_configs=START),
            config_selector=kind.get_config_selector(scenario, retrain_after=1),
            logging_level=False,
            overwrite=True,
        )

    def ask(self) -> Values:
        self._info = self._facade.ask()
        return {name: self._types[name](value) for name, value in self._info.config.items()}

    def tell(self, measured: Values, objective: float) -> None:
        from ConfigSpace import Configuration
        from smac.runhistory import TrialInfo, TrialValue

        info = TrialInfo(Configuration(self._space, values=dict(measured)), seed=self._info.seed)
        self._facade.tell(info, TrialValue(cost=objective), save=False)

    def _hyperparameter(self, module: Any, parameter: Parameter) -> Any:
        if isinstance(parameter, Categorical):
            return module.Categorical(parameter.name, list(parameter.values))
        kind = module.Integer if isinstance(parameter, Integer) else module.Float
        return kind(parameter.name, (parameter.low, parameter.high), log=parameter.scale == LOG)


class BoTorch:
    """Its tutorials' loop: Sobol points, then SingleTaskGP and log expected improvement in the unit cube.

    Integers are rounded; a choice is a coordinate, which is optimised for each of its values on its own.
    """

    def __init__(self, space: Space, seed: int):
        import torch

        torch.manual_seed(seed)
        self._torch, self._space = torch, space
        self._told: list[tuple[list[float], float]] = []
        self._start = torch.quasirandom.SobolEngine(len(space.parameters), scramble=True, seed=seed)

    def ask(self) -> Values:
        row = self._start.draw(1)[0] if len(self._told) < START else self._best()
        return {each.name: _at(each, float(place)) for each, place in zip(self._space.parameters, row, strict=True)}

    def tell(self, measured: Values, objective: float) -> None:
        self._told.append(([_place(each, measured[each.name]) for each in self._space.parameters], objective))

    def _best(self) -> Any:
        from botorch.acquisition import LogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf, optimize_acqf_mixed
        from gpytorch.mlls import ExactMarginalLogLikelihood

        X = self._torch.tensor([row for row, _ in self._told], dtype=self._torch.double)
        y = -self._torch.tensor([[value] for _, value in self._told], dtype=self._torch.double)
        model = SingleTaskGP(X, y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        gain, bounds = LogExpectedImprovement(model, y.max()), self._torch.tensor([[0.0], [1.0]]).double().repeat(1, X.shape[1])
        settings = {"q": 1, "num_restarts": 10, "raw_samples": 512}
        if choices := self._choices():
            return optimize_acqf_mixed(gain, bounds, fixed_features_list=choices, **settings)[0][0]
        return optimize_acqf(gain, bounds, **settings)[0][0]

    def _choices(self) -> list[dict[int, float]]:
        """What the coordinates of choices may be, every combination; empty where there are none."""
        combinations: list[dict[int, float]] = [{}]
        for at, parameter in enumerate(self._space.parameters):
            if isinstance(parameter, Categorical):
                places = [_place(parameter, value) for value in parameter.values]
                combinations = [known | {at: place} for known in combinations for place in places]
        return [each for each in combinations if each]


class Hebo:
    """As it comes: its own start, then an ensemble of acquisitions over a warped Gaussian process."""

    def __init__(self, space: Space, seed: int):
        import torch
        from hebo.design_space.design_space import DesignSpace
        from hebo.optimizers.hebo import HEBO

        np.random.seed(seed)
        torch.manual_seed(seed)
        self._optimizer = HEBO(DesignSpace().parse([self._range(each) for each in space.parameters]), scramble_seed=seed)
        self._types = {each.name: TYPES[type(each)] for each in space.parameters}

    def ask(self) -> Values:
        row = self._optimizer.suggest(1).iloc[0]
        return {name: kind(row[name]) for name, kind in self._types.items()}

    def tell(self, measured: Values, objective: float) -> None:
        import pandas

        self._optimizer.observe(pandas.DataFrame([measured]), np.array([[objective]]))

    def _range(self, parameter: Parameter) -> dict[str, Any]:
        if isinstance(parameter, Categorical):
            return {"name": parameter.name, "type": "cat", "categories": list(parameter.values)}
        whole, log = isinstance(parameter, Integer), parameter.scale == LOG
        kind = ("pow_int" if whole else "pow") if log else ("int" if whole else "num")
        return {"name": parameter.name, "type": kind, "lb": parameter.low, "ub": parameter.high}


TYPES: dict[type, Callable[[Any], Any]] = {Categorical: str, Integer: int, Continuous: float}

PEERS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "Optuna TPE": (partial(Optuna, sampler="TPESampler"), ("optuna",)),
    "Optuna GP": (partial(Optuna, sampler="GPSampler"), ("optuna", "torch")),
    "BoTorch": (BoTorch, ("torch", "botorch")),
    "SMAC3": (Smac, ("smac",)),
    "HEBO": (Hebo, ("hebo",)),
}


def _place(parameter: Parameter, value: Any) -> float:
    """In [0, 1]; of choices the middle of the n-th of as many parts."""
    if isinstance(parameter, Categorical):
        return (parameter.values.index(value) + 0.5) / len(parameter.values)
    low, high = _ends(parameter)
    return float(((np.log(value) if parameter.scale == LOG else value) - low) / (high - low))


def _at(parameter: Parameter, place: float) -> Any:
    if isinstance(parameter, Categorical):
        return parameter.values[min(int(place * len(parameter.values)), len(parameter.values) - 1)]
    low, high = _ends(parameter)
    value = low + place * (high - low)
    value = min(max(float(np.exp(value)) if parameter.scale == LOG else value, parameter.low), parameter.high)
    return round(value) if isinstance(parameter, Integer) else value


def _ends(parameter: Continuous | Integer) -> tuple[float, float]:
    ends = (float(parameter.low), float(parameter.high))
    return (float(np.log(ends[0])), float(np.log(ends[1]))) if parameter.scale == LOG else ends


def _absent(modules: tuple[str, ...]) -> list[str]:
    return [module for module in modules if importlib.util.find_spec(module) is None]
