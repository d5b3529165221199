"""PCA: streamed exactly, and randomized in two passes, against scikit-learn, NumPy and PyTorch; offsets of 10,000.

    python -m benchmarks.pca [--repeats 5]

`captured` is the variance of all rows along the components that were found, as a share of the largest possible.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import sklearn.decomposition
from benchmarks.compare import compare, pytorch
from threadpoolctl import threadpool_limits

from clary.algorithms.decomposition.scatter import Scatter
from clary.algorithms.decomposition.sketch import Sketch

torch = pytorch()
COMPONENTS, RANK, BATCH = 16, 32, 5000
Quality = Callable[[np.ndarray], dict[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for name, offset in (("A", 3), ("C, as A with an offset of 10,000", 1e4)):
            _exact(name, low_rank(200_000, 256, offset), repeats)
        _randomized(low_rank(20_000, 2000, 3), repeats)


def low_rank(rows: int, columns: int, offset: float) -> np.ndarray:
    """(rows, columns) float32: `RANK` directions of falling strength, noise of standard deviation 1, and `offset`."""
    rng = np.random.default_rng(0)
    strength = np.arange(RANK, 0, -1, dtype=np.float32) / RANK
    signal = rng.standard_normal((rows, RANK), dtype=np.float32) * strength
    X = signal @ rng.standard_normal((RANK, columns), dtype=np.float32)
    X += rng.standard_normal((rows, columns), dtype=np.float32) + np.float32(offset)
    return X


def streamed(X: np.ndarray, batch: int = BATCH) -> np.ndarray:
    scatter = Scatter(X.shape[1])
    for start in range(0, len(X), batch):
        scatter.update(X[start : start + batch])
    return scatter.spectrum(COMPONENTS).vectors


def sketched(X: np.ndarray, passes: int) -> np.ndarray:
    first = _passed(Sketch.random(X.shape[1], 2 * COMPONENTS, seed=0), X)
    whole = first if passes == 1 else _passed(first.again(), X).combined(first)
    return whole.spectrum(COMPONENTS).vectors


def _passed(sketch: Sketch, X: np.ndarray) -> Sketch:
    for start in range(0, len(X), BATCH):
        sketch.update(X[start : start + BATCH])
    return sketch


def captured(X: np.ndarray) -> Quality:
    """Judges components (k, columns) by the exact covariance of `X`, in float64."""
    exact = Scatter(X.shape[1])
    for start in range(0, len(X), BATCH):
        exact.update(X[start : start + BATCH].astype(np.float64))
    best = exact.spectrum(COMPONENTS).squares.sum()

    def judge(vectors: np.ndarray) -> dict[str, float]:
        directions = np.asarray(vectors, np.float64)
        return {"captured": float(np.einsum("ij,jk,ik->", directions, exact.matrix, directions, optimize=True) / best)}

    return judge


def _exact(name: str, X: np.ndarray, repeats: int) -> None:
    def peer(solver: str) -> np.ndarray:
        return sklearn.decomposition.PCA(COMPONENTS, svd_solver=solver, random_state=0).fit(X).components_

    def incremental() -> np.ndarray:
        return sklearn.decomposition.IncrementalPCA(COMPONENTS, batch_size=BATCH).fit(X).components_

    compare(
        f"{name}: regular, {len(X):,} x {X.shape[1]}, {COMPONENTS} components",
        {
            f"clary, batches of {BATCH}": lambda: streamed(X),
            "clary, batches of 500": lambda: streamed(X, 500),
            "sklearn covariance_eigh": lambda: peer("covariance_eigh"),
            "sklearn randomized": lambda: peer("randomized"),
            "sklearn IncrementalPCA": incremental,
        },
        captured(X),
        repeats=repeats,
        units=len(X),
    )


def _randomized(X: np.ndarray, repeats: int) -> None:
    def lowrank() -> np.ndarray:
        torch.manual_seed(0)
        return torch.pca_lowrank(torch.from_numpy(X), q=COMPONENTS + 6, niter=2)[2][:, :COMPONENTS].T.numpy()

    def peer() -> np.ndarray:
        return sklearn.decomposition.PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit(X).components_

    compare(
        f"B: randomized, {len(X):,} x {X.shape[1]}, {COMPONENTS} components",
        {
            "clary, two passes": lambda: sketched(X, 2),
            "clary, one pass": lambda: sketched(X, 1),
            "one-pass random signs": lambda: random_signs(X),
            "torch.pca_lowrank": lowrank,
            "sklearn randomized": peer,
        },
        captured(X),
        repeats=repeats,
        units=len(X),
    )


def random_signs(X: np.ndarray, batch: int = 500) -> np.ndarray:
    """The sketch that the hosted algorithm is documented to keep in its one pass: B = Σ H X with random signs H."""
    rng = np.random.default_rng(0)
    width = 2 * COMPONENTS
    product, ones, total = np.zeros((width, X.shape[1])), np.zeros(width), np.zeros(X.shape[1])
    for start in range(0, len(X), batch):
        rows = X[start : start + batch]
        signs = rng.integers(0, 2, (width, len(rows))).astype(np.float32) * 2 - 1
        product += signs @ rows
        ones += signs.sum(axis=1)
        total += rows.sum(axis=0, dtype=np.float64)
    return np.linalg.svd(product - np.outer(ones, total / len(X)), full_matrices=False)[2][:COMPONENTS]


if __name__ == "__main__":
    main()
