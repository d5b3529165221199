"""What every strategy keeps: proposals in range and of their type, the same for the same arguments, none twice without need."""

from __future__ import annotations

import dataclasses
import json
import random
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tuning.spaces import histories, seeds, spaces

from clary.tuning import Bayesian, Categorical, Continuous, Grid, Hyperband, Integer, Random, Sobol, Space, Trial

STRATEGIES = [Random(7), Sobol(7), Hyperband(7, True, 1, 27), Bayesian(7)]
MIXED = Space(
    (
        Continuous("rate", 1e-5, 1.0),
        Integer("depth", 1, 8),
        Categorical("booster", ("tree", "linear")),
        Continuous("momentum", 0.5, 0.999),
    )
)
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def tried(space: Space, n: int, seed: int = 3) -> list[Trial]:
    """n finished trials at random configurations, the objective a function of them."""
    values = [Random(seed).suggest(space, [], index) for index in range(n)]
    return [Trial(i, v, float(len(str(v)) + i % 3), "finished") for i, v in enumerate(values)]


def is_of(space: Space, values) -> bool:
    types = {Continuous: float, Integer: int, Categorical: str}
    return space.holds(values) and all(type(values[p.name]) is types[type(p)] for p in space.parameters)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
@given(data=st.data(), space=spaces(), seed=seeds)
@few
def test_proposals_are_in_range_and_of_their_type(strategy, data, space, seed):
    trials = data.draw(histories(space))
    prior = data.draw(histories(space, 4))
    proposer = dataclasses.replace(strategy, seed=seed)
    values = proposer.suggest(space, trials, len(trials), prior, data.draw(st.booleans()))
    assert is_of(space, values)
    json.dumps(values)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: type(strategy).__name__)
def test_the_order_in_which_trials_come_is_irrelevant(strategy):
    trials = [
        *tried(MIXED, 12),
        Trial(12, Random(1).suggest(MIXED, [], 0)),
        Trial(13, Random(1).suggest(MIXED, [], 1), None, "failed"),
    ]
    shuffled = random.Random(0).sample(trials, len(trials))
    assert strategy.suggest(MIXED, trials, 14) == strategy.suggest(MIXED, shuffled, 14)


PROGRAM = """
from tests.tuning.test_strategies import MIXED, STRATEGIES, tried
from clary.tuning import Trial, Random
trials = [*tried(MIXED, 11), Trial(11, Random(1).suggest(MIXED, [], 0))]
for strategy in STRATEGIES:
    for transfer in (False, True):
        print(strategy.suggest(MIXED, trials, 12, tried(MIXED, 6, 5), transfer))
"""


def test_another_process_proposes_the_same_bit_for_bit():
    runs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            capture_output=True,
            text=True,
            check=True,
            env={**os_environment(), "PYTHONHASHSEED": hashes},
        ).stdout
        for hashes in ("1", "2")
    }
    assert len(runs) == 1
    assert runs.pop().count("\n") == 8


def os_environment() -> dict[str, str]:
    import os
    from pathlib import Path

    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


@pytest.mark.parametrize(
    "strategy", [Random(1), Sobol(1), Hyperband(1, True, 1, 9)], ids=lambda strategy: type(strategy).__name__
)
def test_samplers_look_at_nothing_but_space_seed_and_index(strategy):
    assert strategy.suggest(MIXED, [], 9) == strategy.suggest(MIXED, tried(MIXED, 9), 9, tried(MIXED, 4))
    assert strategy.suggest(MIXED, [], 9) != strategy.suggest(MIXED, [], 8)
    assert strategy.suggest(MIXED, [], 9) != dataclasses.replace(strategy, seed=2).suggest(MIXED, [], 9)


@pytest.mark.parametrize(
    ("scale", "low", "high", "middle"),
    [
        ("Linear", 1e-6, 1.0, 0.5),
        ("Logarithmic", 1e-6, 1.0, 1e-3),
        ("ReverseLogarithmic", 0.0, 1 - 1e-6, 1 - 1e-3),
        ("Auto", 1e-6, 1.0, 1e-3),
        ("Auto", 0.5, 1.0, 0.75),
        ("Auto", 0.0, 1 - 1e-6, 1 - 1e-3),
    ],
)
def test_scaling_says_where_half_of_the_draws_lie(scale, low, high, middle):
    space = Space((Continuous("x", low, high, scale),))
    below = sum(Sobol(3).suggest(space, [], index)["x"] < middle for index in range(128))
    assert 60 <= below <= 68


def test_integers_share_their_column_evenly():
    space = Space((Integer("n", 0, 3, "Linear"), Continuous("x", 0, 1)))
    counts = Counter(Sobol(0).suggest(space, [], index)["n"] for index in range(256))
    assert set(counts.values()) == {64}


SMALL = Space((Integer("a", 1, 3), Categorical("b", ("x", "y", "z", "w"))))


