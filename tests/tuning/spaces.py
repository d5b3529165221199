"""Spaces, values and histories for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from clary.tuning import Categorical, Continuous, Integer, Space, Trial
from clary.tuning.encoding import Encoding

SCALES = st.sampled_from(["Auto", "Linear", "Logarithmic"])
finite = st.floats(-1e6, 1e6)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def continuous(draw, name: str) -> Continuous:
    scale = draw(st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]))
    ends = {"Logarithmic": st.floats(1e-9, 1e9), "ReverseLogarithmic": st.floats(0, 0.99999)}.get(scale, finite)
    low, high = sorted([draw(ends), draw(ends)])
    return Continuous(name, low, high, scale)


@st.composite
def integer(draw, name: str) -> Integer:
    scale = draw(SCALES)
    ends = st.integers(1, 10**6) if scale == "Logarithmic" else st.integers(-1000, 10**6)
    low, high = sorted([draw(ends), draw(ends)])
    return Integer(name, low, high, scale)


@st.composite
def categorical(draw, name: str) -> Categorical:
    return Categorical(name, tuple(draw(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5, unique=True))))


@st.composite
def spaces(draw, most: int = 5) -> Space:
    kinds = draw(st.lists(st.sampled_from([continuous, integer, categorical]), min_size=1, max_size=most))
    return Space(tuple(draw(kind(f"p{i}")) for i, kind in enumerate(kinds)))


@st.composite
def histories(draw, space: Space, most: int = 12) -> list[Trial]:
    """Trials of any state, with objectives of any finite size, and NaN."""
    encoding = Encoding(space)
    n = draw(st.integers(0, most))
    trials = []
    for index in range(n):
        cells = draw(st.lists(st.floats(0, 1), min_size=len(space.parameters), max_size=len(space.parameters)))
        values = encoding.from_unit(encoding.snap(_row(cells))[0])
        state = draw(st.sampled_from(["running", "finished", "finished", "stopped", "failed"]))
        objective = None if state in ("running", "failed") else draw(st.one_of(st.floats(-1e300, 1e300), st.just(float("nan"))))
        trials.append(Trial(index, values, objective, state))
    return trials


def _row(cells: list[float]):
    import numpy as np

    return np.array([cells])
