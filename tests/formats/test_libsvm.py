"""libsvm: agreement with scikit-learn's reader, weights and queries, errors that name the row."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random as random_sparse
from sklearn.datasets import dump_svmlight_file, load_svmlight_file

from clary.formats import libsvm
from clary.formats.errors import FormatError


@given(st.integers(1, 20), st.integers(1, 30), st.integers(0, 1 << 16), st.integers(16, 500))
def test_it_reads_what_scikit_learn_writes_in_blocks_of_any_size(rows, columns, seed, block_bytes):
    X = random_sparse(rows, columns, density=0.3, format="csr", dtype=np.float32, random_state=seed)
    y = np.random.default_rng(seed).integers(0, 3, rows)
    stream = io.BytesIO()
    dump_svmlight_file(X, y, stream, zero_based=True)
    expected, labels = load_svmlight_file(io.BytesIO(stream.getvalue()), zero_based=True, n_features=columns, dtype=np.float32)
    batches = list(libsvm.read(io.BytesIO(stream.getvalue()), "f", block_bytes=block_bytes))
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), labels)
    found = np.zeros((rows, columns), dtype=np.float32)
    start = 0
    for batch in batches:
        found[start : start + batch.rows, : batch.columns] = batch.features.toarray()
        start += batch.rows
    np.testing.assert_array_equal(found, expected.toarray())


def test_weights_and_queries_are_read():
    batch = libsvm.parse(b"1:0.5 qid:3 1:2\n0:2 qid:4 0:1\n")
    assert batch.features.toarray().tolist() == [[0, 2], [1, 0]]
    assert batch.weights.tolist() == [0.5, 2]
    assert batch.groups.tolist() == [3, 4]
    assert batch.labels.tolist() == [1, 0]


def test_comments_and_blank_lines_are_skipped_and_rows_may_be_empty():
    batch = libsvm.parse(b"# made by hand\n1 1:2 # two\n\n0\n")
    assert batch.labels.tolist() == [1, 0]
    assert batch.features.toarray().tolist() == [[0, 2], [0, 0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1 1:2\nyes 1:2\n", "f, row 2: 'yes' is not a label"),
        (b"1 a:2\n", "f, row 1: 'a:2' is not `index:value`"),
        (b"1 1:2 3\n", "f, row 1: '3' is not `index:value`"),
        (b"1 -1:2\n", "f, row 1: '-1:2' is not `index:value`"),
        (b"1 1.5:2\n", "f, row 1: '1.5:2' is not `index:value`"),
        (b"1 1:2:3\n", "f, row 1: '1:2:3' is not `index:value`"),
        (b"1 1:\n0 2:3\n", "f, row 1: '1:' is not `index:value`"),
        (b"1 :2\n", "f, row 1: ':2' is not `index:value`"),
        (b"1,2,3\n", "f, row 1: '1,2,3' is not a label"),
        (b"1:2 1:3\n1 1:2\n", "f: some rows have a weight or qid and some have none"),
    ],
)
def test_mistakes_are_named_with_their_place(text, message):
    with pytest.raises(FormatError, match=f"^{re.escape(message)}"):
        list(libsvm.read(io.BytesIO(text), "f"))


@given(st.text(alphabet="01:. -qid#\n\tx", max_size=60))
def test_any_text_is_rows_or_an_error(text):
    try:
        batch = libsvm.parse(text.encode())
    except FormatError:
        return
    assert batch.rows == len(batch.labels)
