"""The programs of the GPU against those of the CPU, on PyTorch's CPU; what is asked for and is not there is refused."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from clary.algorithms import KMeans
from clary.algorithms.cluster import nearest, on_device
from clary.algorithms.cluster.streaming import Stream
from clary.algorithms.device import obstacle, torch_device
from clary.algorithms.hosted import kmeans
from clary.algorithms.hosted.job import TrainingJob

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
without_gpu = pytest.mark.skipif(obstacle() is None, reason="this machine has a GPU")


def blobs(rows=3_000, columns=6, offset=1e3):
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 5, (8, columns))
    return (offset + centers[rng.integers(0, 8, rows)] + rng.normal(size=(rows, columns))).astype(np.float32)


@without_gpu
def test_a_gpu_that_is_not_there_is_refused_and_not_needed():
    assert torch_device("cpu") is torch_device("auto") is None
    with pytest.raises(ValueError, match=r"device='cuda' cannot be used: .*; use device='cpu' or 'auto'"):
        KMeans(k=2, device="cuda").fit(blobs(20))
    KMeans(k=2, device="auto").fit(blobs(20))


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="device='gpu' must be 'cpu', 'cuda'"):
        KMeans(k=2, device="gpu").fit(blobs(20))


@needs_torch
@pytest.mark.parametrize("weighted", [False, True])
def test_assignments_agree(weighted, monkeypatch):
    monkeypatch.setattr(on_device, "SCORES", 8 * 700)  # in parts
    X = blobs()
    weights = np.random.default_rng(1).uniform(0, 3, len(X)) if weighted else None
    centers = X[:8].astype(np.float64)
    rows = on_device.Rows(X, weights, "cpu")
    ours, theirs = rows.assign(centers), nearest.assign(X, centers, weights)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-6)
    np.testing.assert_allclose(ours.sums, theirs.sums, rtol=1e-6)
    np.testing.assert_allclose(ours.squares, theirs.squares, rtol=1e-4, atol=1e-2)
    assert (ours.moved, rows.assign(centers).moved) == (len(X), 0)


@needs_torch
def test_lloyd_finds_the_same_centres():
    X = blobs()
    ours, theirs = KMeans(k=8, device="torch:cpu").fit(X), KMeans(k=8).fit(X)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-6)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-4)


@needs_torch
def test_streaming_finds_centres_as_good():
    """Rounding may change which centres are drawn when they shrink to k."""
    X = blobs()
    settings = {"k": 8, "algorithm": "streaming", "mini_batch_size": 500, "extra_center_factor": 3}
    ours, theirs = KMeans(device="torch:cpu", **settings).fit(X), KMeans(**settings).fit(X)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=0.02)


@needs_torch
def test_a_stream_takes_batches_the_same_way():
    X = blobs()
    ours, theirs = (Stream.begin(X[:500], 8, "k-means++", np.random.default_rng(0)) for _ in range(2))
    for start in range(0, 3_000, 500):
        ours.update(X[start : start + 500], half_life=700, device="cpu")
        theirs.update(X[start : start + 500], half_life=700)
    np.testing.assert_allclose(ours.centers, theirs.centers, rtol=1e-6)
    np.testing.assert_allclose(ours.weights, theirs.weights)


@needs_torch
@pytest.mark.parametrize("mode", ["regular", "randomized"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_principal_components_agree(mode, dtype):
    from clary.algorithms import PCA

    X = blobs().astype(dtype)
    ours = PCA(2, algorithm_mode=mode, device="torch:cpu").fit(X)
    theirs = PCA(2, algorithm_mode=mode).fit(X)
    np.testing.assert_allclose(ours.components_, theirs.components_, atol=1e-5)
    np.testing.assert_allclose(ours.explained_variance_, theirs.explained_variance_, rtol=1e-5)
    np.testing.assert_allclose(ours.mean_, theirs.mean_, rtol=1e-9)


@needs_torch
@pytest.mark.parametrize("metric", ["L2", "INNER_PRODUCT", "COSINE"])
def test_the_same_neighbours(metric, tmp_path):
    from clary.algorithms import KNN

    X = blobs(offset=1)
    y = np.arange(len(X)) % 5
    ours, theirs = (KNN(7, index_metric=metric, device=device).fit(X, y) for device in ("torch:cpu", "cpu"))
    for found, wanted in zip(ours.kneighbors(X[:100]), theirs.kneighbors(X[:100]), strict=True):
        np.testing.assert_array_equal(found, wanted)
    ours.save(tmp_path / "model")
    np.testing.assert_array_equal(KNN.load(tmp_path / "model").predict(X[:100]), theirs.predict(X[:100]))


@without_gpu
def test_a_model_of_a_gpu_runs_on_a_machine_without_one(tmp_path):
    from clary.algorithms import KNN

    X = blobs(50)
    model = KNN(3).fit(X, np.arange(50) % 3)
    model.device = "cuda"
    model.save(tmp_path / "model")
    with pytest.warns(UserWarning, match="device='cuda' of the saved model cannot be used"):
        loaded = KNN.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


@without_gpu
@pytest.mark.parametrize(
    ("instance", "hyperparameters", "line"),
    [
        ("ml.p3.2xlarge", {}, "ml.p3.2xlarge has a GPU that is not used: this machine has no GPU that CUDA knows"),
        ("ml.g5.xlarge", {"_num_gpus": "0"}, "ml.g5.xlarge has a GPU that is not used: _num_gpus is 0; training on the CPU"),
        ("ml.m5.large", {}, "Docker entrypoint called with argument(s): train"),
    ],
)  # fmt: skip
def test_a_job_says_first_what_becomes_of_the_gpu(tmp_path, capsys, instance, hyperparameters, line):
    given = {"k": "2", "feature_dim": "3"} | hyperparameters
    job = TrainingJob(tmp_path, "1", given, {"train": {}}, ["algo-1"], instance_type=instance)
    job.begin(kmeans.ALGORITHM)
    assert line in capsys.readouterr().out.splitlines()[0]
    assert job.device is None
