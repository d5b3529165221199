"""Hotspots against DBSCAN of every window, and planted ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import DBSCAN
from sklearn.utils.estimator_checks import parametrize_with_checks

from clary.algorithms import Hotspots
from clary.algorithms.anomaly.hotspots import Hotspot, result


@parametrize_with_checks([Hotspots()])
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


def test_a_planted_clump_in_uniform_noise_is_located():
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.uniform(0, 10, (400, 2)), rng.normal(4, 0.05, (60, 2))])
    model = Hotspots(scan_radius=0.15, min_points=30).fit(X)
    (spot,) = model.hotspots_
    assert np.all(np.array(spot.min_values) < 4)
    assert np.all(np.array(spot.max_values) > 4)
    assert np.all(np.array(spot.max_values) - spot.min_values < 1)
    assert (model.labels_[400:] == 0).all()
    assert spot.density > 20 * 460 / 100


def test_two_clumps_come_densest_first():
    X = np.concatenate([np.linspace(0, 9, 10), np.linspace(100, 109, 19)])[:, None]
    model = Hotspots(scan_radius=1.0, min_points=5).fit(X)
    assert model.hotspots_ == [Hotspot(19 / 9, [100.0], [109.0]), Hotspot(10 / 9, [0.0], [9.0])]
    assert model.labels_.tolist() == [1] * 10 + [0] * 19


def test_equal_points_have_a_finite_density():
    model = Hotspots(scan_radius=0.5, min_points=4).fit(np.ones((8, 2)))
    assert model.hotspots_[0].density == 8 / 0.5**2


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), size=st.sampled_from([2, 7, 64, 65, 100]), radius=st.sampled_from([0.1, 0.5, 2.0]))
def test_every_window_of_a_stream_has_the_hotspots_of_dbscan(seed, size, radius):
    X = np.random.default_rng(seed).integers(0, 12, (150, 2)) * 0.25
    spots = list(Hotspots(size, radius, 2).stream(X))
    for end in (1, size, 101, 150):
        window = X[max(end - size, 0) : end]
        groups = DBSCAN(eps=radius, min_samples=2).fit(window).labels_
        boxes = {(*window[groups == g].min(axis=0), *window[groups == g].max(axis=0)) for g in set(groups) - {-1}}
        assert {(*spot.min_values, *spot.max_values) for spot in spots[end - 1]} == boxes


def test_a_stream_goes_on_from_fit_and_from_a_file(tmp_path):
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = Hotspots(100, 0.2, 5).fit(X[:200])
    model.save(tmp_path / "spots")
    whole = list(Hotspots(100, 0.2, 5).stream(X))
    assert list(Hotspots.load(tmp_path / "spots").stream(X[200:])) == whole[200:]
    assert list(model.stream(X[200:])) == whole[200:]


def test_the_result_is_the_stream_functions_json():
    text = result([Hotspot(2.5, [1.0, 2.0], [3.0, 4.0])])
    assert text == '{"hotspots":[{"density":2.5,"maxValues":[3.0,4.0],"minValues":[1.0,2.0]}]}'
    assert json.loads(result([])) == {"hotspots": []}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"window_size": 1}, "window_size must be"),
        ({"min_points": 1}, "min_points must be"),
        ({"window_size": 100, "min_points": 101}, "from 2 to 100"),
        ({"scan_radius": 0.0}, "scan_radius must be"),
    ],
)
def test_what_is_wrong_is_named(parameters, words):
    with pytest.raises(ValueError, match=words):
        Hotspots(**parameters).fit(np.zeros((5, 2)))
    with pytest.raises(ValueError, match=words):
        Hotspots(**parameters).stream(np.zeros((5, 2)))
