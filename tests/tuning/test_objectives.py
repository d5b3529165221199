"""Objectives on their way into the process: order is kept, the map's slopes are right, outliers and constants do no harm."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.tuning.objectives import Objectives

ALL = np.zeros(6, dtype=int)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=30), st.floats(-4, 6))
def test_order_is_kept_and_nothing_overflows(costs, log_knee):
    costs = np.array(costs)
    z, *_ = Objectives(costs, np.zeros(len(costs), dtype=int)).bent_at(log_knee)
    assert np.isfinite(z).all()
    assert (np.diff(z[np.argsort(costs, kind="stable")]) >= -1e-12).all()


def test_they_are_standardized_whatever_their_level_and_scale():
    costs = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    for knee in (None, 0.0):
        z, *_ = Objectives(costs, ALL).bent_at(knee)
        assert z.mean() == pytest.approx(0, abs=1e-12)
        assert z.std() == pytest.approx(1)
        np.testing.assert_allclose(Objectives(1e6 + 1e-3 * costs, ALL).bent_at(knee)[0], z, atol=1e-5)


def test_a_small_knee_tells_good_costs_apart():
    costs = np.array([0.0, 1e-3, 1e-2, 1e-1, 1.0, 10.0])
    linear, bent = (Objectives(costs, ALL).bent_at(knee)[0] for knee in (8.0, -8.0))
    assert linear[1] - linear[0] < 1e-3
    assert bent[1] - bent[0] > 0.3


def test_a_constant_says_nothing():
    assert not Objectives(np.full(6, 7.0), ALL).bent_at(0.0)[0].any()


def test_a_source_of_few_costs_borrows_the_spread_of_others():
    few = np.array([100.0, 100.1])
    costs, sources = np.concatenate([few, np.linspace(0, 10, 12)]), np.array([0] * 2 + [1] * 12)
    z, *_ = Objectives(costs, sources).bent_at(None)
    assert z[1] - z[0] == pytest.approx(0.1 / np.linspace(0, 10, 12).std())
