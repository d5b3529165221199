"""Other optimisers behind one way of asking and telling, for the benchmarks of tuning; those that are not installed are said.

Optuna comes with the `bench` extra. Its GP, BoTorch and SMAC3 stand on PyTorch or bring it: `pip install torch==2.13.0 botorch smac`.
HEBO is not among them: its releases ask for NumPy below 1.25.
"""

from __future__ import annotations

import importlib.util
import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

import numpy as np

from clary.tuning import Bayesian, Categorical, Continuous, Integer, Random, Sobol, Space, Trial

Values = Mapping[str, Any]
LOG = "Logarithmic"
START = 10
"""Settings that BoTorch and SMAC3 spread over the space first; Optuna's own number."""


class Optimizer(Protocol):
    """Searches a space for the lowest objective. What is asked may be told in any order, or later, or other values instead."""

    def ask(self) -> Values:
        """Settings to try next. What was asked and not yet told is being tried."""

    def tell(self, asked: Values, measured: Values, objective: float) -> None:
        """`objective` was measured at `measured`, in the place of `asked`, which are the same unless a table has only neighbours."""


def ours() -> dict[str, Callable[[Space, int], Optimizer]]:
    """Clary's own, by name."""
    return {f"Clary {kind.__name__}": partial(Ours, kind=kind) for kind in (Bayesian, Random, Sobol)}


def peers() -> dict[str, Callable[[Space, int], Optimizer]]:
    """By name, those whose libraries are installed: called with the space and a seed."""
    return {name: make for name, (make, needs) in _PEERS.items() if not _absent(needs)}


def missing() -> str:
    """One line that says which peers are left out and why; empty if none is."""
    left_out = [f"{name} ({', '.join(absent)})" for name, (_, needs) in _PEERS.items() if (absent := _absent(needs))]
    return f"not installed, so left out: {'; '.join(left_out)}" if left_out else ""


class Ours:
    """A strategy of clary.tuning, which is a function of the history: it is called with all trials so far."""

    def __init__(self, space: Space, seed: int, kind: Callable[..., Any]):
        self._space, self._strategy = space, kind(seed=seed, minimize=True)
        self._trials: list[Trial] = []

    def ask(self) -> Values:
        values = self._strategy.suggest(self._space, self._trials, len(self._trials))
        self._trials.append(Trial(len(self._trials), values, state="running"))
        return values

    def tell(self, asked: Values, measured: Values, objective: float) -> None:
        at = next(at for at, trial in enumerate(self._trials) if trial.state == "running" and trial.values == asked)
        self._trials[at] = Trial(at, measured, objective, "finished")


class Optuna:
    """A study with one of Optuna's samplers as it comes."""

    def __init__(self, space: Space, sampler: Any):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._optuna = optuna
        self._study = optuna.create_study(sampler=sampler)
        self._ranges = {parameter.name: self._range(parameter) for parameter in space.parameters}
        self._asked: list[tuple[Values, Any]] = []

    def ask(self) -> Values:
        trial = self._study.ask(self._ranges)
        self._asked.append((dict(trial.params), trial))
        return dict(trial.params)

    def tell(self, asked: Values, measured: Values, objective: float) -> None:
        at = next(at for at, (values, _) in enumerate(self._asked) if values == asked)
        trial = self._asked.pop(at)[1]
        if measured == asked:
            self._study.tell(trial, objective)
            return
        self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        told = self._optuna.trial.create_trial(params=dict(measured), distributions=self._ranges, value=objective)
        self._study.add_trial(told)

    def _range(self, parameter: Any) -> Any:
        distributions = self._optuna.distributions
        if isinstance(parameter, Categorical):
            return distributions.CategoricalDistribution(list(parameter.values))
        kind = distributions.IntDistribution if isinstance(parameter, Integer) else distributions.FloatDistribution
        return kind(parameter.low, parameter.high, log=parameter.scale == LOG)


class Smac:
    """SMAC3 with forests or Gaussian processes, its model fitted anew for every suggestion, where it would fit it for every eighth."""

    def __init__(self, space: Space, seed: int, facade: str):
        import ConfigSpace
        import smac
        from smac.runhistory import TrialInfo, TrialValue

        self._info, self._value, self._configuration = TrialInfo, TrialValue, ConfigSpace.Configuration
        self._space = ConfigSpace.ConfigurationSpace(seed=seed)
        self._space.add(*(self._hyperparameter(ConfigSpace, parameter) for parameter in space.parameters))
        kind = getattr(smac, facade)
        self._folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            self._space, deterministic=True, n_trials=10_000, seed=seed, output_directory=self._folder.name
        )
        self._facade = kind(
            scenario,
            lambda config, seed=0: 0.0,
            initial_design=kind.get_initial_design(scenario, n_configs=START),
            config_selector=kind.get_config_selector(scenario, retrain_after=1),
            logging_level=False,
            overwrite=True,
        )
        self._whole = {parameter.name for parameter in space.parameters if isinstance(parameter, Integer)}
        self._text = {parameter.name for parameter in space.parameters if isinstance(parameter, Categorical)}
        logging.getLogger("smac").setLevel(logging.ERROR)

    def ask(self) -> Values:
        return {name: self._plain(name, value) for name, value in self._facade.ask().config.items()}

    def tell(self, asked: Values, measured: Values, objective: float) -> None:
        configuration = self._configuration(self._space, values=dict(measured))
        self._facade.tell(self._info(configuration, seed=0), self._value(cost=objective), save=False)

    def _plain(self, name: str, value: Any) -> Any:
        return str(value) if name in self._text else int(value) if name in self._whole else float(value)

    def _hyperparameter(self, module: Any, parameter: Any) -> Any:
        if isinstance(parameter, Categorical):
            return module.Categorical(parameter.name, list(parameter.values))
        kind = module.Integer if isinstance(parameter, Integer) else module.Float
        return kind(parameter.name, (parameter.low, parameter.high), log=parameter.scale == LOG)


