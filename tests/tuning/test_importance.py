"""Shares of parameters in functions whose Sobol indices are known."""

from __future__ import annotations

import math

import pytest

from clary.tuning import Categorical, Continuous, Random, Space, Trial
from clary.tuning.importance import importance

SPACE = Space((Continuous("a", 0, 1), Continuous("b", 0, 1), Categorical("c", ("x", "y")), Continuous("idle", 0, 1)))


def trials(function, n: int = 60) -> list[Trial]:
    values = [Random(4).suggest(SPACE, [], index) for index in range(n)]
    return [Trial(index, v, function(v), "finished") for index, v in enumerate(values)]


def test_shares_of_a_sum_are_those_of_its_variances():
    # variances of the terms: 9/12, 1/12 and 0.16/4
    shares = importance(SPACE, trials(lambda v: 3 * v["a"] + v["b"] + 0.4 * (v["c"] == "x")), True, 0)
    assert list(shares) == ["a", "b", "c", "idle"]
    assert sum(shares.values()) == pytest.approx(1)
    whole = 9 / 12 + 1 / 12 + 0.04
    assert shares["a"] == pytest.approx(9 / 12 / whole, abs=0.03)
    assert shares["b"] == pytest.approx(1 / 12 / whole, abs=0.03)
    assert shares["c"] == pytest.approx(0.04 / whole, abs=0.03)
    assert shares["idle"] < 0.01


def test_what_acts_only_together_counts_for_both():
    shares = importance(SPACE, trials(lambda v: (v["a"] - 0.5) * (v["b"] - 0.5)), False, 0)
    assert shares["a"] == pytest.approx(0.5, abs=0.06)
    assert shares["b"] == pytest.approx(0.5, abs=0.06)


def test_the_same_trials_in_another_order_give_the_same_shares():
    ran = trials(lambda v: v["a"], 12)
    assert importance(SPACE, ran, True, 3) == importance(SPACE, ran[::-1], True, 3)


def test_nothing_is_said_of_few_or_equal_outcomes():
    assert importance(SPACE, trials(lambda v: v["a"], 3), True, 0) == {}
    assert importance(SPACE, trials(lambda v: 2.0), True, 0) == {}
    assert importance(SPACE, trials(lambda v: math.nan), True, 0) == {}
