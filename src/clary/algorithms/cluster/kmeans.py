"""k-means: k centres, each the mean of the rows nearest to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.utils import Tags
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from clary.algorithms.cluster import nearest, on_device
from clary.algorithms.cluster.lloyd import Assigner, Solution, best_of, lloyd
from clary.algorithms.cluster.seeding import Method, first_centers
from clary.algorithms.cluster.streaming import Shrinking, Stream, shrink
from clary.algorithms.device import require_device, torch_device
from clary.algorithms.estimator import Estimator
from clary.algorithms.parameters import require_one_of, require_whole

EXTRA_CENTER_FACTOR = 10
"""What `auto` means."""
LOCAL_TRIALS = 10
_METHODS = ("k-means++", "random")
_FLOATS = [np.float32, np.float64]


class KMeans(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, Estimator):
    """k centres that minimise the squared distances of the rows to the nearest one.

    Two algorithms: `lloyd` passes over all rows until nothing changes; `streaming` passes once over mini-batches with
    `extra_center_factor` times k centres and shrinks those to k at the end (web-scale k-means). `partial_fit` is streaming.

    Parameters
    ----------
    k : int >= 1, default 8
        Centres.
    algorithm : {"lloyd", "streaming"}, default "lloyd"
        How `fit` learns.
    init_method : {"k-means++", "random"} or array (k, columns), default "k-means++"
        First centres: rows far from each other, any rows, or those given (`lloyd` only).
    n_init : int >= 1, default 1
        lloyd: runs from different first centres; the best one stays.
    max_iter : int >= 1, default 300
        lloyd: iterations of a run at most.
    tol : float in [0, 1], default 1e-4
        lloyd: stop when the sum of squared distances falls by no more than this share. 0: when no row moves.
    extra_center_factor : int >= 1 or "auto", default "auto"
        streaming: centres while streaming, as a multiple of k; auto is 10.
    epochs, mini_batch_size : int >= 1, default 1, 5000
        streaming: passes of `fit` over the rows, and rows at a time.
    half_life_time_size : int >= 0, default 0
        streaming: rows after which an earlier row counts half; 0 is never.
    local_lloyd_init_method, local_lloyd_num_trials, local_lloyd_max_iter, local_lloyd_tol
        streaming: how the extra centres become k: default "k-means++", "auto" (10 runs), 300, 1e-4.
    seed : int, default 0
        Drives the first centres.
    n_jobs : int, optional
        Threads; 1 when absent, all cores for -1.
    device : {"cpu", "cuda", "cuda:<number>", "auto", "torch:cpu"}, default "cpu"
        Where `fit` assigns dense rows: see `clary.algorithms.device`.
    verbose : int, default 0
        1 prints a line per iteration or epoch.

    Attributes
    ----------
    cluster_centers_ : ndarray (k, columns), in the type of X
    labels_ : ndarray (rows,) int32
        Centre of each row of `fit`, or of the last batch.
    inertia_ : float
        Weighted sum of their squared distances.
    n_iter_ : int
        Iterations, or epochs.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from clary.algorithms import KMeans
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]], dtype=np.float32)
    >>> model = KMeans(k=2).fit(X)
    >>> sorted(model.cluster_centers_.tolist())
    [[1.0, 2.0], [10.0, 2.0]]
    >>> bool(model.predict([[0, 0]])[0] == model.labels_[0])
    True

    References
    ----------
    S. Lloyd (1982), "Least squares quantization in PCM". D. Arthur and S. Vassilvitskii (2007), "k-means++: the advantages of
    careful seeding". D. Sculley (2010), "Web-scale k-means clustering".
    """

    def __init__(
        self,
        k: int = 8,
        *,
        algorithm: Literal["lloyd", "streaming"] = "lloyd",
        init_method: Method | np.ndarray = "k-means++",
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        extra_center_factor: int | Literal["auto"] = "auto",
        epochs: int = 1,
        mini_batch_size: int = 5000,
        half_life_time_size: int = 0,
        local_lloyd_init_method: Method = "k-means++",
        local_lloyd_num_trials: int | Literal["auto"] = "auto",
        local_lloyd_max_iter: int = 300,
        local_lloyd_tol: float = 1e-4,
        seed: int = 0,
        n_jobs: int | None = None,
        device: str = "cpu",
        verbose: int = 0,
    ):
        self.k = k
        self.algorithm = algorithm
        self.init_method = init_method
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.extra_center_factor = extra_center_factor
        self.epochs = epochs
        self.mini_batch_size = mini_batch_size
        self.half_life_time_size = half_life_time_size
        self.local_lloyd_init_method = local_lloyd_init_method
        self.local_lloyd_num_trials = local_lloyd_num_trials
        self.local_lloyd_max_iter = local_lloyd_max_iter
        self.local_lloyd_tol = local_lloyd_tol
        self.seed = seed
        self.n_jobs = n_jobs
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn the centres of `X` (rows, columns), dense or CSR; `sample_weight` is (rows,). `y` is not used.

        Raises `ValueError` for parameters and arrays that do not fit.
        """
        self._check_parameters()
        X, weights = self._read(X, sample_weight, reset=True)
        if self.algorithm == "lloyd":
            self._take(X, self._best_run(X, weights))
            return self
        self._forget()
        for epoch in range(self.epochs):
            for batch, batch_weights in self._batches(X, weights):
                self._stream(batch, batch_weights)
            self._say(f"epoch {epoch + 1} of {self.epochs}")
        self._finish(X, weights, self.epochs)
        return self

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one more batch `X` (rows, columns); the first needs at least k rows."""
        self._check_parameters()
        first = not hasattr(self, "stream_")
        X, weights = self._read(X, sample_weight, reset=first)
        self._stream(X, weights)
        self._finish(X, weights, 1 if first else self.n_iter_ + 1)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """(rows,) int32: the number of the nearest centre."""
        return nearest.assign(self._query(X), self.cluster_centers_, threads=self._threads).labels

    def transform(self, X: Any) -> np.ndarray:
        """(rows, k): the Euclidean distance to each centre."""
        return euclidean_distances(self._query(X), self.cluster_centers_)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Minus the weighted sum of squared distances to the nearest centres."""
        X = self._query(X)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        return -float(nearest.assign(X, self.cluster_centers_, weights, self._threads).squares.sum())

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    @property
    def _threads(self) -> int:
        return (os.cpu_count() or 1) if self.n_jobs == -1 else (self.n_jobs or 1)

    def _read(self, X: Any, sample_weight: Any, reset: bool) -> tuple[Any, np.ndarray | None]:
        X = validate_data(self, X, accept_sparse="csr", accept_large_sparse=False, dtype=_FLOATS, order="C", reset=reset)
        if X.shape[0] < self.k and not hasattr(self, "stream_"):
            raise ValueError(f"k={self.k} centres need as many rows; got n_samples={X.shape[0]}: lower k")
        if sample_weight is None:
            return X, None
        return X, _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)

    def _query(self, X: Any) -> Any:
        check_is_fitted(self, "cluster_centers_")
        return validate_data(self, X, accept_sparse="csr", accept_large_sparse=False, dtype=_FLOATS, order="C", reset=False)

    def _best_run(self, X: Any, weights: np.ndarray | None) -> Solution:
        rng = np.random.default_rng(self.seed)
        runs = self.n_init if isinstance(self.init_method, str) else 1
        device = torch_device(self.device)
        elsewhere = None if device is None or issparse(X) else on_device.Rows(X, weights, device).assign
        return best_of(self._run(X, weights, rng, elsewhere) for _ in range(runs))

    def _run(self, X: Any, weights: np.ndarray | None, rng: np.random.Generator, elsewhere: Assigner | None) -> Solution:
        return lloyd(
            X,
            self._first_centers(X, weights, rng),
            weights=weights,
            max_iter=self.max_iter,
            tol=self.tol,
            threads=self._threads,
            elsewhere=elsewhere,
            progress=lambda iteration, msd: self._say(f"iteration {iteration}: mean squared distance {msd:.6g}"),
        )

    def _first_centers(self, X: Any, weights: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
        if isinstance(self.init_method, str):
            return first_centers(X, self.k, self.init_method, rng, weights)
        given = np.asarray(self.init_method, np.float64)
        if given.shape != (self.k, X.shape[1]):
            raise ValueError(f"init_method must have shape ({self.k}, {X.shape[1]}), k centres; got shape {given.shape}")
        return given

    def _take(self, X: Any, found: Solution) -> None:
        self._forget()
        self.cluster_centers_ = found.centers.astype(X.dtype)
        self.labels_, self.inertia_, self.n_iter_ = found.labels, found.inertia, found.iterations

    def _forget(self) -> None:
        if hasattr(self, "stream_"):
            del self.stream_

    def _batches(self, X: Any, weights: np.ndarray | None) -> Iterator[tuple[Any, np.ndarray | None]]:
        for start in range(0, X.shape[0], self.mini_batch_size):
            rows = slice(start, start + self.mini_batch_size)
            yield X[rows], None if weights is None else weights[rows]

    def _stream(self, X: Any, weights: np.ndarray | None) -> None:
        if not hasattr(self, "stream_"):
            factor = EXTRA_CENTER_FACTOR if self.extra_center_factor == "auto" else self.extra_center_factor
            rng = np.random.default_rng(self.seed)
            self.stream_ = Stream.begin(X, self.k * factor, self.init_method, rng, weights)  # type: ignore[arg-type]
        self.stream_.update(X, weights, self.half_life_time_size, self._threads, torch_device(self.device))

    def _finish(self, X: Any, weights: np.ndarray | None, iterations: int) -> None:
        """Centres from the stream, and what the rows `X` say of them."""
        trials = LOCAL_TRIALS if self.local_lloyd_num_trials == "auto" else self.local_lloyd_num_trials
        method = self.local_lloyd_init_method
        how = Shrinking(self.k, method, trials, self.local_lloyd_max_iter, self.local_lloyd_tol)
        centers, _ = shrink(self.stream_, how, np.random.default_rng(self.seed))
        self.cluster_centers_ = centers.astype(X.dtype)
        found = nearest.assign(X, self.cluster_centers_, weights, self._threads)
        self.labels_, self.inertia_, self.n_iter_ = found.labels, float(found.squares.sum()), iterations

    def _say(self, words: str) -> None:
        if self.verbose:
            print(f"KMeans: {words}")

    def _check_parameters(self) -> None:
        for name in ("k", "n_init", "max_iter", "epochs", "mini_batch_size", "local_lloyd_max_iter"):
            require_whole(name, getattr(self, name), 1)
        for name in ("extra_center_factor", "local_lloyd_num_trials"):
            if getattr(self, name) != "auto":
                require_whole(name, getattr(self, name), 1)
        require_whole("half_life_time_size", self.half_life_time_size, 0)
        for name in ("tol", "local_lloyd_tol"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"{name}={value!r} must be a number from 0 to 1")
        require_one_of("algorithm", self.algorithm, ("lloyd", "streaming"))
        require_one_of("local_lloyd_init_method", self.local_lloyd_init_method, _METHODS)
        if isinstance(self.init_method, str) or self.algorithm == "streaming":
            require_one_of("init_method", self.init_method, _METHODS)
        require_device("device", self.device)
        if self.n_jobs is not None and self.n_jobs != -1:
            require_whole("n_jobs", self.n_jobs, 1)

    def _state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        document, arrays = super()._state()
        stream = document.pop("stream_", None)
        if stream is not None:
            document["seen_"] = stream.seen
            arrays |= {f"stream.{name}": getattr(stream, name) for name in ("centers", "weights", "squares")}
        return document, arrays

    def _restore(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        seen = document.pop("seen_", None)
        parts = {name.partition(".")[2]: arrays.pop(name) for name in list(arrays) if name.startswith("stream.")}
        super()._restore(document, arrays)
        if seen is not None:
            self.stream_ = Stream(**parts, seen=seen)
