"""Where the parameters of a factorization machine begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from clary.algorithms.recommend.parameters import Parameters

Method = Literal["normal", "uniform", "constant"]
UNIFORM_SCALE, CONSTANT = 0.07, 0.0
"""What stands for a scale and a value that are not given; the scale is that of MXNet's `Uniform`."""


@dataclass(frozen=True, slots=True)
class Start:
    """`normal` around 0 with standard deviation sigma, `uniform` in [-scale, scale], or the `constant` value."""

    method: Method
    sigma: float
    scale: float | None = None
    value: float | None = None

    def draw(self, random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """float32 of `shape`."""
        if self.method == "normal":
            return random.standard_normal(shape, dtype=np.float32) * np.float32(self.sigma)
        if self.method == "uniform":
            scale = UNIFORM_SCALE if self.scale is None else self.scale
            return (2 * random.random(shape, dtype=np.float32) - 1) * np.float32(scale)
        return np.full(shape, CONSTANT if self.value is None else self.value, np.float32)


def parameters(bias: Start, weights: Start, factors: Start, *, features: int, num_factors: int, seed: int) -> Parameters:
    """A machine that begins so; the same seed gives the same."""
    random = np.random.default_rng(seed)
    machine = Parameters.empty(features, num_factors)
    machine.bias[:] = bias.draw(random, (1,))
    machine.weights[:] = weights.draw(random, (features,))
    machine.factors[:, :num_factors] = factors.draw(random, (features, num_factors))
    return machine
