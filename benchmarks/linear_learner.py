"""Linear learner against scikit-learn and PyTorch: one epoch, 32 models, exact regression, wide sparse rows, two hosts.

    python -m benchmarks.linear_learner [--rows 1000000] [--sparse-rows 200000] [--repeats 5] [--quick]

`excess` is the log-loss of 100,000 new rows above that of the truth, with the labels' own noise taken out: the statistical
floor is columns / (2 rows). Everything runs in one thread.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

import numpy as np
from benchmarks.compare import compare, pytorch
from scipy.sparse import csr_matrix
from sklearn import linear_model
from threadpoolctl import threadpool_limits

from clary.algorithms import LinearLearner
from clary.algorithms.linear import losses, training
from clary.algorithms.linear.recipe import Recipe
from clary.algorithms.linear.statistics import Statistics

COLUMNS, TEST_ROWS, SEEDS, BATCH = 30, 100_000, 5, 1000
WORDS, WORDS_PER_ROW = 47_000, 75


def main() -> None:
    options = _options()
    with threadpool_limits(1):
        _binary(options.rows, options.repeats)
        _regression(options.rows, options.repeats)
        if not options.quick:
            _seeds(options.rows)
            _sparse(options.sparse_rows, options.repeats)


class Rows:
    """`rows` + TEST_ROWS rows x COLUMNS float32 with neighbours correlated 0.5, and their true logits."""

    def __init__(self, rows: int, seed: int = 0):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((rows + TEST_ROWS, COLUMNS), dtype=np.float32)
        for j in range(1, COLUMNS):
            X[:, j] = 0.5 * X[:, j - 1] + np.float32(0.75**0.5) * X[:, j]
        logits = X @ rng.normal(0, 0.5, COLUMNS).astype(np.float32) + np.float32(0.3)
        self.X, self.test = X[:rows], X[rows:]
        self.logits, self.true_logits = logits[:rows], logits[rows:].astype(np.float64)
        self.y = (rng.random(rows) < losses.sigmoid(self.logits)).astype(np.float32)
        self.values = self.logits + rng.standard_normal(rows, dtype=np.float32)

    def excess(self, weights: Any, bias: Any) -> float:
        """Expected log-loss of the model on the test rows less the truth's."""
        logits = self.test @ np.ravel(weights).astype(np.float64) + float(np.ravel(bias)[0])
        chance = losses.sigmoid(self.true_logits)
        cost = [np.mean(np.logaddexp(0, each) - chance * each) for each in (logits, self.true_logits)]
        return float(cost[0] - cost[1])

    def quality(self, model: Any) -> Mapping[str, float]:
        return {"excess": self.excess(model.coef_, model.intercept_)}


def _binary(rows: int, repeats: int) -> None:
    data = Rows(rows)
    contestants = {
        "clary, one model, one epoch": lambda: LinearLearner(epochs=1).fit(data.X, data.y),
        "clary, 32 models, one epoch": lambda: LinearLearner(epochs=1, num_models=32).fit(data.X, data.y),
        "scikit-learn SGD, averaged": lambda: linear_model.SGDClassifier(
            loss="log_loss",
            alpha=1e-7,
            learning_rate="constant",
            eta0=0.003,
            max_iter=1,
            tol=None,
            random_state=0,
            average=200_000,
        ).fit(data.X, data.y),
        "scikit-learn lbfgs": lambda: linear_model.LogisticRegression(C=1e6, max_iter=100).fit(data.X, data.y),
        "torch Adam, one epoch": lambda: _torch_adam(data),
    }
    compare(f"Two classes, {rows:,} x {COLUMNS}", contestants, data.quality, repeats=repeats, units=rows)


def _regression(rows: int, repeats: int) -> None:
    data = Rows(rows)

    def quality(model: Any) -> Mapping[str, float]:
        errors = data.test @ model.coef_ + model.intercept_ - data.true_logits
        return {"excess mse": float(np.mean(errors * errors))}

    contestants = {
        "clary, exact": lambda: LinearLearner("regressor", optimizer="exact").fit(data.X, data.values),
        "clary, one epoch": lambda: LinearLearner("regressor", epochs=1).fit(data.X, data.values),
        "scikit-learn Ridge": lambda: linear_model.Ridge(alpha=1e-3).fit(data.X, data.values),
    }
    compare(f"Regression, {rows:,} x {COLUMNS}", contestants, quality, repeats=repeats, units=rows)


