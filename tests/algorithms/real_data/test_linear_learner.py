"""Linear learner on public data, with scikit-learn's logistic regression on standardised columns beside it."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegression, QuantileRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clary.algorithms import LinearLearner

DATA = Path(__file__).parents[4] / "shared" / "data"
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Rows and labels to learn from, rows and labels to judge by."""

pytestmark = pytest.mark.slow


def needed(path: str) -> Path:
    if not (DATA / path).exists():
        pytest.skip(f"{DATA / path} is not there")
    return DATA / path


def parted(X: np.ndarray, y: np.ndarray, train: int) -> Split:
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order].astype(np.float32), y[order]
    return X[:train], y[:train], X[train:], y[train:]


def letters() -> Split:
    table = pd.read_csv(needed("letter_recognition/letter_recognition.csv.gz"))
    X, y = table.iloc[:, 1:].to_numpy(np.float32), table.iloc[:, 0].to_numpy()
    return X[:16_000], y[:16_000], X[16_000:], y[16_000:]


def mnist() -> Split:
    folder = needed("mnist_1k")
    pixels = gzip.decompress((folder / "train-1k-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((folder / "train-1k-labels-idx1-ubyte.gz").read_bytes())[8:]
    return parted(np.frombuffer(pixels, np.uint8).reshape(-1, 784) / 255, np.frombuffer(labels, np.uint8), 800)


def digits() -> Split:
    return parted(*load_digits(return_X_y=True), 1400)


def breast_cancer() -> Split:
    return parted(*load_breast_cancer(return_X_y=True), 400)


def adult() -> Split:
    parts = [pd.read_csv(needed(f"adult_census/adult_{part}.csv.gz")) for part in ("train", "test")]
    table = pd.concat(parts)
    y = table.income.str.contains(">50K").to_numpy(int)
    X = pd.get_dummies(table.drop(columns="income"), dtype=np.float32).to_numpy(np.float32)
    end = len(parts[0])
    return X[:end], y[:end], X[end:], y[end:]


def churn() -> Split:
    train, test = (pd.read_csv(needed(f"telecom_churn/churn_{part}.csv.gz")) for part in ("train", "validation"))
    X, y = ([part.iloc[:, 1:].to_numpy(np.float32), part.iloc[:, 0].to_numpy(int)] for part in (train, test))
    return X[0], X[1], y[0], y[1]


@pytest.mark.parametrize("models", [1, 32])
@pytest.mark.parametrize("load", [letters, mnist, digits, breast_cancer, adult, churn], ids=lambda load: load.__name__)
def test_it_is_as_accurate_as_scikit_learn(load: Callable[[], Split], models: int) -> None:
    X, y, X_test, y_test = load()
    kind = "binary_classifier" if len(np.unique(y)) == 2 else "multiclass_classifier"
    reference = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(X, y).score(X_test, y_test)
    ours = [LinearLearner(kind, num_models=models, seed=seed).fit(X, y).score(X_test, y_test) for seed in range(5)]
    print(f"accuracy: {np.mean(ours):.4f} +- {np.std(ours):.4f} over 5 seeds; scikit-learn {reference:.4f}")
    noise = (reference * (1 - reference) / len(y_test)) ** 0.5
    assert np.mean(ours) >= reference - 0.5 * noise


def test_whether_a_digit_is_a_zero() -> None:
    X, y, X_test, y_test = mnist()
    model = LinearLearner(num_models=32).fit(X, y == 0)
    assert model.score(X_test, y_test == 0) >= 0.98


def test_breast_cancer_by_absolute_loss() -> None:
    X, y, X_test, y_test = breast_cancer()
    ours = LinearLearner("regressor", loss="absolute_loss", epochs=200, num_models=4).fit(X, y).predict(X_test)
    reference = make_pipeline(StandardScaler(), QuantileRegressor(alpha=0)).fit(X, y).predict(X_test)
    assert np.mean((ours > 0.5) == y_test) >= np.mean((reference > 0.5) == y_test) - 0.02
    assert np.mean(np.abs(ours - y_test)) <= np.mean(np.abs(reference - y_test)) + 0.01


def test_exact_regression_of_house_prices() -> None:
    table = pd.read_csv(needed("boston_housing/boston_housing.csv")).to_numpy(np.float32)
    X, y, X_test, y_test = parted(table[:, :-1], table[:, -1], 400)
    errors = LinearLearner("regressor", optimizer="exact").fit(X, y).predict(X_test) - y_test
    design = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
    expected = np.column_stack([X_test, np.ones(len(X_test))]) @ np.linalg.lstsq(design, y, rcond=None)[0] - y_test
    assert np.mean(errors**2) == pytest.approx(np.mean(expected**2), rel=1e-3)
