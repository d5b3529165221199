"""Random cut forest: streaming against rrcf, batch against scikit-learn's isolation forest; NAB's anomalies, five seeds.

    python -m benchmarks.random_cut_forest [--data ../shared/data] [--repeats 5] [--quick]

The recipe is 10,320 half-hours of taxi passengers in shingles of 48 (a day). Without `--data` a made series stands in and
quality is measured on it alone. AUC is that of scores inside against outside of the labelled windows; an event counts as
found when its window's best score is among the highest 1 % of the scores outside. The first 512 shingles do not count.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from benchmarks.compare import compare
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from clary.algorithms import RandomCutForest
from clary.algorithms.anomaly.shingle import shingles

SHINGLE, WARM_UP, SEEDS = 48, 512, 5
TAXI = "realKnownCause/nyc_taxi.csv"
RRCF_TREES, RRCF_ROWS = 10, 450
"""rrcf takes 0.2 ms per row and tree: a part of the series must do."""
Scores = Callable[[np.ndarray, int], np.ndarray]
"""(values (n, 1), seed) -> (n,) scores."""


class Series(NamedTuple):
    """(n,) float32 values, and (windows, n) bool: which of them each labelled window holds."""

    values: np.ndarray
    windows: np.ndarray


class Found(NamedTuple):
    """AUC (NaN when all rows that count are in windows), events found, events."""

    auc: float
    events: int
    of: int


def main() -> None:
    options = _options()
    series = nab(options.data) if options.data else {}
    if options.data and not series:
        print(f"{options.data} has no nab_anomaly: a made series stands in")
    taxi = series.get(TAXI) or made()
    _batch(taxi, options.repeats)
    _stream(taxi, options.repeats)
    _quality("taxi" if TAXI in series else "made series", {TAXI: taxi}, SEEDS)
    if series and not options.quick:
        _quality(f"mean over {len(series)} series of NAB", series, SEEDS)


def nab(data: Path) -> dict[str, Series]:
    """The labelled series under `data`/nab_anomaly by name; empty when they are not there."""
    root = data / "nab_anomaly"
    if not root.is_dir():
        return {}
    windows = json.loads((root / "combined_windows.json").read_text())
    return {
        name: _read(root / f"{name}.gz", spans) for name, spans in windows.items() if spans and (root / f"{name}.gz").exists()
    }


def made() -> Series:
    """As many half-hours: days and weeks, noise, and five odd days."""
    rng = np.random.default_rng(0)
    t = np.arange(10_320)
    values = 15_000 + 8000 * np.sin(t * 2 * np.pi / 48) + 2000 * np.sin(t * 2 * np.pi / 336) + rng.normal(0, 900, len(t))
    windows = np.zeros((5, len(t)), bool)
    for window, day in zip(windows, (60, 95, 130, 160, 200), strict=True):
        window[day * 48 : day * 48 + 96] = True
        values[day * 48 : day * 48 + 48] *= rng.uniform(0.4, 0.7)
    return Series(values.astype(np.float32), windows)


def judge(scores: np.ndarray, series: Series) -> Found:
    counted = np.arange(len(scores)) >= WARM_UP + SHINGLE - 1
    inside = series.windows.any(axis=0)
    normal, odd = scores[counted & ~inside], scores[counted & inside]
    best = [scores[counted & window].max() for window in series.windows if (counted & window).any()]
    auc = roc_auc_score(inside[counted], scores[counted]) if len(normal) and len(odd) else float("nan")
    return Found(auc, sum(float((normal > score).mean()) <= 0.01 for score in best), len(best))


def streamed(values: np.ndarray, seed: int, trees: int = 50, points: int = 512) -> np.ndarray:
    """The setting that holds for all series."""
    return RandomCutForest(trees, points, shingle_size=SHINGLE, seed=seed).score_then_learn(values)


def streamed_small(values: np.ndarray, seed: int) -> np.ndarray:
    """The size at which AWS's library was measured: 50 trees of 256, decay 1 / (100 * 256)."""
    return streamed(values, seed, points=256)


def batch(values: np.ndarray, seed: int) -> np.ndarray:
    return RandomCutForest(100, shingle_size=SHINGLE, seed=seed).fit(values).anomaly_scores(values)


def displaced(values: np.ndarray, seed: int) -> np.ndarray:
    return RandomCutForest(100, shingle_size=SHINGLE, seed=seed).fit(values).displacement_scores(values)


