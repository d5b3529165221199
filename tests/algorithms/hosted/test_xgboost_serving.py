"""The XGBoost serve program: the replies of every image version, and requests that cannot be answered."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xgboost
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.algorithms.hosted.xgboost import load
from clary.core.inference import InferenceRequest
from clary.formats import csv, records

NEW, OLD = "1.7-1", "0.90-2"
CSV, LIBSVM, RECORDS = "text/csv", "text/libsvm", "application/x-recordio-protobuf"
X = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32).round(2)


@pytest.fixture(scope="module")
def boosters():
    labels = {
        "binary:logistic": (X[:, 0] > 0).astype(int),
        "multi:softprob": np.digitize(X[:, 0], [-0.5, 0.5]),
        "multi:softmax": np.digitize(X[:, 0], [-0.5, 0.5]),
        "reg:squarederror": X[:, 0] * 2,
    }
    made = {}
    for objective, y in labels.items():
        classes = {"num_class": 3} if objective.startswith("multi") else {}
        made[objective] = xgboost.train({"objective": objective, "nthread": 1} | classes, xgboost.DMatrix(X, y), 4)
    return made


@pytest.fixture
def serve(boosters, tmp_path):
    def start(objective="binary:logistic", tag=NEW, **environment):
        (tmp_path / "xgboost-model").write_bytes(boosters[objective].save_raw("ubj"))
        return load(tmp_path, {"CLARY_IMAGE_TAG": tag} | environment)

    return start


def ask(model, body, content_type="text/csv", accept=""):
    return model.invoke([InferenceRequest(body, content_type, accept)])[0]


def text(rows) -> bytes:
    return csv.format_rows(np.atleast_2d(rows))


@pytest.mark.parametrize("tag", [NEW, "1.2-1", "3.0-5"])
def test_csv_replies_since_1_2_have_a_row_a_line(serve, boosters, tag):
    reply = ask(serve(tag=tag), text(X[:2]))
    expected = boosters["binary:logistic"].inplace_predict(X[:2]).tolist()
    assert reply.body.decode() == f"{expected[0]}\n{expected[1]}\n"
    assert reply.content_type == "text/csv; charset=utf-8"


@pytest.mark.parametrize("tag", [OLD, "1.0-1", "1", "latest"])
def test_csv_replies_before_1_2_are_one_line_whatever_is_accepted(serve, boosters, tag):
    expected = boosters["binary:logistic"].inplace_predict(X[:2]).tolist()
    for accept in ("", "application/json", "image/png"):
        reply = ask(serve(tag=tag), text(X[:2]), accept=accept)
        assert (reply.status, reply.body.decode()) == (200, f"{expected[0]},{expected[1]}")


def test_probabilities_of_classes_have_a_form_per_version(serve, boosters):
    expected = boosters["multi:softprob"].inplace_predict(X[:2]).tolist()
    assert ask(serve("multi:softprob"), text(X[:2])).body.decode() == "".join(f"{a},{b},{c}\n" for a, b, c in expected)
    assert ask(serve("multi:softprob", OLD), text(X[:2])).body.decode() == f"{expected[0]},{expected[1]}"
    multi_model = serve("multi:softprob", SAGEMAKER_MULTI_MODEL="true")
    assert ask(multi_model, text(X[:2])).body.decode() == f"{expected[0]},{expected[1]}"


@pytest.mark.parametrize("tag", [NEW, OLD])
def test_batch_transform_has_a_row_a_line_whatever_is_accepted(serve, boosters, tag):
    expected = boosters["multi:softprob"].inplace_predict(X[:2]).tolist()
    reply = ask(serve("multi:softprob", tag, SAGEMAKER_BATCH="True"), text(X[:2]), accept="application/json")
    assert reply.body.decode() == f"{expected[0]}\n{expected[1]}\n"


def test_json_replies(serve, boosters):
    scores = boosters["binary:logistic"].inplace_predict(X[:2]).tolist()
    reply = ask(serve(), text(X[:2]), accept="application/json; charset=utf-8")
    assert json.loads(reply.body) == {"predictions": [{"score": score} for score in scores]}
    assert reply.content_type == "application/json"
    default = serve(SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT="application/json")
    assert ask(default, text(X[:2]), accept="*/*").body == reply.body
    classes = boosters["multi:softprob"].inplace_predict(X[:1]).tolist()
    document = json.loads(ask(serve("multi:softprob"), text(X[:1]), accept="application/json").body)
    assert document == {"predictions": [{"score": classes[0]}]}


def libsvm(rows, first_index=0) -> bytes:
    return "\n".join(" ".join(f"{column + first_index}:{value}" for column, value in enumerate(row)) for row in rows).encode()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", text(X[:3])),
        ("text/csv; charset=utf-8", text(X[:3]).strip()),
        ("", text(X[:3])),
        ("text/csv", text(X[:3]).replace(b",", b";")),
        ("text/libsvm", libsvm(X[:3])),
        ("text/x-libsvm", b"\n".join(b"1 " + line for line in libsvm(X[:3]).split(b"\n"))),
        ("text/libsvm", libsvm(X[:3], first_index=1)),
        ("application/x-recordio-protobuf", records.write(X[:3])),
        ("application/x-recordio-protobuf", records.write(csr_matrix(X[:3]))),
        ("application/x-recordio-protobuf", records.write(X[:3], np.zeros(3))),
    ],
)
def test_every_format_gives_the_same_predictions(serve, boosters, content_type, body):
    reply = ask(serve(), body, content_type)
    assert list(map(float, reply.body.split())) == boosters["binary:logistic"].inplace_predict(X[:3]).tolist()


def test_blank_cells_and_absent_columns_are_missing(serve, boosters):
    row = X[:1].copy()
    row[0, 1] = np.nan
    expected = boosters["binary:logistic"].inplace_predict(row).tolist()[0]
    assert float(ask(serve(), text(row)).body) == expected
    last_missing = X[:1].copy()
    last_missing[0, 3] = np.nan
    expected = boosters["binary:logistic"].inplace_predict(last_missing).tolist()[0]
    for body, content_type in ((text(X[:1, :3]), "text/csv"), (libsvm(X[:1, :3]), "text/libsvm")):
        assert float(ask(serve(), body, content_type).body) == expected


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"", CSV, "", 204, ""),
        (b"1,2", CSV, "", 400, "Feature size of csv inference data 2 is not consistent with feature size of trained model 4."),
        (b"1,2,3,4,5", CSV, "", 400, "Feature size of csv inference data 5 is not consistent"),
        (records.write(X[:1, :2]), RECORDS, "", 400, "Feature size of recordio-protobuf inference data 2 is not consistent"),
        (
            b"0:1 9:1",
            LIBSVM,
            "",
            400,
            "Feature size of libsvm inference data 10 is larger than feature size of trained model 4",
        ),
        (b"1,two,3,4", CSV, "", 415, "Loading csv data failed with Exception, please ensure data is in csv format"),
        (b"1 2 x:3", LIBSVM, "", 415, "Loading libsvm data failed with Exception"),
        (b"junk", RECORDS, "", 415, "Loading recordio-protobuf data failed with Exception"),
        (b"1,2,3,4", "application/json", "", 415, "application/json is not an accepted ContentType"),
        (b"1,2,3,4", CSV, "image/png", 406, "Accept type image/png is not supported"),
        (b"1,2,3,4", CSV, "application/jsonlines", 500, "needs selectable content: set SAGEMAKER_INFERENCE_OUTPUT"),
        (b"1,2,3,4\n" * 900_000, CSV, "", 413, "exceeds the capacity limit"),
    ],
)
def test_requests_that_cannot_be_answered_have_the_container_s_status(serve, body, content_type, accept, status, words):
    reply = ask(serve(), body, content_type, accept)
    assert reply.status == status
    assert words in reply.body.decode()


def test_one_bad_request_does_not_spoil_its_neighbours(serve, boosters):
    bodies = [text(X[:1]), b"x", text(X[1:4]), b"1,2", libsvm(X[4:5]), text(X[5:6])]
    types = ["text/csv"] * 4 + ["text/libsvm", "text/csv"]
    replies = serve().invoke([InferenceRequest(body, kind) for body, kind in zip(bodies, types, strict=True)])
    assert [reply.status for reply in replies] == [200, 415, 200, 400, 200, 200]
    answered = [float(score) for reply in replies if reply.status == 200 for score in reply.body.split()]
    assert answered == boosters["binary:logistic"].inplace_predict(X[:6]).tolist()


@given(st.binary(max_size=60), st.sampled_from(["text/csv", "text/libsvm", "application/x-recordio-protobuf", "?"]))
def test_any_bytes_get_an_answer(any_model, body, content_type):
    assert ask(any_model, body, content_type).status in (200, 204, 400, 415)


@pytest.fixture(scope="module")
def any_model(boosters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    (folder / "xgboost-model").write_bytes(boosters["binary:logistic"].save_raw("ubj"))
    return load(folder, {"CLARY_IMAGE_TAG": NEW})


def test_several_models_are_averaged_and_classes_put_to_the_vote(boosters, tmp_path):
    opposite = xgboost.train({"objective": "reg:squarederror", "nthread": 1}, xgboost.DMatrix(X, -X[:, 0]), 4)
    for name, booster in {"a": boosters["reg:squarederror"], "b": opposite}.items():
        (tmp_path / name).write_bytes(booster.save_raw("ubj"))
    parts = [booster.inplace_predict(X[:3]) for booster in (boosters["reg:squarederror"], opposite)]
    averaged = ask(load(tmp_path, {}), text(X[:3]))
    assert list(map(float, averaged.body.split())) == np.mean(parts, axis=0).tolist()
    first = ask(load(tmp_path, {"SAGEMAKER_INFERENCE_ENSEMBLE": "false"}), text(X[:3]))
    assert list(map(float, first.body.split())) == parts[0].tolist()

    (tmp_path / "votes").mkdir()
    for name in "abc":
        model = boosters["multi:softmax"] if name != "c" else xgboost.train(
            {"objective": "multi:softmax", "num_class": 3, "nthread": 1}, xgboost.DMatrix(X, np.zeros(200)), 2
        )  # fmt: skip
        (tmp_path / "votes" / name).write_bytes(model.save_raw("ubj"))
    voted = ask(load(tmp_path / "votes", {}), text(X[:9]))
    assert list(map(float, voted.body.split())) == boosters["multi:softmax"].inplace_predict(X[:9]).tolist()


def test_rounds_after_the_best_one_do_not_count(boosters, tmp_path):
    booster = boosters["reg:squarederror"].copy()
    booster.set_attr(best_iteration="1")
    (tmp_path / "xgboost-model").write_bytes(booster.save_raw("ubj"))
    expected = booster.inplace_predict(X[:2], iteration_range=(0, 2)).tolist()
    model = load(tmp_path, {})
    assert list(map(float, ask(model, text(X[:2])).body.split())) == expected
    assert list(map(float, ask(model, libsvm(X[:2]), "text/libsvm").body.split())) == expected


def test_execution_parameters_are_the_container_s(serve):
    parameters = serve().execution_parameters()
    assert parameters["BatchStrategy"] == "MULTI_RECORD"
    assert parameters["MaxPayloadInMB"] == 6
    assert parameters["MaxConcurrentTransforms"] >= 1
