"""Hotspots: the small regions of space in which many points of a window lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import ClusterMixin
from sklearn.cluster import DBSCAN
from sklearn.utils.validation import validate_data

from clary.algorithms.anomaly import window
from clary.algorithms.estimator import Estimator


class Hotspot(NamedTuple):
    """A dense region: points per volume, and the corners (columns,) of the box around its points."""

    density: float
    min_values: list[float]
    max_values: list[float]


class Hotspots(ClusterMixin, Estimator):
    """Dense regions, with the meaning of stream SQL's `HOTSPOTS`.

    Points within `scan_radius` (Euclidean) of each other belong together, and so do those that a chain of such points
    connects; a group of `min_points` or more is a hotspot. That is DBSCAN of two points (Ester et al., KDD 1996), less the
    small clusters. The density is the number of points over the volume of their box, in which no side counts as less than
    `scan_radius`. Scale columns so that distances mean something.

    Parameters
    ----------
    window_size : 2 or more, points that `stream` looks back on (stream SQL: 100 to 1000).
    scan_radius : above 0, the typical distance of a hotspot's point to its nearest neighbours.
    min_points : 2 to window_size, points that make a hotspot.

    Attributes
    ----------
    labels_ : (rows,) int64, the hotspot of each row of `fit`, -1 for none
    hotspots_ : those of `fit` or of the window, the densest first; labels count in this order

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import Hotspots
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.uniform(0, 10, (80, 2)), rng.normal(4, 0.1, (20, 2))])
    >>> spots = Hotspots(scan_radius=0.3, min_points=10).fit(X)
    >>> len(spots.hotspots_), int((spots.labels_ == 0).sum())
    (1, 20)
    """

    def __init__(self, window_size: int = 1000, scan_radius: float = 1.0, min_points: int = 10):
        self.window_size = window_size
        self.scan_radius = scan_radius
        self.min_points = min_points

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the hotspots of all rows, (n, columns), taken as one window of any size. `y` is ignored."""
        self._check_parameters()
        points = validate_data(self, X, dtype=np.float64)
        groups = DBSCAN(eps=self.scan_radius, min_samples=2).fit(points).labels_
        self.hotspots_, self.labels_ = self._described(points, groups)
        self._begin(points)
        return self

    def stream(self, X: Any) -> Iterator[list[Hotspot]]:
        """For each next row of a stream, the hotspots of the `window_size` rows that end with it, the densest first."""
        fresh = not hasattr(self, "window_")
        if fresh:
            self._check_parameters()
        rows = validate_data(self, X, dtype=np.float64, reset=fresh)
        if fresh:
            self._begin(rows[:0])
        return self._advance(rows)

    def _advance(self, rows: np.ndarray) -> Iterator[list[Hotspot]]:
        labels = np.empty(self.window_size, np.int64)
        for row in rows:
            self._push(row)
            filled = self._filled
            window.components(self.links_, filled, labels)
            self.hotspots_, _ = self._described(self.window_[:filled], labels[:filled])
            yield self.hotspots_

    @property
    def _filled(self) -> int:
        return min(self.n_seen_, self.window_size)

    def _begin(self, points: np.ndarray) -> None:
        """An empty window that then takes in the last of `points`."""
        self.window_ = np.zeros((self.window_size, points.shape[1]))
        self.links_ = np.zeros((self.window_size, -(-self.window_size // 64)), np.uint64)
        self.n_seen_ = 0
        for point in points[-self.window_size :]:
            self._push(point)

    def _push(self, point: np.ndarray) -> None:
        """Put a point in the place of the oldest."""
        place = self.n_seen_ % self.window_size
        self.window_[place] = point
        self.n_seen_ += 1
        window.link(self.window_, self.links_, self._filled, place, float(self.scan_radius))

    def _described(self, points: np.ndarray, groups: np.ndarray) -> tuple[list[Hotspot], np.ndarray]:
        """The groups that are large enough, the densest first, and each point's place among them (-1: none)."""
        sizes = np.bincount(groups[groups >= 0])
        large = np.flatnonzero(sizes >= self.min_points)
        spots = [_hotspot(points[groups == group], float(self.scan_radius)) for group in large]
        order = sorted(range(len(spots)), key=lambda i: -spots[i].density)
        places = np.full(len(sizes) + 1, -1)  # the last one is for the label -1
        places[large[order]] = np.arange(len(order))
        return [spots[i] for i in order], places[groups]

    def _check_parameters(self) -> None:
        for name, smallest, largest in (("window_size", 2, 100_000), ("min_points", 2, self.window_size)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not smallest <= value <= largest:
                raise ValueError(f"{name} must be a whole number from {smallest} to {largest}; got {value!r}")
        if not 0 < self.scan_radius < np.inf:
            raise ValueError(f"scan_radius must be above 0; got {self.scan_radius!r}")

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        super()._restore(document, arrays)
        self.hotspots_ = [Hotspot(*spot) for spot in document["hotspots_"]]


def result(hotspots: Sequence[Hotspot]) -> str:
    """The text of the column HOTSPOTS_RESULT: `{"hotspots":[{"density":…,"maxValues":[…],"minValues":[…]}]}`."""
    spots = [{"density": spot.density, "maxValues": spot.max_values, "minValues": spot.min_values} for spot in hotspots]
    return json.dumps({"hotspots": spots}, separators=(",", ":"))


def _hotspot(points: np.ndarray, radius: float) -> Hotspot:
    low, high = points.min(axis=0), points.max(axis=0)
    return Hotspot(float(len(points) / np.prod(np.maximum(high - low, radius))), low.tolist(), high.tolist())
