"""Random cut forest on NAB's labelled series, an isolation forest beside it; needs the data next to the checkout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import random_cut_forest as recipe

DATA = Path(__file__).parents[4] / "shared" / "data"

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (DATA / "nab_anomaly").is_dir(), reason="NAB's series are not there")]


@pytest.fixture(scope="module")
def series():
    return recipe.nab(DATA)


def test_one_setting_finds_the_events_of_all_series(series):
    aucs, events, of = recipe.measured(recipe.streamed, series, seeds=1)
    peer_aucs, peer_events, _ = recipe.measured(recipe.isolated, series, seeds=1)
    assert aucs.mean() > 0.67
    assert aucs.mean() > peer_aucs.mean()
    assert events.mean() >= max(0.8 * of, peer_events.mean())


def test_the_taxi_stream_is_as_good_as_that_of_awss_library(series):
    # measured of the Rust form with 50 trees of 256 points: AUC .683 +- .011, 3.3 of 5 events
    taxi = {recipe.TAXI: series[recipe.TAXI]}
    aucs, events, _ = recipe.measured(recipe.streamed_small, taxi, seeds=5)
    assert aucs.mean() > 0.683 - 2 * np.hypot(0.011, aucs.std(ddof=1))  # one seed's noise, of both
    assert events.mean() >= 3.3
    larger, events, _ = recipe.measured(recipe.streamed, taxi, seeds=5)
    assert larger.mean() > 0.683
    assert events.mean() >= 3.3


def test_a_batch_of_single_half_hours_flags_the_known_days(series):
    """The rule of the hosted algorithm's notebook: 50 trees of 512 points, scores above mean + 3 standard deviations."""
    values = series[recipe.TAXI].values[:, None]
    forest = recipe.RandomCutForest(50, 512).fit(values)
    scores = forest.anomaly_scores(values)
    flagged = np.flatnonzero(scores > scores.mean() + 3 * scores.std())
    marathon, new_year, snow = series[recipe.TAXI].windows[[0, 3, 4]]
    assert marathon[flagged].any()
    assert new_year[flagged].any()
    assert snow[flagged].any()
