"""Stopping rules, by cases worked out by hand."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from clary.tuning import Trial, median_rule, successive_halving
from clary.tuning.stopping import bracket, rungs


def trial(index: int, *curve: float, state: str = "finished") -> Trial:
    return Trial(index, {"x": 0.5}, None, state, curve)


ENDED = [trial(0, 4, 2, 3), trial(1, 6, 6, 6), trial(2, 2, 4, 9, state="stopped")]
"""Running averages after two reports: 3, 6, 3; after three: 3, 6, 5."""


@pytest.mark.parametrize(
    ("curve", "stops"),
    [
        ((9, 3.0), False),  # no worse than the median 3
        ((0, 3.1), True),  # the last report counts, not the mean
        ((0, 0, 5.0), False),
        ((0, 0, 5.1), True),
        ((0, math.nan), True),
        ((), False),
        ((0, 0, 5.1, 0), True),  # nobody has come as far as four: the third counts
        ((9, 9, 5, 9), False),
    ],
)
def test_median_rule(curve, stops):
    assert median_rule(trial(3, *curve, state="running"), ENDED, True) is stops


def test_median_rule_maximizing():
    assert median_rule(trial(3, 0, 2.9), ENDED, False)
    assert not median_rule(trial(3, 0, 3.0), ENDED, False)


def test_median_rule_needs_three_that_have_ended():
    bad, ended = trial(9, 100, 100, state="running"), ENDED[:2]
    assert not median_rule(bad, ended, True)
    assert not median_rule(bad, [*ended, trial(4, 1, 1, state="running"), trial(5, 1, 1, state="failed"), trial(6), bad], True)
    assert median_rule(bad, [*ended, trial(4, 1)], True), "all three have made the first report"


def test_median_rule_lets_everyone_make_a_third_of_the_reports_of_a_finished_trial():
    finished = [trial(i, *[1.0] * 9) for i in range(3)]
    assert not median_rule(trial(9, 5, 5, state="running"), finished, True)
    assert median_rule(trial(9, 5, 5, 5, state="running"), finished, True)
    stopped = [trial(i, 1, 1, 1, state="stopped") for i in range(3)]
    assert not median_rule(trial(9, 5, 5, 5, state="running"), stopped, True), "nobody knows how long a whole trial is"


SETTINGS = {"minimize": True, "min_resource": 1, "max_resource": 9, "eta": 3}


def test_rungs():
    assert rungs(0, 1, 9, 3) == [1, 3]
    assert rungs(1, 1, 9, 3) == [3]
    assert rungs(2, 1, 9, 3) == []
    assert rungs(0, 1, 100, 3) == [1, 4, 11, 33]


def test_brackets_have_the_sizes_of_hyperband_and_are_mixed():
    assert Counter(bracket(index, 1, 9, 3) for index in range(17)) == {0: 9, 1: 5, 2: 3}
    assert Counter(bracket(index, 1, 81, 3) for index in range(143)) == {0: 81, 1: 34, 2: 15, 3: 8, 4: 5}
    assert len({bracket(index, 1, 9, 3) for index in range(5)}) == 3


def in_bracket(which: int) -> list[int]:
    return [index for index in range(100) if bracket(index, 1, 9, 3) == which]


def test_halving_keeps_the_best_third_at_a_rung():
    others = [trial(index, float(place), state="running") for place, index in enumerate(in_bracket(0)[:5])]
    me = in_bracket(0)[5]
    assert not successive_halving(trial(me, -1.0), others, **SETTINGS)
    assert not successive_halving(trial(me, 0.5), others, **SETTINGS)  # second of six
    assert successive_halving(trial(me, 1.5), others, **SETTINGS)  # third of six
    assert successive_halving(trial(me, math.nan), [], **SETTINGS)
    assert not successive_halving(trial(me), others, **SETTINGS)


def test_halving_judges_at_the_highest_rung_by_the_report_made_there():
    first, second, third, me = in_bracket(0)[:4]
    others = [trial(first, 5, 5, 1.0), trial(second, 5, 5, 2.0), trial(third, 0.0)]
    assert not successive_halving(trial(me, 9, 9, 0.5, 99), others, **SETTINGS)
    assert successive_halving(trial(me, 0, 0, 1.5), others, **SETTINGS)


def test_halving_compares_within_a_bracket_and_lets_the_last_run_on():
    others = [trial(index, 0.0, 0.0, 0.0) for index in in_bracket(0)[:6]]
    assert not successive_halving(trial(in_bracket(1)[0], 9, 9, 9), others, **SETTINGS)
    assert not successive_halving(trial(in_bracket(2)[0], 9, 9, 9, 9), others, **SETTINGS)


def test_halving_stops_what_has_used_its_resource():
    assert successive_halving(trial(in_bracket(2)[0], *[0.0] * 9), [], **SETTINGS)


def test_halving_maximizing():
    rival = trial(in_bracket(0)[0], 1.0)
    assert successive_halving(trial(in_bracket(0)[1], 0.5), [rival], **{**SETTINGS, "minimize": False})
    assert not successive_halving(trial(in_bracket(0)[1], 1.0), [rival], **{**SETTINGS, "minimize": False})


@pytest.mark.parametrize("wrong", [{"min_resource": 0}, {"max_resource": 0}, {"eta": 1}])
def test_impossible_resources_are_refused(wrong):
    with pytest.raises(ValueError, match="Hyperband needs"):
        successive_halving(trial(0, 1.0), [], **{**SETTINGS, **wrong})
