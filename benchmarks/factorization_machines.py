"""Factorization machines on ratings, one-hot user and item: Adam against PyTorch, Gibbs sampling against myFM.

    python -m benchmarks.factorization_machines [--data DIR] [--repeats 5]

DIR/movielens_small/ratings.csv.gz (userId, itemId, rating) is split 90/10 by a permutation of seed 0. Without it, as many
ratings of as many users and items are made up. Settings of Adam were chosen on the last tenth of the training rows.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.compare import compare, pytorch
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from clary.algorithms import FactorizationMachines

EPOCHS, SEEDS = 10, 5
TORCH_EPOCHS, TORCH_DECAY = 20, 2e-4


@dataclass
class Ratings:
    """Pairs of (user, item) and what was thought of them; the first `cut` are to learn from."""

    pairs: np.ndarray
    ratings: np.ndarray
    cut: int

    @property
    def groups(self) -> np.ndarray:
        return np.repeat([0, 1], self.pairs.max(axis=0) + 1)

    def rows(self, part: slice) -> csr_matrix:
        """One-hot users and items."""
        users, items = self.pairs.max(axis=0) + 1
        columns = (self.pairs[part] + np.array([0, users])).ravel()
        starts = np.arange(0, len(columns) + 1, 2)
        return csr_matrix((np.ones(len(columns), np.float32), columns, starts), (len(starts) - 1, users + items))

    def rmse(self, predicted: np.ndarray) -> Mapping[str, float]:
        """Of the test rows; ratings are from 0.5 to 5."""
        return {"rmse": float(np.sqrt(np.mean((np.clip(predicted, 0.5, 5) - self.ratings[self.cut :]) ** 2)))}


def main() -> None:
    options = _options()
    data = movielens(options.data) if options.data else _made_up()
    with threadpool_limits(1):
        _adam(data, options.repeats)
        _gibbs(data, options.repeats)


def _adam(data: Ratings, repeats: int) -> None:
    train, test = data.rows(slice(data.cut)), data.rows(slice(data.cut, None))

    def ours(seed: int = 0) -> np.ndarray:
        return FactorizationMachines(16, epochs=EPOCHS, seed=seed).fit(train, data.ratings[: data.cut]).predict(test)

    compare(
        f"Adam, 16 factors, {data.cut:,} rows, {EPOCHS} epochs (PyTorch {TORCH_EPOCHS})",
        {"clary": ours, "PyTorch": _torch(data)},
        data.rmse,
        repeats=repeats,
        units=data.cut * EPOCHS,
        unit=f"row-epochs (PyTorch's: times {TORCH_EPOCHS / EPOCHS:g})",
    )
    _say_seeds("Adam", [data.rmse(ours(seed))["rmse"] for seed in range(SEEDS)])


def _gibbs(data: Ratings, repeats: int) -> None:
    train, test = data.rows(slice(data.cut)), data.rows(slice(data.cut, None))
    ratings = data.ratings[: data.cut]

    def ours(seed: int = 0) -> np.ndarray:
        model = FactorizationMachines(15, solver="gibbs", epochs=90, groups=data.groups, seed=seed)
        return model.fit(train, ratings).predict(test)

    def peer() -> np.ndarray:
        import myfm

        model = myfm.MyFMRegressor(rank=10, random_seed=0)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            model.fit(train.astype(np.float64), ratings, n_iter=200, group_shapes=np.bincount(data.groups).tolist())
        return model.predict(test.astype(np.float64))

    compare(
        f"Gibbs sampling, {data.cut:,} rows: 15 factors, 100 sweeps (myFM: 10 factors, 200 sweeps)",
        {"clary": ours, "myFM": peer},
        data.rmse,
        repeats=min(repeats, 3),
    )
    _say_seeds("Gibbs", [data.rmse(ours(seed))["rmse"] for seed in range(SEEDS)])


def _torch(data: Ratings) -> Callable[[], np.ndarray]:
    """The same machine with embeddings, autograd and torch.optim.Adam, at its best decay."""
    torch = pytorch()

    torch.set_num_threads(1)
    users, items = data.pairs.max(axis=0) + 1
    pairs = torch.from_numpy(data.pairs + np.array([0, users]))
    mean = float(data.ratings[: data.cut].mean())
    labels = torch.from_numpy(data.ratings[: data.cut] - mean)

    def run() -> np.ndarray:
        torch.manual_seed(0)
        weights, factors = torch.nn.Embedding(users + items, 1), torch.nn.Embedding(users + items, 16)
        torch.nn.init.zeros_(weights.weight)
        torch.nn.init.normal_(factors.weight, 0, 0.01)

        def scores(rows: torch.Tensor) -> torch.Tensor:
            v = factors(rows)
            return weights(rows)[..., 0].sum(1) + 0.5 * (v.sum(1) ** 2 - (v * v).sum(1)).sum(1)

        adam = torch.optim.Adam([*weights.parameters(), *factors.parameters()], lr=5e-3, weight_decay=TORCH_DECAY)
        for _ in range(TORCH_EPOCHS):
            for batch in torch.randperm(data.cut).split(1000):
                adam.zero_grad()
                ((scores(pairs[batch]) - labels[batch]) ** 2).mean().backward()
                adam.step()
        return scores(pairs[data.cut :]).detach().numpy() + mean

    return run


def _say_seeds(name: str, found: list[float]) -> None:
    print(f"rmse of {SEEDS} seeds, {name}: {statistics.mean(found):.4f} +- {statistics.stdev(found):.4f}")


def movielens(directory: Path) -> Ratings:
    import pandas as pd

    path = directory / "movielens_small" / "ratings.csv.gz"
    if not path.exists():
        raise SystemExit(f"{path} is not there; leave --data out to make ratings up")
    table = pd.read_csv(path)
    pairs = np.column_stack([table[column].factorize()[0] for column in ("userId", "itemId")])
    return _split(pairs, table["rating"].to_numpy(np.float32))


def _made_up(users: int = 610, items: int = 9724, rows: int = 100_836) -> Ratings:
    """Two tastes that matter a little, and some items and users that rate far more often than others."""
    rng = np.random.default_rng(0)
    pairs = np.column_stack([(size * rng.random(rows) ** 3).astype(int) for size in (users, items)])
    pairs[0] = users - 1, items - 1
    mean = 3.5 + 0.4 * rng.normal(size=users)[pairs[:, 0]] + 0.5 * rng.normal(size=items)[pairs[:, 1]]
    taste = (rng.normal(size=(users, 2))[pairs[:, 0]] * rng.normal(size=(items, 2))[pairs[:, 1]]).sum(axis=1)
    ratings = np.clip(np.round(2 * (mean + 0.3 * taste + 0.7 * rng.normal(size=rows))) / 2, 0.5, 5)
    return _split(pairs, ratings.astype(np.float32))


def _split(pairs: np.ndarray, ratings: np.ndarray) -> Ratings:
    order = np.random.default_rng(0).permutation(len(ratings))
    return Ratings(pairs[order], ratings[order], len(ratings) * 9 // 10)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, help="a folder that holds movielens_small")
    parser.add_argument("--repeats", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
