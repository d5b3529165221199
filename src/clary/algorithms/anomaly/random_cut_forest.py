"""Random cut forest: how much harder a point is to describe than those that were sampled before it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple, Self

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import issparse
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from clary.algorithms.anomaly import kernels
from clary.algorithms.anomaly.forest import Forest, empty, pad
from clary.algorithms.anomaly.reservoir import Reservoir
from clary.algorithms.anomaly.shingle import shingles
from clary.algorithms.estimator import Estimator

LARGEST = 1e30
"""Largest magnitude of a value: the sides of a box, summed, must stay in float32."""
THRESHOLD_ROWS = 20_000
"""At most so many sampled rows are scored to set the threshold in `fit`."""
TREE_GROUPS = 8
"""Work on trees is shared out in so many parts whatever the threads, so that their number does not change a bit."""


class Attribution(NamedTuple):
    """Scores split by column, (rows, columns) float64: what comes from values below and above the others'."""

    low: np.ndarray
    high: np.ndarray


class RandomCutForest(OutlierMixin, Estimator):
    """The forest of Guha, Mishra, Roy and Schrijvers, Robust Random Cut Forest Based Anomaly Detection on Streams, ICML 2016.

    Each tree cuts a sample of the rows into single points, at random places and by dimensions in proportion to the sides of
    their bounding box. A row's anomaly score is the expected depth at which its own cuts would come: about 1 for rows like
    the others, more for rows that a tree cuts off early. Scores are those of AWS's open-source library.

    Parameters
    ----------
    num_trees : 1 or more.
    num_samples_per_tree : 1 to 32768, points of a tree.
    shingle_size : 1 or more. With n, rows are steps in time and each is scored together with the n - 1 before it; the first
        n - 1 rows of a sequence score 0.
    time_decay : 0 or more, how fast `partial_fit` forgets: row i of the stream has weight exp(time_decay * i). None is
        0.01 / num_samples_per_tree.
    threshold : rows that score more than mean + threshold * standard deviation are outliers.
    seed : of the sample and the cuts.
    n_jobs : threads; None is 1, -1 all cores. Results do not depend on it.

    Attributes
    ----------
    offset_ : -(mean + threshold * standard deviation) of the scores of sampled or, after `partial_fit`, of streamed rows
    n_seen_ : rows learned so far

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import RandomCutForest
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> forest = RandomCutForest(num_trees=50).fit(X)
    >>> forest.predict([[0, 0], [9, 0]])
    array([ 1, -1])
    >>> forest.attribution([[9, 0]]).high.argmax(axis=1)
    array([0])
    """

    forest_: Forest

    def __init__(
        self,
        num_trees: int = 100,
        num_samples_per_tree: int = 256,
        *,
        shingle_size: int = 1,
        time_decay: float | None = None,
        threshold: float = 3.0,
        seed: int = 0,
        n_jobs: int | None = None,
    ):
        self.num_trees = num_trees
        self.num_samples_per_tree = num_samples_per_tree
        self.shingle_size = shingle_size
        self.time_decay = time_decay
        self.threshold = threshold
        self.seed = seed
        self.n_jobs = n_jobs

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from a random sample of the rows, (n, columns). `y` is ignored."""
        self._check_parameters()
        rows = shingles(self._checked(X, reset=True), self.shingle_size)
        if not len(rows):
            raise ValueError(f"shingle_size={self.shingle_size} needs at least as many rows; X has shape {np.shape(X)}")
        self._fit_sample(Reservoir(self.num_trees * self.num_samples_per_tree, self.seed).add(rows))
        self.history_ = self._checked(X)[len(rows) :]
        return self

    def fit_reservoir(self, reservoir: Reservoir) -> Self:
        """Learn from a sample of rows that was taken elsewhere, of num_trees * num_samples_per_tree rows if there are."""
        self._check_parameters()
        self._checked(reservoir.sample()[:1], reset=True)
        self._fit_sample(reservoir)
        self.history_ = reservoir.sample()[:0]
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the next rows of a stream, one by one; older ones are forgotten. `y` is ignored."""
        self.score_then_learn(X)
        return self

    def score_then_learn(self, X: Any) -> np.ndarray:
        """Take the next rows of a stream one by one: (rows,) scores of each by what came before it, then learn it."""
        fresh = not hasattr(self, "forest_")
        if fresh:
            self._check_parameters()
        X = self._checked(X, reset=fresh)
        if fresh:
            self._begin(X.shape[1] * self.shingle_size)
            self.history_ = X[:0]
        sequence = np.concatenate([self.history_, X])
        rows = shingles(sequence, self.shingle_size)
        self.history_ = sequence[max(len(sequence) - self.shingle_size + 1, 0) :]
        scores = np.zeros(len(X))
        if len(rows):
            scores[len(X) - len(rows) :] = self._stream(pad(rows))
        return scores

    def forget(self, X: Any) -> int:
        """Remove the points that equal these rows from all trees; returns how many were removed."""
        rows = pad(self._windows(X))
        removed = self._over_trees(
            lambda first, last: kernels.forget(self.forest_, first, last, rows, self.n_seen_, self._decay)
        )
        return sum(removed)

    def anomaly_scores(self, X: Any) -> np.ndarray:
        """(rows,) float64, larger for more anomalous rows; nothing is learned. With shingles, X is a sequence of its own."""
        return self._of_rows(X, lambda rows, scores: kernels.score(self.forest_, rows, scores), 1)[:, 0]

    def displacement_scores(self, X: Any) -> np.ndarray:
        """(rows,) float64: the mean over trees of the expected collusive displacement (CoDisp, section 3 of the paper)."""
        return self._of_rows(X, lambda rows, scores: kernels.displace(self.forest_, rows, scores), 1)[:, 0]

    def attribution(self, X: Any) -> Attribution:
        """The anomaly scores by column, with shingles summed over the steps; low + high sum to the score."""
        width = self.n_features_in_ * self.shingle_size

        def explain(rows: np.ndarray, both: np.ndarray) -> None:
            low, high = np.zeros((2, len(rows), width))
            kernels.explain(self.forest_, rows, low, high)
            both[:, :width], both[:, width:] = low, high

        both = self._of_rows(X, explain, 2 * width)
        parts = both.reshape(len(both), 2, self.shingle_size, self.n_features_in_).sum(axis=2)
        return Attribution(parts[:, 0], parts[:, 1])

    def score_samples(self, X: Any) -> np.ndarray:
        """Negative anomaly scores, as scikit-learn has them: smaller for more anomalous rows."""
        return -self.anomaly_scores(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """`score_samples` above the threshold: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) int64: -1 for outliers, 1 for the others."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Unpickled arrays may be read-only maps of a file; a forest's are written to."""
        super().__setstate__(state)
        if hasattr(self, "forest_"):
            self.forest_ = Forest(*(array if array.flags.writeable else array.copy() for array in self.forest_))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def _decay(self) -> float:
        return 0.01 / self.num_samples_per_tree if self.time_decay is None else float(self.time_decay)

    def _check_parameters(self) -> None:
        for name, smallest, largest in (
            ("num_trees", 1, 100_000),
            ("num_samples_per_tree", 1, 32768),
            ("shingle_size", 1, 10_000),
            ("seed", 0, 2**63 - 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or not smallest <= value <= largest:
                raise ValueError(f"{name} must be a whole number from {smallest} to {largest}; got {value!r}")
        if not 0 <= self._decay < 1:
            raise ValueError(f"time_decay must be at least 0 and below 1; got {self.time_decay!r}")
        if not self.threshold > 0:
            raise ValueError(f"threshold must be above 0; got {self.threshold!r}")

    def _checked(self, X: Any, reset: bool = False) -> np.ndarray:
        """(rows, columns) float32. Raises `ValueError` for what is not."""
        X = validate_data(self, X, dtype=np.float32, accept_sparse="csr", reset=reset)
        rows = X.toarray() if issparse(X) else X
        if len(rows) and max(rows.max(), -rows.min()) > LARGEST:
            raise ValueError(f"X holds values beyond {LARGEST:g} in magnitude; scale its columns")
        return rows

    def _windows(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "forest_")
        return shingles(self._checked(X), self.shingle_size)

    def _begin(self, columns: int) -> None:
        self.forest_ = empty(self.num_trees, self.num_samples_per_tree, columns, self.seed)
        self.n_seen_ = 0
        self.statistics_ = np.zeros(3)
        self.offset_ = -np.inf

    def _fit_sample(self, reservoir: Reservoir) -> None:
        """Grow each tree over its part of the sample."""
        sample = reservoir.sample()
        self._begin(sample.shape[1])
        self.n_seen_ = reservoir.seen
        rows, parts = pad(sample), _parts(len(sample), self.num_trees, self.num_samples_per_tree)
        self._over_trees(lambda first, last: kernels.plant(self.forest_, first, last, rows, parts, self.n_seen_, self._decay))
        scores = self._scored(rows[:THRESHOLD_ROWS])
        self.statistics_ = np.array([len(scores), scores.sum(), np.square(scores).sum()])
        self._set_offset()

    def _stream(self, rows: np.ndarray) -> np.ndarray:
        """(rows,) scores of padded rows that are learned one by one."""

        def step(first: int, last: int) -> np.ndarray:
            scores = np.zeros(len(rows))
            kernels.stream(self.forest_, first, last, rows, self.n_seen_, self._decay, scores)
            return scores

        groups = TREE_GROUPS if len(rows) >= kernels.FEW else 1  # a call per group would cost more than a few rows
        scores = np.sum(self._over_trees(step, groups), axis=0) / self.num_trees
        # Scores of trees that are not full yet say little
        self._observe(scores[max(self.num_samples_per_tree - self.n_seen_, 0) :])
        self.n_seen_ += len(rows)
        return scores

    def _observe(self, scores: np.ndarray) -> None:
        """Bring the threshold up to date: mean and deviation of scores, older ones fading as points do."""
        if not len(scores):
            return
        weights = np.exp(-self._decay * np.arange(len(scores))[::-1])
        faded = self.statistics_ * np.exp(-self._decay * len(scores))
        self.statistics_ = faded + np.array([weights.sum(), weights @ scores, weights @ np.square(scores)])
        self._set_offset()

    def _set_offset(self) -> None:
        weight, total, squares = self.statistics_
        mean = total / weight * (1 + 1e-9)  # equal scores are no outliers, however their mean was rounded
        self.offset_ = float(-(mean + self.threshold * np.sqrt(max(squares / weight - (total / weight) ** 2, 0.0))))

    def _scored(self, rows: np.ndarray) -> np.ndarray:
        scores = np.zeros(len(rows))
        self._over_rows(rows, lambda part, place: kernels.score(self.forest_, part, scores[place]))
        return scores / self.num_trees

    def _of_rows(self, X: Any, kernel: Callable[[np.ndarray, np.ndarray], None], width: int) -> np.ndarray:
        """(rows, width) means over trees of what `kernel` adds up; zeros for rows that have no shingle yet."""
        windows = pad(self._windows(X))
        results = np.zeros((len(windows) + self.shingle_size - 1 if len(windows) else np.shape(X)[0], width))
        own = results[len(results) - len(windows) :]
        flat = own.ravel() if width == 1 else own
        self._over_rows(windows, lambda part, place: kernel(part, flat[place]))
        return results / self.num_trees

    def _over_rows(self, rows: np.ndarray, work: Callable[[np.ndarray, slice], None]) -> None:
        threads = min(effective_n_jobs(self.n_jobs), max(len(rows) // kernels.FEW, 1))
        size = -(-len(rows) // threads) if len(rows) else 1
        places = [slice(start, start + size) for start in range(0, len(rows), size)]
        _each(lambda place: work(rows[place], place), places, threads)

    def _over_trees(self, work: Callable[[int, int], Any], groups: int = TREE_GROUPS) -> list[Any]:
        bounds = np.linspace(0, self.num_trees, min(groups, self.num_trees) + 1).astype(int).tolist()
        return _each(lambda pair: work(*pair), list(pairwise(bounds)), effective_n_jobs(self.n_jobs))

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        document, arrays = super()._state()
        if document.pop("forest_", None) is None:
            return {}, {}
        columns = self.n_features_in_ * self.shingle_size
        points = self.forest_.vectors[:, : self.num_samples_per_tree, :columns]
        trees = {f"forest_.{name}": array for name, array in self.forest_._asdict().items() if name not in ("vectors", "side")}
        return document, arrays | trees | {"forest_.points": np.ascontiguousarray(points)}

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        trees = {name.removeprefix("forest_."): array for name, array in arrays.items() if name.startswith("forest_.")}
        super()._restore(document, {name: array for name, array in arrays.items() if not name.startswith("forest_.")})
        points = trees.pop("points")
        count, capacity, columns = points.shape
        forest = empty(count, capacity, columns, seed=0)
        forest.vectors[:, :capacity, :columns] = points
        self.forest_ = forest._replace(**{name: np.array(array) for name, array in trees.items()})
        kernels.restore_boxes(self.forest_)


def _parts(rows: int, trees: int, points: int) -> np.ndarray:
    """(trees, points) int64: which rows of a sample in random order each tree gets.

    One part per tree. A sample of fewer rows than `trees * points` is gone through again from its beginning, so that all
    trees are as large as they may be; no tree has a row twice.
    """
    size = min(points, rows)
    return np.arange(trees * size).reshape(trees, size) % rows


def _each(work: Callable[[Any], Any], items: list[Any], threads: int) -> list[Any]:
    """`work` of each item; kernels let go of the interpreter's lock, so threads run side by side."""
    if threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