def isolated(values: np.ndarray, seed: int) -> np.ndarray:
    rows = shingles(values, SHINGLE)
    scores = -IsolationForest(n_estimators=100, max_samples=256, random_state=seed, n_jobs=1).fit(rows).score_samples(rows)
    return np.concatenate([np.zeros(SHINGLE - 1), scores])


WAYS: Mapping[str, Scores] = {
    "stream, 50 x 512": streamed,
    "stream, 50 x 256": streamed_small,
    "batch, 100 x 256": batch,
    "displacement, 100 x 256": displaced,
    "isolation forest, 100 x 256": isolated,
}


def measured(way: Scores, series: Mapping[str, Series], seeds: int) -> tuple[np.ndarray, np.ndarray, int]:
    """(seeds,) mean AUC over the series, (seeds,) events found in all of them, events there are."""
    found = [[judge(way(each.values[:, None], seed), each) for each in series.values()] for seed in range(seeds)]
    aucs = np.array([np.nanmean([one.auc for one in row]) for row in found])
    return aucs, np.array([sum(one.events for one in row) for row in found]), sum(one.of for one in found[0])


def _batch(taxi: Series, repeats: int) -> None:
    rows = shingles(taxi.values[:, None], SHINGLE)
    part = len(rows) // 100
    forest, small = RandomCutForest(100).fit(rows), RandomCutForest(100, part).fit(rows)
    isolation = IsolationForest(n_estimators=100, max_samples=256, random_state=0, n_jobs=1).fit(rows)
    compare(
        f"scores of {len(rows):,} rows of 48 by 100 trees",
        {
            f"clary, {part} points a tree": lambda: small.anomaly_scores(rows),
            "clary, 256 points a tree": lambda: forest.anomaly_scores(rows),
            "isolation forest, 256": lambda: isolation.score_samples(rows),
        },
        repeats=repeats,
        units=len(rows),
    )
    compare(
        "the same with fit, which also sets a threshold from those scores",
        {
            "clary, 256 points a tree": lambda: RandomCutForest(100).fit(rows),
            "isolation forest, 256": lambda: (
                IsolationForest(n_estimators=100, max_samples=256, n_jobs=1).fit(rows).score_samples(rows)
            ),
        },
        repeats=repeats,
        units=len(rows),
    )


def _stream(taxi: Series, repeats: int) -> None:
    values = taxi.values[:, None]
    for points in (256, 512):
        compare(
            f"stream of {len(values):,} rows, 50 trees of {points}: score, then learn",
            {f"clary, 50 x {points}": lambda points=points: streamed(values, 0, points=points)},
            repeats=repeats,
            units=len(values) * 50,
            unit="row-trees",
        )
    rows = shingles(values, SHINGLE)[:RRCF_ROWS].astype(np.float64)
    compare(
        f"stream of {RRCF_ROWS} rows, {RRCF_TREES} trees of 256",
        {
            "clary": lambda: RandomCutForest(RRCF_TREES, 256).score_then_learn(rows),
            "rrcf": lambda: _rrcf(rows),
        },
        repeats=min(repeats, 2),
        units=RRCF_ROWS * RRCF_TREES,
        unit="row-trees",
    )


def _rrcf(rows: np.ndarray) -> np.ndarray:
    """Collusive displacements of a sliding window of 256 rows."""
    import rrcf

    forest = [rrcf.RCTree() for _ in range(RRCF_TREES)]
    scores = np.zeros(len(rows))
    for index, row in enumerate(rows):
        for tree in forest:
            if len(tree.leaves) > 256:
                tree.forget_point(index - 256)
            tree.insert_point(row, index=index)
            scores[index] += tree.codisp(index) / RRCF_TREES
    return scores


def _quality(title: str, series: Mapping[str, Series], seeds: int) -> None:
    print(f"\n{title}, {seeds} seeds")
    for name, way in WAYS.items():
        aucs, events, of = measured(way, series, seeds)
        print(f"  {name:28} AUC {aucs.mean():.3f} ± {aucs.std():.3f}   events {events.mean():.1f} of {of}", flush=True)


def _read(path: Path, spans: list[list[str]]) -> Series:
    table = pd.read_csv(path)
    times = pd.to_datetime(table.timestamp)
    windows = [((times >= pd.Timestamp(first)) & (times <= pd.Timestamp(last))).to_numpy() for first, last in spans]
    return Series(table.value.to_numpy(np.float32), np.array(windows))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