@pytest.mark.parametrize("strategy", [Random(5), Sobol(5), Grid(5), Bayesian(5)], ids=lambda strategy: type(strategy).__name__)
def test_a_finite_space_is_walked_through_without_repeats(strategy):
    trials: list[Trial] = []
    for index in range(12):
        values = strategy.suggest(SMALL, trials, index)
        trials.append(Trial(index, values, float(values["a"]), "finished"))
    assert len({tuple(trial.values.items()) for trial in trials}) == 12


def test_a_grid_ends_and_the_others_begin_again():
    assert Grid(5).suggest(SMALL, [], 12) is None
    assert Random(5).suggest(SMALL, [], 12) == Random(5).suggest(SMALL, [], 0)
    assert SMALL.holds(
        Bayesian(5).suggest(SMALL, [Trial(i, Grid(1).suggest(SMALL, [], i), 1.0, "finished") for i in range(12)], 12)
    )


def test_a_grid_of_a_continuous_parameter_is_refused_by_name():
    with pytest.raises(ValueError, match="rate is continuous"):
        Grid(0).suggest(MIXED, [], 0)


def test_bayesian_avoids_what_was_tried_or_runs():
    space = Space((Integer("n", 1, 6),))
    trials = [Trial(i, {"n": n}, float((n - 3) ** 2), "finished") for i, n in enumerate([1, 3, 6])]
    trials += [Trial(3, {"n": 2}), Trial(4, {"n": 4})]
    assert Bayesian(0, initial=2).suggest(space, trials, 5) == {"n": 5}


@pytest.mark.parametrize("minimize", [True, False])
def test_bayesian_finds_the_best_of_a_mixed_space(minimize):
    sign = 1 if minimize else -1
    trials: list[Trial] = []
    for index in range(30):
        v = Bayesian(2, minimize).suggest(MIXED, trials, index)
        loss = (np.log10(v["rate"]) + 2) ** 2 + abs(v["depth"] - 6) + (v["booster"] == "linear") + (v["momentum"] - 0.9) ** 2
        trials.append(Trial(index, v, sign * float(loss), "finished"))
    best = min(trials, key=lambda trial: sign * trial.objective)
    assert best.values["depth"] == 6
    assert best.values["booster"] == "tree"
    assert abs(np.log10(best.values["rate"]) + 2) < 0.2


@pytest.mark.parametrize(
    "objectives",
    [
        [5.0] * 12,
        [1.0, 1e300, 2.0, 3.0, -1e300, 4.0, float("nan"), 5.0, 6.0, 2.5, 1.5, 0.5],
        [float("nan")] * 12,
        [1e-300 * i for i in range(12)],
        [1e15 + i for i in range(12)],
    ],
    ids=["constant", "outliers", "NaN", "tiny", "large offset"],
)
def test_bayesian_bears_any_objectives(objectives):
    trials = [dataclasses.replace(t, objective=o) for t, o in zip(tried(MIXED, 12), objectives, strict=True)]
    assert is_of(MIXED, Bayesian(0).suggest(MIXED, trials, 12))


def test_bayesian_bears_many_parameters_and_all_categorical():
    wide = Space(tuple(Continuous(f"x{i}", 0, 1) for i in range(25)))
    assert is_of(wide, Bayesian(0).suggest(wide, tried(wide, 15), 15))
    letters = Space(tuple(Categorical(f"c{i}", tuple("abcdef")) for i in range(6)))
    assert is_of(letters, Bayesian(0).suggest(letters, tried(letters, 15), 15))


def test_duplicated_configurations_are_no_obstacle():
    trials = [Trial(i, {"x": 0.5}, 1.0 + i % 2, "finished") for i in range(10)]
    space = Space((Continuous("x", 0, 1),))
    assert Bayesian(0).suggest(space, trials, 10)["x"] != 0.5


def test_hyperband_learns_from_the_highest_rung_that_enough_trials_have_reached():
    space = Space((Continuous("x", 0, 1), Continuous("y", 0, 1)))
    hyperband, bayesian = Hyperband(7, True, 1, 9), Bayesian(7)

    def trial(index: int, *curve: float, state: str = "stopped") -> Trial:
        return Trial(index, {"x": 0.1 + index / 9, "y": 0.9 - index / 11}, None, state, curve)

    first = [trial(index, index * 1.0) for index in range(3)]
    assert hyperband.suggest(space, first, 3) == Random(7).suggest(space, first, 3), "four are enough for two parameters"
    some = [*first, trial(3, 4.0, 3.0, 2.0, 1.0, state="running"), trial(4, 5.0)]
    told = [Trial(each.index, each.values, each.curve[0], "finished") for each in some]
    assert hyperband.suggest(space, some, 5) == bayesian.suggest(space, told, 5)
    higher = [trial(index, 9.0, 9.0, 1.0 + (index - 3) ** 2) for index in range(5)]
    told = [Trial(each.index, each.values, each.curve[2], "finished") for each in higher]
    fresh = trial(6, state="running")
    assert hyperband.suggest(space, [*higher, trial(5, 0.5), fresh], 7) == bayesian.suggest(space, [*told, fresh], 7)
