"""k-means on public data, with scikit-learn's beside it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import sklearn.cluster
from sklearn.datasets import load_digits

from clary.algorithms import KMeans

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist_1k" / "train-1k-images-idx3-ubyte.gz"
SEEDS = range(10)

pytestmark = pytest.mark.slow


def digits() -> np.ndarray:
    """1,797 digits of 8 x 8 pixels."""
    return load_digits().data.astype(np.float32)


def mnist() -> np.ndarray:
    """1,000 digits of 28 x 28 pixels from 0 to 1."""
    if not MNIST.exists():
        pytest.skip(f"{MNIST} is not there")
    return np.frombuffer(gzip.decompress(MNIST.read_bytes()), np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255


@pytest.mark.parametrize("data", [digits, mnist])
@pytest.mark.parametrize("settings", [{}, {"algorithm": "streaming", "init_method": "random"}], ids=["lloyd", "streaming"])
def test_ten_centers_of_digits(data, settings):
    X = data()
    ours = np.mean([KMeans(10, seed=seed, **settings).fit(X).inertia_ for seed in SEEDS])
    peer = np.mean([sklearn.cluster.KMeans(10, n_init=1, random_state=seed).fit(X).inertia_ for seed in SEEDS])
    print(f"{data.__name__}, {settings}: {ours / len(X):.4f} a row, scikit-learn {peer / len(X):.4f}")
    assert ours <= 1.02 * peer
