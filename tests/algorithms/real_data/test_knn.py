"""k-NN on public data, with scikit-learn's beside it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from clary.algorithms import KNN

DATA = Path(__file__).parents[4] / "shared" / "data"

pytestmark = pytest.mark.slow


def needed(path: str) -> Path:
    if not (DATA / path).exists():
        pytest.skip(f"{DATA / path} is not there")
    return DATA / path


@pytest.fixture(scope="module")
def letters():
    """16,000 letters to learn from, 4,000 to judge by."""
    table = pd.read_csv(needed("letter_recognition/letter_recognition.csv.gz"))
    X, y = table.iloc[:, 1:].to_numpy(np.float32), table.iloc[:, 0].to_numpy()
    return X[:16_000], y[:16_000], X[16_000:], y[16_000:]


@pytest.mark.parametrize("k", [1, 4, 10])
def test_letters(letters, k):
    """Cells are whole numbers up to 15: rows at equal distance abound, and who is the k-th of them differs."""
    X, y, X_test, y_test = letters
    ours, theirs = KNN(k).fit(X, y), KNeighborsClassifier(k, algorithm="brute").fit(X, y)
    np.testing.assert_allclose(ours.kneighbors(X_test)[0], theirs.kneighbors(X_test)[0], atol=1e-5)
    score, reference = ours.score(X_test, y_test), theirs.score(X_test, y_test)
    print(f"letters, k={k}: ours {score:.4f}, scikit-learn {reference:.4f}")
    assert score == pytest.approx(reference, abs=0.003)
    assert score > 0.94


@pytest.mark.parametrize(
    ("settings", "least"),
    [
        ({"index_type": "IVFFlat"}, 0.94),
        ({"index_type": "IVFPQ", "pq_m": 8}, 0.85),
        ({"index_metric": "COSINE"}, 0.94),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": 12}, 0.85),
        ({"dimension_reduction_type": "fjlt", "dimension_reduction_target": 12}, 0.85),
        ({"sample_size": 8000}, 0.9),
    ],
    ids=str,
)
def test_letters_with_less_than_everything(letters, settings, least):
    X, y, X_test, y_test = letters
    score = KNN(4, **settings).fit(X, y).score(X_test, y_test)
    print(f"letters, k=4, {settings}: {score:.4f}")
    assert score > least


def test_mnist_sample():
    images = needed("mnist_1k/train-1k-images-idx3-ubyte.gz")
    X = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(1000, 784).astype(np.float32)
    labels = needed("mnist_1k/train-1k-labels-idx1-ubyte.gz")
    y = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)
    score = KNN(3).fit(X[:800], y[:800]).score(X[800:], y[800:])
    assert score == KNeighborsClassifier(3).fit(X[:800], y[:800]).score(X[800:], y[800:])
    assert score > 0.8