class BoTorch:
    """Its tutorial's loop: Sobol points, then SingleTaskGP with log expected improvement, in the unit cube.

    Integers are rounded, choices are coordinates with the numbers 0, 1, ... of which each is optimised on its own.
    """

    def __init__(self, space: Space, seed: int):
        import torch

        torch.manual_seed(seed)
        self._torch, self._space, self._asked, self._told = torch, space, [], []
        self._start = torch.quasirandom.SobolEngine(len(space.parameters), scramble=True, seed=seed)

    def ask(self) -> Values:
        row = self._start.draw(1)[0] if len(self._told) + len(self._asked) < START else self._best()
        values = {parameter.name: _at(parameter, float(place)) for parameter, place in zip(self._space.parameters, row, strict=True)}
        self._asked.append(values)
        return values

    def tell(self, asked: Values, measured: Values, objective: float) -> None:
        self._asked.remove(asked)
        self._told.append((self._places(measured), objective))

    def _best(self) -> Any:
        from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import SingleTaskGP
        from botorch.optim import optimize_acqf, optimize_acqf_mixed
        from gpytorch.mlls import ExactMarginalLogLikelihood

        tensor = self._torch.tensor
        X = tensor([row for row, _ in self._told], dtype=self._torch.double)
        y = -tensor([[value] for _, value in self._told], dtype=self._torch.double)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = SingleTaskGP(X, y)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
            pending = tensor([self._places(each) for each in self._asked], dtype=self._torch.double)
            gain = qLogExpectedImprovement(model, y.max(), X_pending=pending) if self._asked else LogExpectedImprovement(model, y.max())
            bounds = tensor([[0.0] * X.shape[1], [1.0] * X.shape[1]], dtype=self._torch.double)
            settings = {"q": 1, "num_restarts": 5, "raw_samples": 128}
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

    def _places(self, values: Values) -> list[float]:
        return [_place(parameter, values[parameter.name]) for parameter in self._space.parameters]


def _place(parameter: Categorical | Continuous | Integer, value: Any) -> float:
    """In [0, 1]; of choices the middle of the n-th of as many parts."""
    if isinstance(parameter, Categorical):
        return (list(parameter.values).index(value) + 0.5) / len(parameter.values)
    low, high = _ends(parameter)
    return float(((np.log(value) if parameter.scale == LOG else value) - low) / (high - low))


def _at(parameter: Categorical | Continuous | Integer, place: float) -> Any:
    if isinstance(parameter, Categorical):
        return list(parameter.values)[min(int(place * len(parameter.values)), len(parameter.values) - 1)]
    low, high = _ends(parameter)
    value = low + place * (high - low)
    value = float(np.exp(value)) if parameter.scale == LOG else value
    value = min(max(value, parameter.low), parameter.high)
    return round(value) if isinstance(parameter, Integer) else value


def _ends(parameter: Continuous | Integer) -> tuple[float, float]:
    ends = (float(parameter.low), float(parameter.high))
    return (float(np.log(ends[0])), float(np.log(ends[1]))) if parameter.scale == LOG else ends


def _tpe(space: Space, seed: int) -> Optimizer:
    import optuna

    return Optuna(space, optuna.samplers.TPESampler(seed=seed))


def _gp(space: Space, seed: int) -> Optimizer:
    import optuna

    return Optuna(space, optuna.samplers.GPSampler(seed=seed))


def _smac_forest(space: Space, seed: int) -> Optimizer:
    return Smac(space, seed, "HyperparameterOptimizationFacade")


def _smac_gp(space: Space, seed: int) -> Optimizer:
    return Smac(space, seed, "BlackBoxFacade")


_PEERS: dict[str, tuple[Callable[[Space, int], Optimizer], tuple[str, ...]]] = {
    "Optuna TPE": (_tpe, ("optuna",)),
    "Optuna GP": (_gp, ("optuna", "torch")),
    "BoTorch": (BoTorch, ("torch", "botorch")),
    "SMAC3 forest": (_smac_forest, ("smac",)),
    "SMAC3 GP": (_smac_gp, ("smac",)),
}


def _absent(modules: tuple[str, ...]) -> list[str]:
    return [module for module in modules if importlib.util.find_spec(module) is None]
