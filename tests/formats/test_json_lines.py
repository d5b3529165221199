"""JSON requests in every documented shape."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clary.formats import json_lines
from clary.formats.errors import FormatError

DENSE = [{"features": [1.5, 2]}, {"data": {"features": {"values": [3, 4]}}}]
SPARSE = [{"data": {"features": {"keys": [1, 3], "shape": [5], "values": [1, 2]}}}]


def lines(instances):
    return "\n".join(map(json.dumps, instances)).encode()


def test_dense_instances():
    for batch in (json_lines.parse_lines(lines(DENSE)), json_lines.parse_document(json.dumps({"instances": DENSE}).encode())):
        assert batch.features.tolist() == [[1.5, 2], [3, 4]]


def test_sparse_instances():
    assert json_lines.parse_lines(lines(SPARSE)).features.toarray().tolist() == [[0, 1, 0, 2, 0]]


def test_dense_and_sparse_instances_together():
    both = [{"features": [1, 0, 0, 0, 2]}, *SPARSE]
    assert json_lines.parse_lines(lines(both)).features.toarray().tolist() == [[1, 0, 0, 0, 2], [0, 1, 0, 2, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "the request, line 1 is not JSON"),
        (b'{"features": [1]}\n{"features": [1, 2]}', "instances with 1 and 2 features"),
        (b'{"row": [1]}', "instance 1 has no features"),
        (b'{"features": ["x"]}', "a feature that is not a number"),
        (b'{"data": {"features": {"keys": [9], "shape": [5], "values": [1]}}}', "key outside of its shape"),
        (b'{"data": {"features": {"keys": [1, 2], "values": [1]}}}', "do not belong together"),
        (lines(DENSE + SPARSE), "a dense instance of other than 5 features"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(FormatError, match=message):
        json_lines.parse_lines(text)


def test_a_document_needs_instances():
    with pytest.raises(FormatError, match="instances"):
        json_lines.parse_document(b"[]")


KEYS = ["features", "data", "values", "keys", "shape"]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=3))
def test_any_json_is_rows_or_an_error(instances):
    try:
        batch = json_lines.parse_document(json.dumps({"instances": instances}).encode())
    except FormatError:
        return
    assert batch.rows == len(instances)
