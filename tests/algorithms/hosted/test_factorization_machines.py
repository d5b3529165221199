"""Factorization machines as a hosted job: what it learns, prints, saves and answers, and what it says about mistakes."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix, hstack, random_array
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.factorization_machines import load, train
from clary.algorithms.recommend.parameters import reference_scores
from clary.catalog.builtin.factorization_machines import ALGORITHM
from clary.core.inference import InferenceRequest
from clary.formats import ndarray_list, records

USERS, ITEMS = 30, 40
FEATURES = USERS + ITEMS
RECORDS = "application/x-recordio-protobuf"
FAST = {"epochs": "30", "mini_batch_size": "50", "linear_lr": "0.02", "factors_lr": "0.02", "bias_wd": "0"}


@pytest.fixture(scope="module")
def ratings():
    """(rows, users + items) CSR with a user and an item each, and what the user thinks of it."""
    rng = np.random.default_rng(0)
    user, item = rng.integers(USERS, size=3000), rng.integers(ITEMS, size=3000)
    taste, kind = rng.normal(size=(USERS, 2)), rng.normal(size=(ITEMS, 2))
    values = np.ones(6000, np.float32)
    columns = np.column_stack([user, USERS + item]).ravel()
    rows = csr_matrix((values, columns, np.arange(0, 6001, 2)), (3000, FEATURES))
    return rows, (3 + (taste[user] * kind[item]).sum(axis=1)).astype(np.float32)


def job(path, features, labels, hyperparameters=None, *, tested=True, content_type: str | None = RECORDS, **options) -> Path:
    given = {"feature_dim": str(features.shape[1]), "num_factors": "4", "predictor_type": "regressor"}
    given |= FAST | (hyperparameters or {})
    given = {name: value for name, value in given.items() if value is not None}
    cut = features.shape[0] * 9 // 10
    channels = {"train": {"a.pbr": records.write(features[:cut], labels[:cut])}}
    if tested:
        channels["test"] = {"b.pbr": records.write(features[cut:], labels[cut:])}
    return lay_out(path, given, channels, content_type=content_type, **options)


def arrays_of(opt_ml: Path) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(opt_ml / "model" / "model_algo-1") as archive:
        return ndarray_list.read(archive.read("params"))


def ask(model, body, content_type="application/json", accept=""):
    return model.invoke([InferenceRequest(body, content_type, accept)])[0]


def test_a_regressor_learns_what_users_think(tmp_path, ratings, capfd):
    train(job(tmp_path, *ratings))
    printed = capfd.readouterr().out
    found = {metric.name: re.findall(metric.regex, printed) for metric in ALGORITHM.metrics}
    assert float(found["test:rmse"][0]) < 0.25 < np.std(ratings[1])
    epochs = [float(value) for value in found["train:rmse:epoch"]]
    assert len(epochs) == 30
    assert epochs[-1] < epochs[0]
    assert len(found["train:rmse:batch"]) == 30  # of 54 batches an epoch the first
    assert found["train:progress"][-1] == "100.0"
    assert len(found["train:throughput"]) == 30
    assert "('rmse', " in printed


def test_a_classifier_reports_its_metrics(tmp_path, ratings, capfd):
    rows, opinion = ratings
    train(job(tmp_path, rows, (opinion > 3).astype(np.float32), {"predictor_type": "binary_classifier"}))
    printed = capfd.readouterr().out
    found = {metric.name: re.findall(metric.regex, printed) for metric in ALGORITHM.metrics}
    assert float(found["test:binary_classification_accuracy"][0]) > 0.9
    assert float(found["test:binary_f_beta"][0]) > 0.9
    assert float(found["test:binary_classification_cross_entropy"][0]) < 0.3
    assert len(found["train:binary_f_beta:epoch"]) == 30


def test_the_defaults_are_those_of_the_contract(tmp_path, ratings, capfd):
    missing = dict.fromkeys(FAST)
    train(job(tmp_path, *ratings, missing))
    assert '"factors_lr": "0.0001"' in capfd.readouterr().out
    arrays = arrays_of(tmp_path)
    assert 0.0005 < arrays["arg:v"].std() < 0.002  # normal, sigma 0.001, hardly moved
    assert {name: array.shape for name, array in arrays.items()} == {
        "arg:v": (FEATURES, 4),
        "arg:w1_weight": (FEATURES, 1),
        "arg:w0_weight": (1,),
    }


@pytest.mark.parametrize(
    ("given", "check"),
    [
        ({"factors_init_method": "constant", "factors_init_value": "0.25"}, lambda a: (a["arg:v"] == 0.25).all()),
        ({"linear_init_method": "uniform", "linear_init_scale": "2"}, lambda a: 1.5 < np.abs(a["arg:w1_weight"]).max() <= 2),
        ({"bias_init_method": "constant"}, lambda a: (a["arg:w0_weight"] == 0).all()),
        ({"factors_init_sigma": "3"}, lambda a: 2.5 < a["arg:v"].std() < 3.5),
    ],
)
def test_every_start_is_that_asked_for(tmp_path, ratings, given, check):
    still = {f"{term}_{name}": "0" for term in ("bias", "linear", "factors") for name in ("lr", "wd")}
    train(job(tmp_path, *ratings, still | {"epochs": "1"} | given, tested=False))
    assert check(arrays_of(tmp_path))


def test_sparse_and_dense_records_give_the_same_model(tmp_path, ratings):
    rows, opinion = ratings
    train(job(tmp_path / "sparse", rows, opinion, {"epochs": "2"}))
    train(job(tmp_path / "dense", rows.toarray(), opinion, {"epochs": "2"}))
    for name, array in arrays_of(tmp_path / "sparse").items():
        np.testing.assert_allclose(array, arrays_of(tmp_path / "dense")[name], atol=1e-5)


@pytest.fixture(scope="module")
def regressor(tmp_path_factory, ratings):
    opt_ml = job(tmp_path_factory.mktemp("regressor"), *ratings, tested=False)
    train(opt_ml)
    return load(opt_ml / "model", {}), arrays_of(opt_ml)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, ratings):
    rows, opinion = ratings
    given = {"predictor_type": "binary_classifier"}
    opt_ml = job(tmp_path_factory.mktemp("classifier"), rows, (opinion > 3).astype(np.float32), given, tested=False)
    train(opt_ml)
    return load(opt_ml / "model", {})


def test_every_form_of_a_row_is_answered_alike(regressor, ratings):
    model, arrays = regressor
    row = ratings[0][0].toarray()[0]
    keys = np.flatnonzero(row).tolist()
    (expected,) = reference_scores(row[None], arrays["arg:w0_weight"][0], arrays["arg:w1_weight"][:, 0], arrays["arg:v"])
    dense = {"features": row.tolist()}
    sparse = {"data": {"features": {"keys": keys, "shape": [FEATURES], "values": [1, 1]}}}
    for instance in (dense, {"data": {"features": {"values": row.tolist()}}}, sparse):
        reply = ask(model, json.dumps({"instances": [instance]}).encode())
        assert (reply.status, reply.content_type) == (200, "application/json")
        (prediction,) = json.loads(reply.body)["predictions"]
        assert list(prediction) == ["score"]
        assert prediction["score"] == pytest.approx(expected, abs=1e-5)
        line = ask(model, json.dumps(instance).encode(), "application/jsonlines")
        assert json.loads(line.body) == prediction
    for features in (ratings[0][:1], ratings[0][:1].toarray()):
        reply = ask(model, records.write(features), RECORDS)
        assert reply.body == ask(model, records.write(ratings[0][:1]), RECORDS, RECORDS).body
        assert b"score" in reply.body
        assert b"predicted_label" not in reply.body


def test_a_classifier_answers_score_and_label(classifier, ratings):
    body = json.dumps({"instances": [{"features": row.tolist()} for row in ratings[0][:50].toarray()]}).encode()
    predictions = json.loads(ask(classifier, body).body)["predictions"]
    assert {type(prediction["predicted_label"]) for prediction in predictions} == {int}
    assert all((p["score"] >= 0.5) == p["predicted_label"] for p in predictions)
    assert {p["predicted_label"] for p in predictions} == {0, 1}
    lines = ask(classifier, body, accept="application/jsonlines").body.splitlines()
    assert [json.loads(line) for line in lines] == predictions
    assert b"predicted_label" in ask(classifier, body, accept=RECORDS).body


def test_what_cannot_be_answered_is_refused(regressor):
    model, _ = regressor
    assert ask(model, b"1,0", "text/csv").status == 415
    assert ask(model, b"{}", accept="text/csv").status == 406
    narrow = ask(model, json.dumps({"instances": [{"features": [1, 0]}]}).encode())
    assert (narrow.status, b"70" in narrow.body) == (400, True)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_factors": "0"}, "num_factors"),
        ({"num_factors": None}, "u'num_factors' is a required property"),
        ({"predictor_type": "multiclass"}, "predictor_type"),
        ({"factors_init_method": "zero"}, "factors_init_method"),
        ({"factor_lr": "1"}, r"Additional properties are not allowed \(u'factor_lr' was unexpected\)"),
        ({"feature_dim": "50"}, "rows of 70 features where feature_dim is 50"),
        ({"predictor_type": "binary_classifier"}, "label is .*; it must be a whole number from 0 to 1"),
        ({"linear_lr": "1e30", "factors_lr": "1e30"}, "diverged"),
    ],
)
def test_mistakes_are_named(tmp_path, ratings, given, words):
    with pytest.raises(CustomerError, match=words):
        train(job(tmp_path, *ratings, given))


def test_one_class_is_refused(tmp_path, ratings):
    rows, _ = ratings
    with pytest.raises(CustomerError, match="all labels are 1; a binary_classifier needs rows of both classes"):
        train(job(tmp_path, rows, np.ones(rows.shape[0], np.float32), {"predictor_type": "binary_classifier"}))


def test_csv_is_refused(tmp_path, ratings):
    with pytest.raises(CustomerError, match="text/csv is not supported by factorization-machines"):
        train(job(tmp_path, *ratings, content_type="text/csv"))


def test_records_without_labels_are_refused(tmp_path, ratings):
    opt_ml = job(tmp_path, *ratings)
    (opt_ml / "input/data/train/a.pbr").write_bytes(records.write(ratings[0]))
    with pytest.raises(CustomerError, match=r"a\.pbr has no labels"):
        train(opt_ml)


def test_a_file_that_is_no_model_is_named(tmp_path):
    with pytest.raises(ValueError, match="model_algo-1 at its root"):
        load(tmp_path, {})
    (tmp_path / "model_algo-1").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="model_algo-1 is no factorization machines model"):
        load(tmp_path, {})


def test_a_million_features_cost_what_their_values_cost(tmp_path):
    rng = np.random.default_rng(0)
    wide = random_array((200, 1_000_000), density=2e-6, rng=rng, dtype=np.float32).tocsr()
    rows = csr_matrix(hstack([wide, csr_matrix(np.ones((200, 1), np.float32))]))
    train(job(tmp_path, rows, rng.normal(size=200).astype(np.float32), {"epochs": "1"}, tested=False))
    assert arrays_of(tmp_path)["arg:v"].shape == (1_000_001, 4)
