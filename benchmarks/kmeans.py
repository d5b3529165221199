"""k-means: Lloyd's iterations and one streaming pass, against scikit-learn and FAISS, on overlapping blobs.

    python -m benchmarks.kmeans [--rows 1000000] [--repeats 5] [--quick]

Lloyd starts from the same rows everywhere. `msd` is the mean squared distance of all rows to their nearest centre.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping
from typing import Any

import faiss
import numpy as np
import scipy.sparse
import sklearn.cluster
from benchmarks.compare import compare
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._testing import ignore_warnings
from threadpoolctl import threadpool_limits

from clary.algorithms import KMeans
from clary.algorithms.cluster import streaming
from clary.algorithms.cluster.lloyd import lloyd
from clary.algorithms.cluster.nearest import assign
from clary.algorithms.cluster.streaming import Shrinking, Stream

ITERATIONS, BATCH, SEEDS = 20, 5000, 5


def main() -> None:
    options = _options()
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        X = blobs(options.rows, 32, 50)
        _lloyd(X, 50, ITERATIONS, options.repeats)
        _streaming(X, 50, options.repeats)
        _shards(X, 50)
        if not options.quick:
            _lloyd(blobs(options.rows // 5, 256, 1000), 1000, 3, 3)
            _lloyd(blobs(options.rows // 20, 784, 10), 10, ITERATIONS, options.repeats)
            _sparse(options.rows // 10, options.repeats)


def blobs(rows: int, columns: int, k: int) -> np.ndarray:
    """(rows, columns) float32: k normal clusters of standard deviation 1 around centres of standard deviation 1."""
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 1, (k, columns)).astype(np.float32)
    X = rng.standard_normal((rows, columns), dtype=np.float32)
    X += centers[rng.integers(0, k, rows)]
    return X


def msd(X: Any, centers: np.ndarray) -> float:
    return float(assign(X, np.asarray(centers)).squares.sum()) / X.shape[0]


def _lloyd(X: np.ndarray, k: int, iterations: int, repeats: int) -> None:
    first = X[np.random.default_rng(1).choice(len(X), k, replace=False)].copy()

    def peer() -> np.ndarray:
        model = sklearn.cluster.KMeans(k, init=first, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd")
        return ignore_warnings(category=ConvergenceWarning)(model.fit)(X).cluster_centers_

    def faiss_peer() -> np.ndarray:
        model = faiss.Kmeans(X.shape[1], k, niter=iterations, max_points_per_centroid=len(X))
        model.train(X, init_centroids=first)
        return model.centroids

    compare(
        f"{iterations} Lloyd iterations, {len(X):,} x {X.shape[1]}, k={k}",
        {"clary": lambda: lloyd(X, first, max_iter=iterations, tol=0).centers, "scikit-learn": peer, "faiss": faiss_peer},
        lambda centers: {"msd": msd(X, centers)},
        repeats=repeats,
        units=len(X) * iterations,
        unit="row-iterations",
    )


def _streaming(X: np.ndarray, k: int, repeats: int) -> None:
    def ours(factor: int, seed: int = 0) -> np.ndarray:
        model = KMeans(k, algorithm="streaming", init_method="random", extra_center_factor=factor, seed=seed)
        return _centers(model, X)

    def peer(seed: int = 0) -> np.ndarray:
        settings: Mapping[str, Any] = {"batch_size": BATCH, "max_iter": 1, "max_no_improvement": None, "tol": 0}
        model = sklearn.cluster.MiniBatchKMeans(k, n_init=1, reassignment_ratio=0, random_state=seed, **settings)
        return model.fit(X).cluster_centers_

    compare(
        f"One streaming pass, {len(X):,} x {X.shape[1]}, k={k}, batches of {BATCH}",
        {"clary, factor 4": lambda: ours(4), "clary, factor 10 (default)": lambda: ours(10), "MiniBatchKMeans": peer},
        lambda centers: {"msd": msd(X, centers)},
        repeats=repeats,
        units=len(X),
    )
    for name, run in (("factor 4", lambda seed: ours(4, seed)), ("factor 10", lambda seed: ours(10, seed)), ("sklearn", peer)):
        found = [msd(X, run(seed)) for seed in range(SEEDS)]
        print(f"msd of {SEEDS} seeds, {name}: {statistics.mean(found):.4f} +- {statistics.stdev(found):.4f}")


def _centers(model: KMeans, X: Any) -> np.ndarray:
    """What a streaming job computes: one pass, then k centres."""
    rng = np.random.default_rng(model.seed)
    stream = Stream.begin(X[:BATCH], model.k * int(model.extra_center_factor), "random", rng)
    for start in range(0, X.shape[0], BATCH):
        stream.update(X[start : start + BATCH])
    return streaming.shrink(stream, Shrinking(model.k), rng)[0]


def _shards(X: np.ndarray, k: int, hosts: int = 4) -> None:
    """Streams of several hosts, merged, against one stream of all rows."""
    for seed in range(SEEDS):
        parts = []
        for shard in np.array_split(X, hosts):
            stream = Stream.begin(shard[:BATCH], 10 * k, "random", np.random.default_rng((seed, len(parts))))
            for start in range(0, len(shard), BATCH):
                stream.update(shard[start : start + BATCH])
            parts.append(stream)
        merged = streaming.shrink(streaming.merge(parts), Shrinking(k), np.random.default_rng(seed))[0]
        single = _centers(KMeans(k, extra_center_factor=10, seed=seed), X)
        ratio = msd(X, merged) / msd(X, single) - 1
        print(f"seed {seed}: merge of {hosts} hosts against one: msd {100 * ratio:+.3f} %")


def _sparse(rows: int, repeats: int) -> None:
    """Rows of 30 words out of 10,000, from 20 topics."""
    rng = np.random.default_rng(0)
    topics = rng.integers(0, 20, rows)
    words = np.where(rng.random((rows, 30)) < 0.7, topics[:, None] * 200 + rng.integers(0, 200, (rows, 30)), 0)
    words = np.where(words, words, rng.integers(4000, 10_000, (rows, 30)))
    X = scipy.sparse.csr_matrix(
        (np.ones(words.size, np.float32), words.ravel(), np.arange(0, words.size + 1, 30)), shape=(rows, 10_000)
    )
    X.sum_duplicates()
    first = X[np.random.default_rng(1).choice(rows, 20, replace=False)].toarray()

    def peer() -> np.ndarray:
        model = sklearn.cluster.KMeans(20, init=first, n_init=1, max_iter=10, tol=0)
        return ignore_warnings(category=ConvergenceWarning)(model.fit)(X).cluster_centers_

    compare(
        f"10 Lloyd iterations, sparse {rows:,} x 10,000 with {X.nnz / rows:.0f} entries a row, k=20",
        {"clary": lambda: lloyd(X, first, max_iter=10, tol=0).centers, "scikit-learn": peer},
        lambda centers: {"msd": msd(X, centers)},
        repeats=repeats,
        units=rows * 10,
        unit="row-iterations",
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the first set only")
    return parser.parse_args()


if __name__ == "__main__":
    main()
