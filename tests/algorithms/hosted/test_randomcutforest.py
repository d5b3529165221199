"""The random cut forest as a hosted job: training, metrics, answers in every format, several hosts, bad input."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms import RandomCutForest
from clary.algorithms.hosted.cluster import ADDRESS, SECRET
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.randomcutforest import DISTRIBUTIONS, load, train
from clary.catalog.builtin.randomcutforest import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import csv, recordio, records

COLUMNS = 3
HYPERPARAMETERS = {"feature_dim": str(COLUMNS), "num_trees": "50", "num_samples_per_tree": "64", "mini_batch_size": "1000"}
UNLABELED = "text/csv;label_size=0"


@pytest.fixture(scope="module")
def table():
    """(rows, 1 + columns) float32: label 1 and a far point in every 50th row."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1000, COLUMNS))
    labels = np.arange(1000) % 50 == 0
    features[labels] += 12 * rng.choice([-1, 1], size=(labels.sum(), COLUMNS))
    return np.column_stack([labels, features]).astype(np.float32).round(3)


def job(tmp_path, channels, hyperparameters=None, *, types=None, distributions=None, **options):
    """A job's directory; content types and distributions by channel."""
    lay_out(tmp_path, HYPERPARAMETERS | (hyperparameters or {}), channels, **options)
    config = tmp_path / "input" / "config" / "inputdataconfig.json"
    settings = json.loads(config.read_text())
    for name in settings:
        settings[name]["S3DistributionType"] = (DISTRIBUTIONS | (distributions or {})).get(name, "FullyReplicated")
        settings[name]["ContentType"] = ({"train": UNLABELED, "test": "text/csv;label_size=1"} | (types or {})).get(name)
    config.write_text(json.dumps(settings))
    return tmp_path


def both(table):
    return {"train": {"a.csv": csv.format_rows(table[:, 1:])}, "test": {"b.csv": csv.format_rows(table)}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, table):
    opt_ml = job(tmp_path_factory.mktemp("ml"), both(table))
    train(opt_ml)
    return opt_ml / "model"


def ask(model, body, content_type="text/csv", accept=""):
    (response,) = model.invoke([InferenceRequest(body, content_type, accept)])
    return response


def test_every_metric_of_the_declaration_is_in_the_log(tmp_path, table, capsys):
    train(job(tmp_path, both(table)))
    log = capsys.readouterr().out
    found = {metric.name: [float(value) for value in re.findall(metric.regex, log)] for metric in ALGORITHM.metrics}
    assert all(found.values()), found
    assert found["train:progress"] == [100.0]
    assert found["test:f1"][0] > 0.9
    assert found["test:recall"] == [1.0]
    assert "#test_score (algo-1) : ('f1'," in log
    assert '"Total Records Seen": {"sum": 1000.0' in log


def test_metrics_that_are_not_asked_for_are_not_logged(tmp_path, table, capsys):
    train(job(tmp_path, both(table), {"eval_metrics": '["accuracy"]'}))
    log = capsys.readouterr().out
    assert "test accuracy <score>=" in log
    assert "test f1" not in log


def test_the_metrics_are_those_of_the_three_sigma_rule(tmp_path, table, capsys):
    opt_ml = job(tmp_path, both(table))
    train(opt_ml)
    scores = RandomCutForest.load(opt_ml / "model" / "model_algo-1").anomaly_scores(table[:, 1:])
    found, truth = scores > scores.mean() + 3 * scores.std(), table[:, 0] == 1
    (logged,) = re.findall(r"test precision <score>=(\S+)", capsys.readouterr().out)
    assert float(logged) == (found & truth).sum() / found.sum()


def test_all_formats_and_pipes_train_the_same_forest(tmp_path, table, trained):
    expected = (trained / "model_algo-1").read_bytes()
    dense = job(tmp_path / "a", {"train": {"a.pbr": records.write(table[:, 1:], None)}}, types={"train": None})
    labelled = job(tmp_path / "b", {"train": {"a.csv": csv.format_rows(table)}}, types={"train": "text/csv"})
    piped = job(tmp_path / "c", {"train": {}}, mode="Pipe")
    pipe = piped / "input" / "data" / "train_0"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(csv.format_rows(table[:, 1:]),))
    writer.start()
    for opt_ml in (dense, labelled, piped):
        train(opt_ml)
        assert (opt_ml / "model" / "model_algo-1").read_bytes() == expected
    writer.join()


def test_answers_in_every_format(trained):
    model = load(trained, {})
    forest = RandomCutForest.load(trained / "model_algo-1")
    rows = np.array([[0, 0, 0], [9, -9, 9]], np.float32)
    first, second = forest.anomaly_scores(rows).tolist()
    assert second > 2 * first
    expected = f'{{"scores":[{{"score":{first!r}}},{{"score":{second!r}}}]}}'.encode()
    sparse = [{"data": {"features": {"keys": list(range(n)), "shape": [3], "values": [9, -9, 9][:n]}}} for n in (0, 3)]
    document = b'{"instances":[{"features":[0,0,0]},{"data":{"features":{"values":[9,-9,9]}}}]}'
    lines = b'{"features":[0,0,0]}\n{"features":[9,-9,9]}\n'
    assert ask(model, b"0,0,0\n9,-9,9").body == expected
    assert ask(model, document, "application/json").body == expected
    assert ask(model, json.dumps({"instances": sparse}).encode(), "application/json", "application/json").body == expected
    in_lines = f'{{"score":{first!r}}}\n{{"score":{second!r}}}\n'.encode()
    assert ask(model, lines, "application/jsonlines").body == in_lines
    assert ask(model, b"0,0,0\n9,-9,9", "text/csv", "application/jsonlines").body == in_lines
    answer = ask(model, records.write(rows, None), "application/x-recordio-protobuf")
    assert answer.content_type == "application/x-recordio-protobuf"
    payloads = list(recordio.payloads(answer.body))
    for payload, score in zip(payloads, (first, second), strict=True):
        assert b"score" in payload
        assert np.float32(score).tobytes() in payload


