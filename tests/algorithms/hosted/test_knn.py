"""k-NN as a job and an endpoint: the artifact's files, log lines, answers in all formats, mistakes."""

from __future__ import annotations

import json
import re
import socket
import threading

import faiss
import numpy as np
import orjson
import pytest
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms import KNN
from clary.algorithms.hosted.cluster import Cluster
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.knn import load, train
from clary.algorithms.hosted.knn.training import _gathered
from clary.algorithms.neighbors.reservoir import Reservoir
from clary.catalog.builtin.knn import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import csv, records

ROWS, COLUMNS = 600, 6


@pytest.fixture(scope="module")
def table():
    """(rows, 7): a class of three, then features around the class's center."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, ROWS)
    features = rng.normal(size=(3, COLUMNS))[labels] * 2 + rng.normal(size=(ROWS, COLUMNS))
    return np.column_stack([labels, features]).astype(np.float32).round(3)


def job(tmp_path, table, hyperparameters=None, channels=None, **options):
    given = {"k": "5", "feature_dim": str(COLUMNS), "predictor_type": "classifier", "sample_size": "500"}
    given = {name: value for name, value in (given | (hyperparameters or {})).items() if value is not None}
    channels = channels or {"train": {"a.csv": csv.format_rows(table[:500])}, "test": {"b.csv": csv.format_rows(table[500:])}}
    return lay_out(tmp_path, given, channels, **options)


def hosted(tmp_path, table, hyperparameters=None, **options):
    opt_ml = job(tmp_path, table, hyperparameters, **options)
    train(opt_ml)
    return opt_ml / "model"


def ask(model, body, content_type="text/csv", accept=""):
    (response,) = model.invoke([InferenceRequest(body, content_type, accept)])
    return response


def test_the_artifact_is_an_index_labels_and_a_description(tmp_path, table):
    directory = hosted(tmp_path, table)
    assert sorted(path.name for path in directory.iterdir()) == ["model_algo-1", "model_algo-1.json", "model_algo-1.labels"]
    index = faiss.read_index(str(directory / "model_algo-1"))
    np.testing.assert_array_equal(index.reconstruct_n(0, 500), table[:500, 1:])
    np.testing.assert_array_equal(np.fromfile(directory / "model_algo-1.labels", np.float32), table[:500, 0])
    description = json.loads((directory / "model_algo-1.json").read_text())
    assert description["k"] == 5
    assert description["predictor_type"] == "classifier"
    assert description["dimension_reduction"] is None
    assert description["normalize"] is False
    assert description["version"]


@pytest.mark.parametrize(
    "hyperparameters",
    [
        {},
        {"predictor_type": "regressor", "index_metric": "COSINE"},
        {"index_type": "faiss.IVFFlat", "index_metric": "INNER_PRODUCT", "faiss_index_ivf_nlists": "4"},
        {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "4", "faiss_index_ivf_nlists": "2"},
        {"dimension_reduction_type": "sign", "dimension_reduction_target": "4"},
        {"dimension_reduction_type": "fjlt", "dimension_reduction_target": "3", "feature_dim": "auto"},
    ],
    ids=str,
)
def test_the_endpoint_answers_as_the_estimator(tmp_path, table, hyperparameters):
    model = load(hosted(tmp_path, table, hyperparameters), {})
    estimator = KNN(
        5,
        predictor_type=hyperparameters.get("predictor_type", "classifier"),
        index_type=hyperparameters.get("index_type", "faiss.Flat").removeprefix("faiss."),
        index_metric=hyperparameters.get("index_metric", "L2"),
        ivf_nlists=int(hyperparameters.get("faiss_index_ivf_nlists", 1)),
        pq_m=int(hyperparameters.get("faiss_index_pq_m", 1)),
        dimension_reduction_type=hyperparameters.get("dimension_reduction_type"),
        dimension_reduction_target=int(hyperparameters.get("dimension_reduction_target", 0)) or None,
    ).fit(table[:500, 1:], table[:500, 0])
    answers = json.loads(ask(model, csv.format_rows(table[500:, 1:])).body)["predictions"]
    np.testing.assert_allclose([row["predicted_label"] for row in answers], estimator.predict(table[500:, 1:]))


def test_metric_lines_are_those_of_the_declaration(tmp_path, table, capfd):
    classifier = hosted(tmp_path / "classifier", table)
    hosted(tmp_path / "regressor", table, {"predictor_type": "regressor"})
    log = capfd.readouterr().out
    found = {metric.name: re.findall(metric.regex, log) for metric in ALGORITHM.metrics}
    assert all(found.values())
    answers = json.loads(ask(load(classifier, {}), csv.format_rows(table[500:, 1:])).body)["predictions"]
    right = np.mean([row["predicted_label"] for row in answers] == table[500:, 0])
    assert float(found["test:accuracy"][0]) == pytest.approx(right)
    assert f"#test_score (algo-1) : ('accuracy', {float(right)!r})" in log
    assert "('macro_f_1.000', " in log
    assert float(found["test:mse"][0]) > 0


def test_answers_in_every_format(tmp_path, table):
    model = load(hosted(tmp_path, table, {"k": "2"}), {})
    rows = table[:2, 1:]
    estimator = KNN(2).fit(table[:500, 1:], table[:500, 0])
    distances, places = estimator.nearest(rows)
    labels = table[places, 0]
    plain = [{"predicted_label": float(label)} for label in estimator.predict(rows)]
    verbose = [
        one | {"distances": d, "labels": near} for one, d, near in zip(plain, distances.tolist(), labels.tolist(), strict=True)
    ]
    body = csv.format_rows(rows)
    assert ask(model, body).body == orjson.dumps({"predictions": plain})
    assert ask(model, body, accept="application/json; verbose=true").body == orjson.dumps({"predictions": verbose})
    assert ask(model, body, accept="application/jsonlines;verbose=true").body == b"".join(
        orjson.dumps(one) + b"\n" for one in verbose
    )
    assert ask(model, body, accept="text/csv").body == "".join(f"{one['predicted_label']}\n" for one in plain).encode()
    instances = {"instances": [{"features": row} for row in rows.tolist()]}
    assert ask(model, orjson.dumps(instances), "application/json").body == orjson.dumps({"predictions": plain})
    recordio = ask(
        model, records.write(rows), "application/x-recordio-protobuf", "application/x-recordio-protobuf;verbose=true"
    )
    assert recordio.content_type == "application/x-recordio-protobuf"
    for name in (b"predicted_label", b"distances", b"labels"):
        assert recordio.body.count(name) == 2
    assert distances[0].tobytes() in recordio.body


def test_an_edited_description_is_honoured(tmp_path, table):
    directory = hosted(tmp_path, table)
    path = directory / "model_algo-1.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"k": 9, "predictor_type": "regressor"}))
    expected = KNN(9, predictor_type="regressor").fit(table[:500, 1:], table[:500, 0]).predict(table[500:, 1:])
    answers = json.loads(ask(load(directory, {}), csv.format_rows(table[500:, 1:])).body)["predictions"]
    np.testing.assert_allclose([row["predicted_label"] for row in answers], expected)


def test_a_description_as_short_as_the_contract_s_is_enough(tmp_path, table):
    directory = hosted(tmp_path, table)
    path = directory / "model_algo-1.json"
    path.write_text(json.dumps({"k": 3, "predictor_type": "classifier", "version": "1.0"}))
    assert ask(load(directory, {}), csv.format_rows(table[500:, 1:])).status == 200


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: (d / "model_algo-1.json").unlink(), "no model_algo-1.json"),
        (lambda d: (d / "model_algo-1.labels").unlink(), "no model_algo-1.labels"),
        (lambda d: (d / "model_algo-1").write_bytes(b"junk"), "no FAISS index"),
        (lambda d: (d / "model_algo-1.labels").write_bytes(b"\0" * 8), "500 vectors and 2 labels"),
        (lambda d: (d / "model_algo-1.json").write_text('{"k": 501, "predictor_type": "classifier"}'), "lower k"),
        (lambda d: (d / "model_algo-1.json").write_text('{"k": 5, "predictor_type": "oracle"}'), "predictor_type='oracle'"),
        (lambda d: (d / "model_algo-1.json").write_text("[1, 2"), "does not fit"),
    ],
)
def test_a_spoiled_artifact_is_named(tmp_path, table, spoil, words):
    directory = hosted(tmp_path, table)
    spoil(directory)
    with pytest.raises(ValueError, match=words):
        load(directory, {})


@pytest.mark.parametrize("mode", ["File", "Pipe"])
def test_records_are_read_in_both_modes(tmp_path, table, mode):
    data = records.write(table[:500, 1:], table[:500, 0])
    opt_ml = job(tmp_path, table, channels={"train": {"a.pbr": data}}, content_type=None, mode="File")
    if mode == "Pipe":
        config = opt_ml / "input/config/inputdataconfig.json"
        config.write_text(json.dumps({"train": {"TrainingInputMode": "Pipe"}}))
        (opt_ml / "input/data/train/a.pbr").rename(opt_ml / "input/data/train_0")
    train(opt_ml)
    assert np.fromfile(opt_ml / "model/model_algo-1.labels", np.float32).tolist() == table[:500, 0].tolist()


def test_the_sample_is_as_large_as_asked(tmp_path, table):
    directory = hosted(tmp_path, table, {"sample_size": "50"})
    index = faiss.read_index(str(directory / "model_algo-1"))
    assert index.ntotal == 50
    rows = {tuple(row) for row in table[:500, 1:]}
    assert all(tuple(row) in rows for row in index.reconstruct_n(0, 50))


@pytest.mark.parametrize(
    ("hyperparameters", "words"),
    [
        ({"k": None}, "'k' is a required property"),
        ({"k": "0"}, "hyperparameter k"),
        ({"k": "501"}, "lower k"),
        ({"neighbours": "3"}, "Additional properties are not allowed"),
        ({"feature_dim": "7"}, "6 features where feature_dim is 7"),
        ({"index_type": "faiss.IVFPQ"}, "needs faiss_index_pq_m"),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "5"}, "faiss_index_pq_m"),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "2", "index_metric": "COSINE"}, "use L2"),
        ({"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": "501"}, "ask for fewer lists"),
        ({"dimension_reduction_type": "sign"}, "go together"),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": "6"}, r"must be below feature_dim"),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": "6", "feature_dim": "auto"}, "must be below"),
    ],
)
def test_hyperparameters_that_do_not_fit_are_named(tmp_path, table, hyperparameters, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, table, hyperparameters))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"1,2,x,4,5,6,7\n", "a.csv, row 1, column 3: 'x'"),
        (b"1,2,3,4,5,6,7\n1,2,3\n", "a.csv, row 2 has 3 columns"),
        (b"1,2,nan,4,5,6,7\n", "a.csv, row 1: feature 1 is missing"),
        (b",2,3,4,5,6,7\n", "the label is nan"),
        (b"", "No data in train channel"),
    ],
)
def test_bad_rows_are_named(tmp_path, table, data, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, table, channels={"train": {"a.csv": data}}))


@pytest.mark.parametrize(("body", "status"), [(b"1,2\n", 400), (b"1,2,3,4,5,x\n", 400), (b"", 400), (b"1,2,3,4,5,nan\n", 400)])
def test_bad_requests_are_refused(tmp_path, table, body, status):
    model = load(hosted(tmp_path, table), {})
    good = csv.format_rows(table[:3, 1:])
    responses = model.invoke([InferenceRequest(each, "text/csv") for each in (good, body, good)])
    assert [response.status for response in responses] == [200, status, 200]
    assert responses[1].body


def test_two_hosts_draw_one_sample(tmp_path):
    """The leader gets as many rows of each host as a sample of all rows has on average."""
    links = socket.socketpair()
    clusters = [Cluster(0, ("algo-1", "algo-2"), {1: links[0]}), Cluster(1, ("algo-1", "algo-2"), {0: links[1]})]
    samples = []
    for host, rows in enumerate((100, 300)):
        kept = Reservoir(200, host)
        kept.add(np.full((rows, 2), host, dtype=np.float32), np.full(rows, host, dtype=float))
        samples.append(kept.sample())
    other = threading.Thread(target=_gathered, args=(samples[1], clusters[1], 200))
    other.start()
    merged = _gathered(samples[0], clusters[0], 200)
    other.join()
    assert merged.features.shape == (200, 2)
    np.testing.assert_array_equal(merged.features[:, 0], merged.labels)
    assert 30 < (merged.labels == 0).sum() < 70  # hypergeometric: 50, standard deviation 4.3
