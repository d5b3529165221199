"""Selectable content: what `SAGEMAKER_INFERENCE_OUTPUT` puts into the answers of the XGBoost serve program."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import xgboost

from clary.algorithms.hosted.xgboost import load
from clary.core.inference import InferenceRequest
from clary.formats import csv, protobuf, recordio

X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32).round(2)
BODY = csv.format_rows(X[:3])
EVERY = "predicted_label,labels,probability,probabilities,raw_score,raw_scores,predicted_score"


@pytest.fixture(scope="module")
def boosters():
    labels = {
        "binary:logistic": X[:, 0] > 0,
        "binary:logitraw": X[:, 0] > 0,
        "binary:hinge": X[:, 0] > 0,
        "multi:softprob": np.digitize(X[:, 0], [-0.5, 0.5]),
        "multi:softmax": np.digitize(X[:, 0], [-0.5, 0.5]),
        "reg:squarederror": X[:, 0] * 2,
        "count:poisson": np.abs(X[:, 0]),
    }
    made = {}
    for objective, y in labels.items():
        classes = {"num_class": 3} if objective.startswith("multi") else {}
        made[objective] = xgboost.train({"objective": objective, "nthread": 1} | classes, xgboost.DMatrix(X, y), 4)
    return made


@pytest.fixture
def ask(boosters, tmp_path):
    def answer(objective, keys, accept="application/json", tag="1.7-1", **environment):
        (tmp_path / "xgboost-model").write_bytes(boosters[objective].save_raw("ubj"))
        model = load(tmp_path, {"CLARY_IMAGE_TAG": tag, "SAGEMAKER_INFERENCE_OUTPUT": keys} | environment)
        return model.invoke([InferenceRequest(BODY, "text/csv", accept)])[0]

    return answer


def expected(booster, objective) -> list[dict]:
    """Every key of every row, from the library's predictions."""
    entries = []
    for row in booster.inplace_predict(X[:3]).tolist():
        if objective == "multi:softprob":
            label = int(np.argmax(row))
            entries.append(
                {"predicted_label": label, "labels": [0, 1, 2], "probability": max(row), "probabilities": row}
                | {"raw_score": max(row), "raw_scores": row}
            )
            continue
        label = {"binary:logistic": row > 0.5, "binary:logitraw": row > 0}.get(objective, row)
        classes = [0, 1, 2] if objective == "multi:softmax" else [0, 1]
        entry = {"predicted_label": label, "labels": classes, "raw_score": row, "raw_scores": [1 - row, row]}
        if objective == "binary:logistic":
            entry |= {"probability": row, "probabilities": [1 - row, row]}
        entries.append({"predicted_score": row} if objective == "reg:squarederror" else entry)
    return entries


@pytest.mark.parametrize(
    "objective",
    ["binary:logistic", "binary:logitraw", "binary:hinge", "multi:softprob", "multi:softmax", "reg:squarederror"],
)
@pytest.mark.parametrize("tag", ["1.0-1", "1.2-2", "3.0-5"])
def test_every_key_of_every_objective(ask, boosters, objective, tag):
    reply = ask(objective, EVERY, tag=tag)
    assert (reply.status, reply.content_type) == (200, "application/json")
    predictions = json.loads(reply.body)["predictions"]
    wanted = expected(boosters[objective], objective)
    assert [{key: value for key, value in entry.items() if value == value} for entry in predictions] == wanted
    for entry in predictions:
        assert entry.keys() == set(EVERY.split(","))
        assert all(math.isnan(entry[key]) for key in entry.keys() - wanted[0].keys())


def test_csv_has_the_asked_order_quoted_lists_and_no_last_newline(ask, boosters):
    first, *_ = expected(boosters["binary:logistic"], "binary:logistic")
    reply = ask("binary:logistic", "probabilities, Predicted_Label,predicted_score", "text/csv")
    lines = reply.body.decode().split("\n")
    assert len(lines) == 3
    assert lines[0] == f'"{first["probabilities"]}",{int(first["predicted_label"])},nan'
    assert ask("binary:logistic", "probability", "*/*").content_type == "text/csv"
    assert ask("binary:logistic", "probability", "text/csv", SAGEMAKER_BATCH="true").body.endswith(b"\n")


def test_json_lines_have_a_dictionary_a_line(ask, boosters):
    reply = ask("multi:softprob", "predicted_label,probabilities", "application/jsonlines")
    entries = [json.loads(line) for line in reply.body.decode().splitlines()]
    wanted = expected(boosters["multi:softprob"], "multi:softprob")
    assert entries == [{key: entry[key] for key in ("predicted_label", "probabilities")} for entry in wanted]
    assert reply.body.endswith(b"}\n")


def labels_of(payload: bytes) -> dict[str, np.ndarray]:
    """The label map of a record, by hand."""
    found = {}
    for number, _, start, end in protobuf.fields(payload, 0, len(payload)):
        assert number == 2
        (_, _, *name), (_, _, *value) = protobuf.fields(payload, start, end)
        ((kind, _, *tensor),) = protobuf.fields(payload, *value)
        assert kind == 2
        ((_, _, *packed),) = protobuf.fields(payload, *tensor)
        found[payload[slice(*name)].decode()] = np.frombuffer(payload[slice(*packed)], "<f4")
    return found


def test_records_have_a_tensor_per_key(ask, boosters):
    reply = ask("binary:logistic", "probabilities,predicted_label", "application/x-recordio-protobuf")
    records = [labels_of(payload) for payload in recordio.payloads(reply.body, "answer")]
    for record, wanted in zip(records, expected(boosters["binary:logistic"], "binary:logistic"), strict=True):
        assert record.keys() == {"predicted_label", "probabilities"}
        np.testing.assert_allclose(record["probabilities"], wanted["probabilities"], rtol=1e-6)
        assert record["predicted_label"].tolist() == [wanted["predicted_label"]]


def test_an_objective_without_selectable_content_is_an_error_of_the_request(ask):
    reply = ask("count:poisson", "predicted_score")
    assert (reply.status, reply.body) == (
        500,
        b"Objective `count:poisson` unsupported for selectable inference predictions.",
    )


def test_an_accept_that_no_image_knows_is_refused(ask):
    assert ask("binary:logistic", "probability", "image/png").status == 406


def test_images_before_1_0_do_not_know_the_variable_and_say_so(ask, boosters, capfd):
    reply = ask("binary:logistic", "probability", "text/csv", tag="0.90-2")
    assert reply.body.decode() == ",".join(map(str, boosters["binary:logistic"].inplace_predict(X[:3]).tolist()))
    assert "SAGEMAKER_INFERENCE_OUTPUT has no effect in images before 1.0" in capfd.readouterr().out


def test_keys_that_mean_nothing_are_named_in_the_log(ask, capfd):
    ask("reg:squarederror", "predicted_score,probability")
    assert "SAGEMAKER_INFERENCE_OUTPUT: probability means nothing for reg:squarederror" in capfd.readouterr().out