def test_requests_together_are_answered_as_alone(trained):
    model = load(trained, {})
    requests = [InferenceRequest(body, "text/csv", "") for body in (b"0,0,0", b"1,2,3\n9,9,9", b"5,5,5")]
    assert [answer.body for answer in model.invoke(requests)] == [ask(model, each.body).body for each in requests]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [(b"1,2", "text/csv", 400), (b"1,2,x", "text/csv", 400), (b"1,2,nan", "text/csv", 400), (b"", "image/png", 415)],
)
def test_bad_requests_are_refused(trained, body, content_type, status):
    assert ask(load(trained, {}), body, content_type).status == status


def test_an_archive_without_a_forest_is_refused(tmp_path):
    with pytest.raises(CustomerError, match="model_algo-1"):
        load(tmp_path, {})
    (tmp_path / "model_algo-1").write_bytes(b"something else")
    with pytest.raises(CustomerError, match="no random cut forest"):
        load(tmp_path, {})


def test_two_hosts_grow_a_forest_over_the_rows_of_both(tmp_path, table, monkeypatch, capsys):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        monkeypatch.setenv(ADDRESS, f"127.0.0.1:{holder.getsockname()[1]}")
        monkeypatch.setenv(SECRET, "00ff" * 16)
        jobs = []
        for host, part in enumerate(np.split(table, 2), start=1):
            channels = {"train": {"a.csv": csv.format_rows(part[:, 1:])}, "test": {"b.csv": csv.format_rows(table)}}
            jobs.append(job(tmp_path / str(host), channels, hosts=2))
            config = jobs[-1] / "input" / "config" / "resourceconfig.json"
            config.write_text(json.dumps({"current_host": f"algo-{host}", "hosts": ["algo-1", "algo-2"]}))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(train, jobs))
    model = RandomCutForest.load(jobs[0] / "model" / "model_algo-1")
    assert not list((jobs[1] / "model").glob("*"))
    assert model.n_seen_ == 1000
    held = {tuple(point) for point in model.forest_.vectors[:, :64, :COLUMNS].reshape(-1, COLUMNS)}
    for part in np.split(table, 2):
        assert len(held & set(map(tuple, part[:, 1:]))) > 400
    f1 = re.findall(r"host=algo-1, test f1 <score>=(\S+)", capsys.readouterr().out)
    assert float(f1[0]) > 0.9


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"feature_dim": "0"}, "feature_dim"),
        ({"feature_dim": "10001"}, "feature_dim"),
        ({"num_trees": "49"}, "num_trees"),
        ({"num_samples_per_tree": "2049"}, "num_samples_per_tree"),
        ({"eval_metrics": '["f1"]'}, "eval_metrics"),
        ({"trees": "5"}, r"Additional properties are not allowed \(u'trees' was unexpected\)"),
        ({"feature_dim": "4"}, "rows of 3 features where feature_dim is 4"),
    ],
)
def test_wrong_hyperparameters_are_named(tmp_path, table, hyperparameters, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, both(table), hyperparameters))


def test_hidden_hyperparameters_pass(tmp_path, table):
    train(job(tmp_path, both(table), {"_tuning_objective_metric": "test:f1"}))


@pytest.mark.parametrize(("channel", "given"), [("train", "FullyReplicated"), ("test", "ShardedByS3Key")])
def test_a_channel_that_is_shared_out_otherwise_is_refused_by_name(tmp_path, table, channel, given):
    with pytest.raises(CustomerError, match=f"Channel {channel}: S3DataDistributionType {given} .* {DISTRIBUTIONS[channel]}"):
        train(job(tmp_path, both(table), distributions={channel: given}))


@pytest.mark.parametrize(
    ("channel", "content", "words"),
    [
        ("train", b"1,2,3\n1,2,x\n", r"train.*a\.csv, row 2, column 3"),
        ("train", b"1,2,3\n1,2,\n", r"train.*a\.csv, row 2.*missing or not a finite number"),
        ("train", b"1,2,3\n1,2\n", r"train.*a\.csv"),
        ("train", b"", "No data in train channel"),
        ("test", b"2,1,2,3\n", r"test.*a\.csv, row 1: the label is 2"),
        ("test", b"0,1,2,inf\n", r"test.*a\.csv, row 1"),
    ],
)
def test_bad_rows_are_named(tmp_path, table, channel, content, words):
    channels = both(table) | {channel: {"a.csv": content}}
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, channels))


def test_other_channels_and_types_are_refused(tmp_path, table):
    with pytest.raises(CustomerError, match="Extraneous channel found: validation"):
        train(job(tmp_path / "a", both(table) | {"validation": {"a.csv": b"1,2,3"}}))
    with pytest.raises(CustomerError, match="Missing required channel: train"):
        train(job(tmp_path / "b", {"test": {"a.csv": b"1,2,3"}}))
    with pytest.raises(CustomerError, match="content type text/libsvm is not supported by randomcutforest"):
        train(job(tmp_path / "c", both(table), types={"train": "text/libsvm"}))
