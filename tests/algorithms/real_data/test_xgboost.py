"""XGBoost jobs on public data, with the library alone measured beside them; needs the data sets next to the checkout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks import xgboost_quality as quality

DATA = Path(__file__).parents[4] / "shared" / "data"
SEEDS = range(3)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.is_dir(), reason="the public data sets are not there"),
]


@pytest.mark.parametrize(
    ("case", "worst", "noise"),
    [(quality.CASES[0], 0.075, 0.012), (quality.CASES[1], 2.35, 0.15), (quality.CASES[2], 0.92, 0.003)],
    ids=lambda case: case.name if isinstance(case, quality.Case) else "",
)
def test_a_job_is_as_good_as_the_library(monkeypatch, case, worst, noise):
    monkeypatch.setenv("CLARY_IMAGE_TAG", "1.2-2")
    splits = [case.split(DATA, seed) for seed in SEEDS]
    ours = np.mean([quality.job_quality(case, split, seed) for split, seed in zip(splits, SEEDS, strict=True)])
    theirs = np.mean([quality.library_quality(case, split, seed) for split, seed in zip(splits, SEEDS, strict=True)])
    assert ours == pytest.approx(theirs, abs=noise)
    assert ours > worst if case.measure == "test AUC" else ours < worst
