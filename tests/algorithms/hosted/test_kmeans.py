"""The k-means programs: what they learn, print, save, serve, and what they say about mistakes."""

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
from sklearn.datasets import make_blobs
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.cluster import ADDRESS, SECRET
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.kmeans import load, read_centers, train
from clary.catalog.builtin.kmeans import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import csv, ndarray_list, records

UNLABELLED = "text/csv;label_size=0"
RECORDS = "application/x-recordio-protobuf"


@pytest.fixture(scope="module")
def rows():
    """(3000, 4) float32 around five centres."""
    return make_blobs(3000, 4, centers=5, cluster_std=0.5, random_state=0)[0].astype(np.float32).round(4)


def job(tmp_path, rows, hyperparameters=None, **options) -> Path:
    given = {"k": "5", "feature_dim": "4", "mini_batch_size": "500"} | (hyperparameters or {})
    channels = options.pop("channels", None) or {"train": {"a.csv": csv.format_rows(rows)}}
    return lay_out(tmp_path, given, channels, content_type=options.pop("content_type", UNLABELLED), **options)


def msd(rows, centers) -> float:
    return float(np.square(rows[:, None] - centers).sum(axis=2).min(axis=1).mean())


def found(log: str, metric: str) -> list[float]:
    regex = next(declared.regex for declared in ALGORITHM.metrics if declared.name == metric)
    return [float(match[1]) for match in re.finditer(regex, log)]


@pytest.mark.parametrize("init_method", ["random", "kmeans++"])
def test_training_finds_the_centers(tmp_path, rows, capfd, init_method):
    settings = {"init_method": init_method, "epochs": "2", "eval_metrics": '["msd", "ssd"]', "local_lloyd_num_trials": "20"}
    table = csv.format_rows(rows)
    opt_ml = job(tmp_path, rows, settings, channels={"train": {"a": table}, "test": {"b": table}})
    train(opt_ml)
    centers = read_centers(opt_ml / "model")
    log = capfd.readouterr().out
    assert centers.shape == (5, 4)
    assert msd(rows, centers) == pytest.approx(4 * 0.5**2, rel=0.05)
    assert found(log, "test:msd") == [pytest.approx(msd(rows, centers), rel=1e-4)]
    assert found(log, "test:ssd") == [pytest.approx(len(rows) * msd(rows, centers), rel=1e-4)]
    assert found(log, "train:msd") == [pytest.approx(msd(rows, centers), rel=0.1)]
    assert found(log, "train:progress") == [50, 100]
    assert all(rate > 0 for rate in found(log, "train:throughput"))
    assert "shrinking 50 centers into 5" in log
    assert log.count("local kmeans attempt #") == 20


def test_without_a_test_channel_the_log_says_so(tmp_path, rows, capfd):
    train(job(tmp_path, rows))
    assert "Test data is not provided." in capfd.readouterr().out


def test_a_first_batch_that_is_too_small_is_mentioned(tmp_path, rows, capfd):
    train(job(tmp_path, rows, {"mini_batch_size": "5000", "force_dense": "true"}))
    log = capfd.readouterr().out
    assert "The first batch has 3000 rows, fewer than mini_batch_size" in log
    assert "Hyperparameter force_dense has no effect" in log


def test_more_centers_than_a_batch_has_rows_take_several(tmp_path, rows, capfd):
    train(job(tmp_path, rows, {"k": "60", "mini_batch_size": "100"}))
    assert "shrinking 600 centers into 60" in capfd.readouterr().out


@pytest.mark.parametrize("sparse", [False, True])
def test_records_give_the_centers_that_text_gives(tmp_path, rows, sparse):
    body = records.write(scipy.sparse.csr_matrix(rows) if sparse else rows)
    train(job(tmp_path / "text", rows))
    train(job(tmp_path / "records", rows, channels={"train": {"a.pbr": body}}, content_type=RECORDS))
    text, binary = (read_centers(tmp_path / name / "model") for name in ("text", "records"))
    assert msd(rows, binary) == pytest.approx(msd(rows, text), rel=1e-3)


def test_pipes_are_read_once_per_epoch(tmp_path, rows, capfd):
    opt_ml = job(tmp_path, rows, {"epochs": "2"}, mode="Pipe", channels={"train": {}})
    for epoch in range(2):
        pipe = opt_ml / "input" / "data" / f"train_{epoch}"
        os.mkfifo(pipe)
        threading.Thread(target=pipe.write_bytes, args=(csv.format_rows(rows),), daemon=True).start()
    train(opt_ml)
    assert found(capfd.readouterr().out, "train:progress") == [50, 100]


def test_the_artifact_is_a_list_of_one_array(tmp_path, rows):
    opt_ml = job(tmp_path, rows)
    train(opt_ml)
    (only,) = ndarray_list.read((opt_ml / "model" / "model_algo-1").read_bytes())
    assert only.shape == (5, 4)
    assert only.dtype == np.float32


