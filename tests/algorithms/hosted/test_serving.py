"""Requests and answers of the first-party algorithms, byte for byte."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from scipy.sparse import csr_matrix, issparse

from clary.algorithms.hosted.serving import RecordModel
from clary.core.inference import InferenceRequest
from clary.formats import protobuf, recordio, records

ROWS = np.array([[1.5, 2, 0], [4, 0, 6]], dtype=np.float32)
FRAMES = records.write(ROWS)
RECORDS = "application/x-recordio-protobuf"


def total(rows):
    """A model of one result for each kind: a number, a whole number, a list that only verbose answers have."""
    dense = rows.toarray() if issparse(rows) else rows
    return {"total": dense.sum(1), "place": dense.argmax(1).astype(np.float32), "parts": dense[:, :2]}


@pytest.fixture(params=[False, True], ids=["dense", "sparse"])
def model(request):
    return RecordModel(total, columns=3, sparse=request.param, integers=("place",), verbose_only=("parts",))


def ask(model, body, content_type, accept="", **headers):
    return model.invoke([InferenceRequest(body, content_type, accept, headers)])[0]


BODIES = {
    "text/csv": b"1.5,2,0\n4,0,6\n",
    "text/csv; label_size=0": b"1.5,2,0\n4,0,6",
    "application/json": b'{"instances":[{"features":[1.5,2,0]},{"data":{"features":{"values":[4,0,6]}}}]}',
    "application/json; charset=utf-8": (
        b'{"instances":[{"data":{"features":{"keys":[0,1],"shape":[3],"values":[1.5,2]}}},'
        b'{"data":{"features":{"keys":[0,2],"shape":[3],"values":[4,6]}}}]}'
    ),
    "application/jsonlines": b'{"features":[1.5,2,0]}\n{"features":[4,0,6]}\n',
    RECORDS: FRAMES,
    f"{RECORDS} ": records.write(csr_matrix(ROWS)),
}


@pytest.mark.parametrize("content_type", BODIES)
def test_every_content_type_is_read_and_json_is_answered(model, content_type):
    response = ask(model, BODIES[content_type], content_type.strip(), "application/json")
    assert response.status == 200
    assert response.body == b'{"predictions":[{"total":3.5,"place":1},{"total":10.0,"place":2}]}'
    assert response.content_type == "application/json"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", b'{"predictions":[{"total":3.5,"place":1},{"total":10.0,"place":2}]}'),
        ("*/*", b'{"predictions":[{"total":3.5,"place":1},{"total":10.0,"place":2}]}'),
        ("application/jsonlines", b'{"total":3.5,"place":1}\n{"total":10.0,"place":2}\n'),
        ("text/csv", b"3.5,1\n10.0,2\n"),
        (
            "application/jsonlines; verbose=true",
            b'{"total":3.5,"place":1,"parts":[1.5,2.0]}\n{"total":10.0,"place":2,"parts":[4.0,0.0]}\n',
        ),
        (
            "application/jsonlines;verbose=True",
            b'{"total":3.5,"place":1,"parts":[1.5,2.0]}\n{"total":10.0,"place":2,"parts":[4.0,0.0]}\n',
        ),
    ],
)
def test_the_answer_is_what_accept_says(model, accept, expected):
    assert ask(model, BODIES["text/csv"], "text/csv", accept).body == expected


def test_records_are_answered_with_records_of_float32_labels(model):
    response = ask(model, FRAMES, RECORDS)
    assert response.content_type == RECORDS
    payloads = list(recordio.payloads(response.body))
    assert [labels(payload) for payload in payloads] == [
        {"total": (3.5,), "place": (1.0,)},
        {"total": (10.0,), "place": (2.0,)},
    ]


def test_what_records_call_themselves_comes_back(model):
    frames = [payload + protobuf.encode_field(3, b"id-%d" % n) for n, payload in enumerate(recordio.payloads(FRAMES))]
    response = ask(model, recordio.write(frames), RECORDS)
    uids = [
        payload[start:end]
        for payload in recordio.payloads(response.body)
        for n, _, start, end in protobuf.fields(payload, 0, len(payload))
        if n == 3
    ]
    assert uids == [b"id-0", b"id-1"]


def test_waiting_requests_are_answered_together_and_a_bad_one_spoils_none():
    calls = []
    model = RecordModel(lambda rows: calls.append(len(rows)) or {"first": rows[:, 0]}, columns=3)
    requests = [InferenceRequest(body, "text/csv") for body in (b"1,2,3\n", b"4,5\n", b"7,8,9\n10,11,12\n", b"x")]
    responses = model.invoke(requests)
    assert calls == [3]
    assert [response.status for response in responses] == [200, 400, 200, 400]
    assert json.loads(responses[2].body) == {"predictions": [{"first": 7.0}, {"first": 10.0}]}


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "status", "words"),
    [
        (b"1,2\n", "text/csv", "", 400, "2 features where the model has 3"),
        (b"a,b,c\n", "text/csv", "", 400, "'a'"),
        (b"1,,3\n", "text/csv", "", 400, "not a finite number"),
        (b"", "text/csv", "", 400, "no rows"),
        (b"{", "application/json", "", 400, "not JSON"),
        (b'{"instances":[]}', "application/json", "", 400, "no rows"),
        (b'{"rows":[]}', "application/json", "", 400, "instances"),
        (b'{"features":[1,2,"x"]}\n', "application/jsonlines", "", 400, "not a number"),
        (b"1,2,3\n", RECORDS, "", 400, "RecordIO"),
        (FRAMES[:-5], RECORDS, "", 400, "cut off"),
        (b"1,2,3\n", "image/png", "", 415, "text/csv"),
        (b"1,2,3\n", "text/csv", "image/png", 406, "application/json"),
    ],
)
def test_bad_requests_are_refused_in_plain_words(model, body, content_type, accept, status, words):
    response = ask(model, body, content_type, accept)
    assert response.status == status
    assert words in response.body.decode()


def labels(payload):
    """Name -> values of a record's label map."""
    found = {}
    for number, _, start, end in protobuf.fields(payload, 0, len(payload)):
        assert number == 2
        entry = {n: payload[a:b] for n, _, a, b in protobuf.fields(payload, start, end)}
        tensor = {n: entry[2][a:b] for n, _, a, b in protobuf.fields(entry[2], 0, len(entry[2]))}
        values = {n: tensor[2][a:b] for n, _, a, b in protobuf.fields(tensor[2], 0, len(tensor[2]))}
        found[entry[1].decode()] = struct.unpack(f"<{len(values[1]) // 4}f", values[1])
    return found
