"""Trials of parent jobs: as observations, or as a related task whose shape is believed and whose level and scale are not."""

from __future__ import annotations

import random

import numpy as np
import pytest

from clary.tuning import Bayesian, Categorical, Continuous, Sobol, Space, Trial

SPACE = Space((Continuous("a", 0, 1), Continuous("b", 0, 1), Categorical("c", ("x", "y"))))


def bowl(values, shift: float = 0.0) -> float:
    return (values["a"] - 0.7 - shift) ** 2 + 2 * (values["b"] - 0.3) ** 2 + 0.2 * (values["c"] == "y")


def parent(function, n: int = 25, source: str = "", seed: int = 8) -> list[Trial]:
    values = [Sobol(seed).suggest(SPACE, [], index) for index in range(n)]
    return [Trial(i, v, float(function(v)), "finished", source=source) for i, v in enumerate(values)]


def searched(function, prior=(), transfer: bool = False, n: int = 4, workers: int = 1) -> float:
    """The best of n trials, started one after the other, each ended when `workers - 1` more were begun."""
    trials: list[Trial] = []
    for index in range(n):
        trials.append(Trial(index, Bayesian(1).suggest(SPACE, trials, index, prior, transfer)))
        for ended in trials[: max(0, index - workers + 2)]:
            trials[ended.index] = Trial(ended.index, ended.values, function(ended.values), "finished")
    return min(function(trial.values) for trial in trials)


def test_identical_data_goes_on_where_the_parent_ended():
    assert searched(bowl, parent(bowl), n=2) < 0.002
    assert min(bowl(trial.values) for trial in parent(bowl)) > 0.004


@pytest.mark.parametrize(("workers", "n"), [(1, 6), (3, 9)])
def test_a_related_task_is_believed_in_its_shape_not_its_level_or_scale(workers, n):
    prior = parent(lambda v: 1000 + 50 * bowl(v))
    assert searched(lambda v: bowl(v, 0.05), prior, transfer=True, n=n, workers=workers) < 0.003


def test_the_first_trial_of_a_transfer_is_the_parents_best():
    prior = parent(bowl)
    best = min(prior, key=lambda trial: trial.objective)
    assert Bayesian(0).suggest(SPACE, [], 0, prior, True) == pytest.approx(best.values)


def test_a_misleading_parent_is_got_over():
    assert searched(bowl, parent(lambda v: -bowl(v)), transfer=True, n=20) < 0.02


def test_parents_with_levels_of_their_own():
    prior = parent(lambda v: 5 + bowl(v), 12, "one") + parent(lambda v: -40 + 3 * bowl(v), 12, "two", seed=9)
    assert searched(bowl, prior, transfer=True, n=5) < 0.005


@pytest.mark.parametrize("transfer", [False, True])
def test_the_order_of_parents_trials_is_irrelevant(transfer):
    prior = parent(bowl, 8, "one") + parent(bowl, 8, "two", seed=9)
    trials = parent(bowl, 3, seed=4)
    shuffled = random.Random(2).sample(prior, len(prior))
    assert Bayesian(3).suggest(SPACE, trials, 3, prior, transfer) == Bayesian(3).suggest(SPACE, trials, 3, shuffled, transfer)


def test_parents_trials_outside_the_space_are_left_out():
    stranger = Trial(0, {"a": 7.0, "b": 0.1, "c": "z"}, 0.0, "finished")
    other = Trial(1, {"a": 0.5}, 0.0, "finished")
    assert Bayesian(0).suggest(SPACE, [], 2, [stranger, other]) == Sobol(0).suggest(SPACE, [], 2)


def test_failed_trials_are_avoided():
    def breaks(v) -> bool:
        return v["a"] > 0.5

    trials: list[Trial] = []
    for index in range(24):
        v = Bayesian(2).suggest(SPACE, trials, index)
        trials.append(Trial(index, v, None, "failed") if breaks(v) else Trial(index, v, 1 - v["a"], "finished"))
    late = [trial for trial in trials[12:] if trial.state == "failed"]
    assert len(late) <= 8
    best = [trial.objective for trial in trials if trial.objective is not None]
    assert min(best) < 0.55
    assert not np.isnan(best).any()