def test_hosts_share_the_rows_and_the_leader_writes_the_model(tmp_path, rows, monkeypatch):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        monkeypatch.setenv(ADDRESS, f"127.0.0.1:{holder.getsockname()[1]}")
        monkeypatch.setenv(SECRET, "00ff" * 16)
        directories = []
        for number, share in enumerate(np.array_split(rows, 2), 1):
            directories.append(job(tmp_path / str(number), share, hosts=2))
            names = {"current_host": f"algo-{number}", "hosts": ["algo-1", "algo-2"]}
            (directories[-1] / "input/config/resourceconfig.json").write_text(json.dumps(names))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(train, directories))
    train(job(tmp_path / "single", rows))
    together, single = (read_centers(directory / "model") for directory in (directories[0], tmp_path / "single"))
    assert msd(rows, together) <= 1.002 * msd(rows, single)
    assert not list(directories[1].glob("model/*"))


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"k": "0"}, "u'0' is not valid: hyperparameter k"),
        ({"clusters": "3"}, r"Additional properties are not allowed \(u'clusters' was unexpected\)"),
        ({"init_method": "k-means++"}, "init_method"),
        ({"local_lloyd_tol": "2"}, "local_lloyd_tol"),
        ({"eval_metrics": '["mse"]'}, "eval_metrics"),
        ({"k": "3001"}, "Channel train has 3000 rows, fewer than the k=3001 centres; lower k"),
        ({"feature_dim": "5"}, "a.csv has rows of 4 features where feature_dim is 5"),
    ],
)
def test_what_cannot_be_is_the_customers_mistake(tmp_path, rows, hyperparameters, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, rows, hyperparameters | {"mini_batch_size": "4000"}))


def test_a_missing_k_is_named(tmp_path, rows):
    with pytest.raises(CustomerError, match="u'k' is a required property"):
        train(lay_out(tmp_path, {"feature_dim": "4"}, {"train": {"a": csv.format_rows(rows)}}, content_type=UNLABELLED))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"1,2,3,high\n", "row 1, column 4: 'high' is not a number"),
        (b"1,2,3,4\n1,,3,4\n", "row 2: feature 1 is missing"),
        (b"1,2,3,4\n1,2,3\n", "row 2"),
        (b"", "No data in train channel"),
    ],
)
def test_bad_rows_are_found(tmp_path, body, words):
    with pytest.raises(CustomerError, match=re.escape(words)):
        train(job(tmp_path, None, {"k": "1"}, channels={"train": {"a.csv": body}}))


def test_equal_rows_are_too_few_for_many_centers(tmp_path):
    rows = np.ones((20, 4), np.float32)
    train(job(tmp_path / "one", rows, {"k": "1"}))
    assert read_centers(tmp_path / "one" / "model").tolist() == [[1, 1, 1, 1]]
    with pytest.raises(CustomerError, match="Channel train: k=2 centres need as many different rows; 1 were found; lower k"):
        train(job(tmp_path / "two", rows, {"k": "2"}))


@pytest.fixture
def model(tmp_path):
    centers = np.array([[0, 0], [10, 0]], np.float32)
    (tmp_path / "model_algo-1").write_bytes(ndarray_list.write([centers]))
    return load(tmp_path, {})


JSON_ROWS = b'{"instances": [{"features": [10, 2.5]}, {"data": {"features": {"values": [0, 0.5]}}}]}'
SPARSE_ROWS = (
    b'{"instances": [{"data": {"features": {"keys": [0, 1], "shape": [2], "values": [10, 2.5]}}},'
    b' {"data": {"features": {"keys": [1], "shape": [2], "values": [0.5]}}}]}'
)
LINES = b'{"features": [10, 2.5]}\n{"data": {"features": {"values": [0, 0.5]}}}\n'


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", b"10,2.5\n0,0.5\n"),
        ("application/json", JSON_ROWS),
        ("application/json", SPARSE_ROWS),
        ("application/jsonlines", LINES),
        (RECORDS, records.write(np.array([[10, 2.5], [0, 0.5]], np.float32))),
        (RECORDS, records.write(scipy.sparse.csr_matrix(np.array([[10, 2.5], [0, 0.5]], np.float32)))),
    ],
)
@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        (
            "application/json",
            b'{"predictions":[{"closest_cluster":1.0,"distance_to_cluster":2.5},'
            b'{"closest_cluster":0.0,"distance_to_cluster":0.5}]}',
        ),
        (
            "application/jsonlines",
            b'{"closest_cluster":1.0,"distance_to_cluster":2.5}\n{"closest_cluster":0.0,"distance_to_cluster":0.5}\n',
        ),
        ("text/csv", b"1.0,2.5\n0.0,0.5\n"),
    ],
)
def test_answers(model, content_type, body, accept, answer):
    (response,) = model.invoke([InferenceRequest(body, content_type, accept)])
    assert (response.status, response.body) == (200, answer)


def test_records_are_answered_with_records(model):
    body = records.write(np.array([[10, 2.5]], np.float32))
    (response,) = model.invoke([InferenceRequest(body, RECORDS)])
    assert b"closest_cluster\x12\x08\x12\x06\n\x04" + np.float32(1).tobytes() in response.body
    assert b"distance_to_cluster\x12\x08\x12\x06\n\x04" + np.float32(2.5).tobytes() in response.body


def test_a_request_of_another_width_is_refused(model):
    (response,) = model.invoke([InferenceRequest(b"1,2,3\n", "text/csv")])
    assert response.status == 400
    assert b"3 features where the model has 2" in response.body


@pytest.mark.parametrize(
    ("arrays", "words"), [(None, "holds a file model_algo-1"), ([np.ones(3), np.ones(3)], "holds 2 arrays")]
)
def test_other_archives_are_refused(tmp_path, arrays, words):
    if arrays is not None:
        (tmp_path / "model_algo-1").write_bytes(ndarray_list.write(arrays))
    with pytest.raises(CustomerError, match=words):
        load(tmp_path, {})
