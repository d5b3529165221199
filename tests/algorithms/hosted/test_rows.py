"""Rows of a channel: decoded, checked, cut; mistakes named by channel, file and row."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import random as random_sparse
from tests.algorithms.hosted.jobs import lay_out

from clary.algorithms.hosted import rows
from clary.algorithms.hosted.errors import CustomerError
from clary.algorithms.hosted.job import TrainingJob
from clary.catalog.algorithms import Algorithm, Channel
from clary.catalog.hyperparameters import Schema
from clary.formats import csv, records

ALGORITHM = Algorithm(
    name="plain",
    repositories={"plain": {"1": (1,)}},
    runtime="numpy",
    train="",
    serve="",
    hyperparameters=Schema(()),
    metrics=(),
    channels=(Channel("train", True, ("application/x-recordio-protobuf", "text/csv")),),
    inference_content_types=("text/csv",),
)
TABLE = np.arange(60, dtype=np.float32).reshape(20, 3)
LABELS = np.arange(20, dtype=np.float32) % 2


def job(folder, files, content_type="text/csv;label_size=0", mode="File"):
    lay_out(folder, {}, {"train": files}, content_type=content_type, mode=mode)
    return TrainingJob.read(folder, "1")


@pytest.mark.parametrize("size", [1, 3, 7, 20, 50, None])
def test_batches_have_the_asked_size_and_all_rows_in_order(tmp_path, size):
    files = {"a": csv.format_rows(TABLE[:11]), "b": csv.format_rows(TABLE[11:])}
    batches = list(rows.read(job(tmp_path, files), "train", ALGORITHM).batches(size))
    np.testing.assert_array_equal(np.concatenate([batch.features for batch in batches]), TABLE)
    if size:
        assert [batch.rows for batch in batches] == [size] * (20 // size) + ([20 % size] if 20 % size else [])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_sparse_rows_survive_the_cutting(counts, size, seed):
    parts = [random_sparse(count, 5, 0.4, format="csr", dtype=np.float32, random_state=seed) for count in counts]
    whole = np.concatenate([part.toarray() for part in parts])
    cut = list(rows._cut(iter([rows.Batch(part) for part in parts]), size))
    np.testing.assert_array_equal(np.concatenate([batch.features.toarray() for batch in cut]), whole)
    assert all(batch.rows == size for batch in cut[:-1])


def test_labels_come_first_in_csv_and_may_be_ignored(tmp_path):
    table = np.column_stack([LABELS, TABLE])
    read = rows.read(job(tmp_path, {"a": csv.format_rows(table)}, "text/csv"), "train", ALGORITHM, labels="required", columns=3)
    np.testing.assert_array_equal(read.load().labels, LABELS)
    ignored = rows.read(TrainingJob.read(tmp_path, "1"), "train", ALGORITHM)
    assert ignored.load().labels is None


def test_a_channel_without_a_content_type_holds_records(tmp_path):
    read = rows.read(job(tmp_path, {"a": records.write(TABLE, LABELS)}, None), "train", ALGORITHM, labels="optional")
    np.testing.assert_array_equal(read.load().features, TABLE)
    np.testing.assert_array_equal(read.load().labels, LABELS)


def test_sparse_records_come_out_as_asked(tmp_path):
    matrix = random_sparse(9, 6, 0.3, format="csr", dtype=np.float32, random_state=0)
    read = job(tmp_path, {"a": records.write(matrix)}, None)
    dense = rows.read(read, "train", ALGORITHM, columns=6).load().features
    sparse = rows.read(read, "train", ALGORITHM, columns=6, sparse=True).load().features
    np.testing.assert_array_equal(dense, matrix.toarray())
    np.testing.assert_array_equal(sparse.toarray(), matrix.toarray())


def test_text_of_several_epochs_is_decoded_once(tmp_path):
    table = np.column_stack([LABELS, TABLE])
    read = rows.read(job(tmp_path, {"a": csv.format_rows(table)}, "text/csv"), "train", ALGORITHM, labels="required", epochs=3)
    next(read.batches(4))  # an iteration that is given up keeps nothing
    first = read.load()
    (tmp_path / "input/data/train/a").write_bytes(b"gone")
    again = read.load()
    np.testing.assert_array_equal(again.features, first.features)
    np.testing.assert_array_equal(again.labels, first.labels)


def test_each_epoch_of_pipe_mode_is_a_pipe_of_its_own(tmp_path):
    read = rows.read(job(tmp_path, {}, mode="Pipe"), "train", ALGORITHM, epochs=2)
    pipe = tmp_path / "input/data"
    for epoch, part in enumerate((TABLE[:5], TABLE[5:])):
        os.mkfifo(pipe / f"train_{epoch}")
        writer = threading.Thread(target=(pipe / f"train_{epoch}").write_bytes, args=(csv.format_rows(part),))
        writer.start()
        np.testing.assert_array_equal(read.load().features, part)
        writer.join()


@pytest.mark.parametrize(
    ("content", "wanted", "words"),
    [
        (b"1,2,3\n4,5\n", {}, ["train", "part.csv", "row 2", "2 columns"]),
        (b"1,2,3\n4,x,6\n", {}, ["train", "part.csv", "row 2", "column 2", "'x'"]),
        (b"1,2,3\n4,,6\n", {}, ["train", "part.csv", "row 2", "feature 1"]),
        (b"1,2,3\n4,5,inf\n", {}, ["part.csv", "row 2", "feature 2"]),
        (b"1,2,3\n", {"columns": 4}, ["part.csv", "3 features", "feature_dim is 4", "label_size=0"]),
        (b"1,2,3\n", {"columns": 2}, ["part.csv", "3 features", "feature_dim is 2"]),
        (b"", {}, ["No data in train channel"]),
        (b"1,2,3\n", {"labels": "required"}, ["part.csv", "no labels", "label_size=1"]),
    ],
)
def test_what_is_wrong_with_the_data_is_named(tmp_path, content, wanted, words):
    with pytest.raises(CustomerError) as refused:
        rows.read(job(tmp_path, {"part.csv": content}), "train", ALGORITHM, **wanted).load()
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize("label", ["2", "0.5", "-1", ""])
def test_a_label_that_is_no_class_is_named(tmp_path, label):
    content = f"0,1,2\n1,3,4\n{label},5,6\n".encode()
    with pytest.raises(CustomerError, match=r"part\.csv, row 3: the label is .*; it must be a whole number from 0 to 1"):
        rows.read(job(tmp_path, {"part.csv": content}, "text/csv"), "train", ALGORITHM, labels="required", classes=2).load()


@pytest.mark.parametrize("content_type", ["application/json", "text/csv;label_size=2", "text/libsvm"])
def test_a_content_type_that_is_not_read_is_refused(tmp_path, content_type):
    with pytest.raises(CustomerError, match="Channel train"):
        rows.read(job(tmp_path, {"a": b"1\n"}, content_type), "train", ALGORITHM)
