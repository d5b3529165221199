"""PCA on public data, with scikit-learn's beside it."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import sklearn.decomposition
from sklearn.datasets import load_digits

from clary.algorithms import PCA

MNIST = Path(__file__).parents[4] / "shared" / "data" / "mnist_1k" / "train-1k-images-idx3-ubyte.gz"

pytestmark = pytest.mark.slow


def digits() -> np.ndarray:
    """1,797 digits of 8 x 8 pixels."""
    return load_digits().data.astype(np.float32)


def mnist() -> np.ndarray:
    """1,000 digits of 28 x 28 pixels."""
    if not MNIST.exists():
        pytest.skip(f"{MNIST} is not there")
    return np.frombuffer(gzip.decompress(MNIST.read_bytes()), np.uint8, offset=16).reshape(-1, 784).astype(np.float32)


@pytest.mark.parametrize("data", [digits, mnist])
@pytest.mark.parametrize(
    ("mode", "extra", "cosine"), [("regular", -1, 0.9999), ("randomized", 20, 0.99), ("randomized", -1, 0.9)]
)
def test_components_of_digits(data, mode, extra, cosine):
    """Pixels have singular values that fall slowly, which is hard for few test vectors."""
    X = data()
    ours = PCA(10, algorithm_mode=mode, extra_components=extra).fit(X)
    peer = sklearn.decomposition.PCA(10, svd_solver="full").fit(X.astype(np.float64))
    alike = np.abs((ours.components_ * peer.components_).sum(axis=1))
    kept = ours.explained_variance_.sum() / peer.explained_variance_.sum()
    print(f"{data.__name__}, {mode}, extra {extra}: cosines from {alike.min():.6f}, variance {kept:.6f} of scikit-learn's")
    assert alike.min() > cosine
    assert kept == pytest.approx(1, abs=1e-5 if mode == "regular" else 2e-2)