def _seeds(rows: int) -> None:
    """The excess of one model on five data sets, on one host and on two whose models are merged at the end of the epoch."""
    one, two, best = [], [], []
    for seed in range(SEEDS):
        data = Rows(rows, seed)
        model = LinearLearner(epochs=1, seed=seed).fit(data.X, data.y)
        one.append(data.excess(model.coef_, model.intercept_))
        two.append(data.excess(*_on_two_hosts(data, seed)))
        reference = linear_model.LogisticRegression(C=1e6).fit(data.X, data.y)
        best.append(data.excess(reference.coef_, reference.intercept_))
    for name, values in {"one host": one, "two hosts": two, "maximum likelihood": best}.items():
        print(f"excess over {SEEDS} seeds, {name}: {np.mean(values):.3g} +- {np.std(values):.2g}")


def _on_two_hosts(data: Rows, seed: int) -> tuple[np.ndarray, np.ndarray]:
    recipe = Recipe(epochs=1, lr_scheduler_step=len(data.y) // BATCH // 33 or 1)
    halves = np.array_split(np.arange(len(data.y)), 2)
    samples = [Statistics.of(data.X[half[:10_000]], data.y[half[:10_000]], 2) for half in halves]
    hosts = [training.learner(recipe, samples[0].merged(samples[1]), seed) for _ in halves]
    for host, half in zip(hosts, halves, strict=True):
        host.begin_epoch()
        for start in range(0, len(half), BATCH // 2):
            host.step(data.X, data.y, rows=half[start : start + BATCH // 2])
    states = [host.state() for host in hosts]
    merged = hosts[0].merge({name: states[0][name] + states[1][name] for name in states[0]})
    weights, bias = merged.raw_weights([0])
    return weights[0], bias[0]


def _sparse(rows: int, repeats: int) -> None:
    """Text-like rows: WORDS_PER_ROW of WORDS columns each, drawn by Zipf's law, two classes."""
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, WORDS + 1)
    words = rng.choice(WORDS, size=((rows + TEST_ROWS // 5), WORDS_PER_ROW), p=chance / chance.sum()).astype(np.int32)
    ends = np.arange(0, words.size + 1, WORDS_PER_ROW)
    X = csr_matrix((np.ones(words.size, np.float32), words.ravel(), ends), shape=(len(words), WORDS))
    X.sum_duplicates()
    X.data = 1 + np.log(X.data)
    logits = X @ rng.normal(0, 0.5, WORDS).astype(np.float32)
    y = (rng.random(len(words)) < losses.sigmoid(logits)).astype(np.float32)
    train, test = X[:rows], X[rows:]

    def quality(model: Any) -> Mapping[str, float]:
        margins = np.asarray(test @ np.ravel(model.coef_)) + float(np.ravel(model.intercept_)[0])
        loss = np.mean(np.logaddexp(0, margins) - y[rows:] * margins)
        return {"log-loss": float(loss), "accuracy": float(np.mean((margins > 0) == y[rows:]))}

    contestants = {
        "clary, one epoch": lambda: LinearLearner(epochs=1).fit(train, y[:rows]),
        "clary, five epochs, wd 1e-5": lambda: LinearLearner(epochs=5, learning_rate=0.01, wd=1e-5).fit(train, y[:rows]),
        "scikit-learn SGD, averaged": lambda: linear_model.SGDClassifier(
            loss="log_loss", alpha=1e-6, max_iter=1, tol=None, random_state=0, average=True, learning_rate="constant", eta0=0.01
        ).fit(train, y[:rows]),
        "LIBLINEAR, dual, 20 passes": lambda: linear_model.LogisticRegression(
            solver="liblinear", dual=True, tol=0.1, max_iter=20
        ).fit(train, y[:rows]),
    }
    compare(f"Wide and sparse, {rows:,} x {WORDS:,}", contestants, quality, repeats=min(repeats, 3), units=rows)


def _torch_adam(data: Rows) -> Any:
    torch = pytorch()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    X, y = torch.from_numpy(data.X), torch.from_numpy(data.y)
    model = torch.nn.Linear(COLUMNS, 1)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, len(y) // BATCH)
    order = torch.randperm(len(y))
    for start in range(0, len(y), BATCH):
        rows = order[start : start + BATCH]
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(X[rows])[:, 0], y[rows]).backward()
        optimizer.step()
        schedule.step()
    fitted = LinearLearner()
    fitted.coef_, fitted.intercept_ = model.weight.detach().numpy(), model.bias.detach().numpy()
    return fitted


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sparse-rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="without the seeds and the sparse rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
