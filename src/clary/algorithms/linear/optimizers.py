"""How weights move: SGD with momentum, Adam, RMSProp; a learning rate that decays; the mean of the weights on their way.

The mean is the model (Polyak and Juditsky 1992): in one pass it comes as close to the optimum as the rows allow, which the
last weights, shaken by the last mini-batches, do not. In the first epoch later weights count more (polynomial-decay
averaging, Shamir and Zhang 2013), so that the way from the start is forgotten; afterwards all weights of an epoch count alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clary.algorithms.linear import kernels

OPTIMIZERS = ("sgd", "adam", "rmsprop")
RMSPROP_DECAY = 0.9
FORGETTING = 0.5
"""Exponent of the first epoch's mean: weights of step t count as t^0.5. Its noise is 1.125 times that of the plain mean."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate of step t: `rate * factor^(t // step)`, at least `minimum`. A factor of 1 keeps it."""

    step: int = 1
    factor: float = 1.0
    minimum: float = 0.0

    def at(self, t: int, rates: np.ndarray) -> np.ndarray:
        """`rates` (n,) as they are at step t, counted from 0."""
        return np.maximum(rates * np.float32(self.factor ** (t // self.step)), np.minimum(self.minimum, rates))


@dataclass(frozen=True, slots=True)
class Settings:
    """What all candidates share. `bias_` numbers multiply rate and weight decay of biases."""

    optimizer: str = "adam"
    momentum: float = 0.0
    beta_1: float = 0.9
    beta_2: float = 0.999
    bias_lr_mult: float = 1.0
    bias_wd_mult: float = 0.0
    schedule: Schedule = Schedule()


class Optimizer:
    """Weights of all candidates, (columns, features + 1) float32 with the bias last, and what it takes to move them.

    rates, l1, wd : (columns,) per column: each belongs to one candidate
    mean : the mean of the weights since `begin_epoch`
    """

    def __init__(self, weights: np.ndarray, rates: np.ndarray, l1: np.ndarray, wd: np.ndarray, settings: Settings):
        self.weights = weights
        self.mean = weights.copy()
        self.first = np.zeros_like(weights)
        self.second = np.zeros_like(weights)
        self.steps = 0
        self._rates, self._l1, self._wd = (np.ascontiguousarray(each, np.float32) for each in (rates, l1, wd))
        self._settings = settings
        self._since = 0
        self._epochs = 0

    def begin_epoch(self) -> None:
        """Start the mean anew."""
        self._since = 0
        self._epochs += 1

    def step(self, gradient: np.ndarray) -> None:
        """Move by `gradient` (columns, features + 1), the mean over the rows of a mini-batch."""
        settings = self._settings
        forgetting = FORGETTING if self._epochs <= 1 else 0.0
        self._since += 1
        blend = (1 + forgetting) / (self._since + forgetting)
        rates = settings.schedule.at(self.steps, self._rates)
        self.steps += 1
        regularised = rates, self._l1, self._wd, settings.bias_lr_mult, settings.bias_wd_mult
        if settings.optimizer == "sgd":
            kernels.sgd(self.weights, gradient, self.first, self.mean, *regularised, settings.momentum, blend)
            return
        kernels.adam(self.weights, gradient, self.first, self.second, self.mean, *regularised, *self._moments(), blend)

    def _moments(self) -> tuple[float, float, float, float]:
        """Decay of both moments of the gradient, and what makes up for their start at zero."""
        if self._settings.optimizer == "rmsprop":
            return 0.0, RMSPROP_DECAY, 1.0, 1.0
        one, two = self._settings.beta_1, self._settings.beta_2
        return one, two, 1 / (1 - one**self.steps), 1 / (1 - two**self.steps)
