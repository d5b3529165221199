"""The PCA programs: what they learn, print, save, serve, and what they say about mistakes."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
import sklearn.decomposition
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.cluster import ADDRESS, SECRET
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.pca import load, read_model, train
from clary.catalog.builtin.pca import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import csv, ndarray_list, records

UNLABELLED = "text/csv;label_size=0"
RECORDS = "application/x-recordio-protobuf"
RANDOMIZED = {"algorithm_mode": "randomized"}


@pytest.fixture(scope="module")
def rows():
    """(800, 12) float32 with falling variances, far from zero."""
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.standard_normal((12, 12)))[0]
    return (rng.standard_normal((800, 12)) * 0.6 ** np.arange(12) @ directions + 20).astype(np.float32).round(4)


def job(tmp_path, rows, hyperparameters=None, **options) -> Path:
    given = {"num_components": "3", "feature_dim": "12", "mini_batch_size": "100"} | (hyperparameters or {})
    channels = options.pop("channels", None) or {"train": {"a.csv": csv.format_rows(rows)}}
    return lay_out(tmp_path, given, channels, content_type=options.pop("content_type", UNLABELLED), **options)


def exact(rows, count=3):
    """Components (count, columns) and singular values, smallest first."""
    peer = sklearn.decomposition.PCA(count, svd_solver="full").fit(rows.astype(np.float64))
    return peer.components_[::-1], peer.singular_values_[::-1]


def assert_close(model, rows, cosine, relative):
    components, values = exact(rows)
    assert np.abs((model["v"].T * components).sum(axis=1)).min() > cosine
    np.testing.assert_allclose(model["s"], values, rtol=relative)
    assert np.all(np.diff(model["s"]) > 0)


def found(log: str, metric: str) -> list[float]:
    regex = next(declared.regex for declared in ALGORITHM.metrics if declared.name == metric)
    return [float(match[1]) for match in re.finditer(regex, log)]


@pytest.mark.parametrize(
    ("hyperparameters", "cosine", "relative", "progress"),
    [
        ({}, 0.999999, 1e-4, [100]),
        (RANDOMIZED, 0.99, 1e-3, [50, 100]),
        (RANDOMIZED | {"extra_components": "9"}, 0.9999, 1e-4, [50, 100]),
    ],
)
def test_training_finds_the_components(tmp_path, rows, capfd, hyperparameters, cosine, relative, progress):
    table = csv.format_rows(rows)
    train(job(tmp_path, rows, hyperparameters, channels={"train": {"a": table}, "test": {"b": table}}))
    model = read_model(tmp_path / "model")
    log = capfd.readouterr().out
    assert_close(model, rows, cosine, relative)
    np.testing.assert_allclose(model["mean"], rows.mean(axis=0, dtype=np.float64)[None], rtol=1e-5)
    assert found(log, "train:progress") == progress
    assert all(rate > 0 for rate in found(log, "train:throughput"))
    kept = re.search(r"#test_score \(algo-1\) : \('captured_variance', (\S+)\)", log)
    assert float(kept[1]) == pytest.approx(
        np.square(exact(rows)[1]).sum() / np.square(rows - rows.mean(axis=0)).sum(), rel=1e-2
    )


def test_the_mean_can_stay(tmp_path, rows):
    train(job(tmp_path, rows, {"subtract_mean": "false"}))
    model = read_model(tmp_path / "model")
    assert sorted(model) == ["s", "v"]
    np.testing.assert_allclose(model["s"], np.linalg.svd(rows, compute_uv=False)[2::-1], rtol=1e-4)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
@pytest.mark.parametrize("sparse", [False, True])
def test_records_give_what_text_gives(tmp_path, rows, mode, sparse):
    body = records.write(scipy.sparse.csr_matrix(rows) if sparse else rows)
    settings = {"algorithm_mode": mode, "extra_components": "9"}
    train(job(tmp_path, rows, settings, channels={"train": {"a.pbr": body}}, content_type=RECORDS))
    assert_close(read_model(tmp_path / "model"), rows, 0.9999, 1e-3)


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_one_pass_over_a_pipe(tmp_path, rows, capfd, mode):
    opt_ml = job(tmp_path, rows, {"algorithm_mode": mode}, mode="Pipe", channels={"train": {}})
    pipe = opt_ml / "input" / "data" / "train_0"
    os.mkfifo(pipe)
    threading.Thread(target=pipe.write_bytes, args=(csv.format_rows(rows),), daemon=True).start()
    train(opt_ml)
    assert found(capfd.readouterr().out, "train:progress") == [100]
    assert_close(
        read_model(opt_ml / "model"), rows, 0.999999 if mode == "regular" else 0.97, 1e-4 if mode == "regular" else 0.03
    )


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_hosts_add_up(tmp_path, rows, monkeypatch, mode):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        monkeypatch.setenv(ADDRESS, f"127.0.0.1:{holder.getsockname()[1]}")
        monkeypatch.setenv(SECRET, "00ff" * 16)
        directories = []
        for number, share in enumerate((rows[:100], rows[100:]), 1):
            directories.append(job(tmp_path / str(number), share, {"algorithm_mode": mode}, hosts=2))
            names = {"current_host": f"algo-{number}", "hosts": ["algo-1", "algo-2"]}
            (directories[-1] / "input/config/resourceconfig.json").write_text(json.dumps(names))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(train, directories))
    train(job(tmp_path / "single", rows, {"algorithm_mode": mode}))
    together, single = (read_model(directory / "model") for directory in (directories[0], tmp_path / "single"))
    for name in ("mean", "s", "v"):
        np.testing.assert_allclose(together[name], single[name], atol=2e-3)
    assert not list(directories[1].glob("model/*"))


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"num_components": "13"}, r"num_components \(13\) must not exceed feature_dim \(12\)"),
        ({"algorithm_mode": "exact"}, "algorithm_mode"),
        ({"extra_components": "-2"}, "extra_components"),
        ({"whiten": "true"}, r"Additional properties are not allowed \(u'whiten' was unexpected\)"),
        ({"feature_dim": "11"}, "a.csv has rows of 12 features where feature_dim is 11"),
    ],
)
def test_what_cannot_be_is_the_customers_mistake(tmp_path, rows, hyperparameters, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, rows, hyperparameters))


def test_bad_rows_are_found(tmp_path):
    body = b"1,2,3,4,5,6,7,8,9,10,11,12\n1,2,3,4,5,6,7,8,nan,10,11,12\n"
    with pytest.raises(CustomerError, match=r"a.csv, row 2: feature 8 is missing or not a finite number"):
        train(job(tmp_path, None, channels={"train": {"a.csv": body}}))


def test_what_has_no_effect_says_so(tmp_path, rows, capfd):
    train(job(tmp_path, rows, {"epochs": "3"}))
    assert "Hyperparameter epochs has no effect" in capfd.readouterr().out


@pytest.fixture
def model(tmp_path):
    """Mean (1, 1, 1); the second component is the larger."""
    arrays = {"mean": np.ones((1, 3)), "v": np.array([[0, 1], [1, 0], [0, 0]]), "s": np.array([1, 2])}
    written = {name: array.astype(np.float32) for name, array in arrays.items()}
    (tmp_path / "model_algo-1").write_bytes(ndarray_list.write(written))
    return load(tmp_path, {})


ROWS = np.array([[3, 1.5, 9], [1, 1, 0]], np.float32)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"3,1.5,9\n1,1,0\n"),
        ("application/json", b'{"instances": [{"features": [3, 1.5, 9]}, {"features": [1, 1, 0]}]}'),
        ("application/jsonlines", b'{"features": [3, 1.5, 9]}\n{"features": [1, 1, 0]}\n'),
        (RECORDS, records.write(ROWS)),
        (RECORDS, records.write(scipy.sparse.csr_matrix(ROWS))),
    ],
)
@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("application/json", b'{"projections":[{"projection":[0.5,2.0]},{"projection":[0.0,0.0]}]}'),
        ("application/jsonlines", b'{"projection":[0.5,2.0]}\n{"projection":[0.0,0.0]}\n'),
        ("text/csv", b"0.5,2.0\n0.0,0.0\n"),
    ],
)
def test_answers(model, content_type, body, accept, answer):
    (response,) = model.invoke([InferenceRequest(body, content_type, accept)])
    assert (response.status, response.body) == (200, answer)


def test_records_are_answered_with_records(model):
    (response,) = model.invoke([InferenceRequest(records.write(ROWS[:1]), RECORDS)])
    assert b"projection\x12\x0c\x12\x0a\n\x08" + np.array([0.5, 2], np.float32).tobytes() in response.body


def test_requests_in_one_batch_are_answered_apart(model):
    responses = model.invoke([InferenceRequest(b"3,1.5,9\n", "text/csv", "text/csv"), InferenceRequest(b"1,2\n", "text/csv")])
    assert [response.status for response in responses] == [200, 400]
    assert responses[0].body == b"0.5,2.0\n"


@pytest.mark.parametrize(("arrays", "words"), [(None, "holds a file model_algo-1"), ([np.ones((3, 3))], "is no PCA model")])
def test_other_archives_are_refused(tmp_path, arrays, words):
    if arrays is not None:
        (tmp_path / "model_algo-1").write_bytes(ndarray_list.write(arrays))
    with pytest.raises(CustomerError, match=words):
        load(tmp_path, {})
