"""Channels: which files count, in which order, and that files, FIFOs and memory look the same."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from clary.formats import tables
from clary.formats.channel import Channel, data_files
from clary.formats.errors import FormatError

CSV = tables.csv_reader()


def features(channel):
    return channel.load().features.tolist()


def test_files_are_read_in_the_order_of_their_names_without_hidden_ones(tmp_path):
    for name, text in {"b.csv": "0,2\n", "a.csv": "1,1\n", ".c": "0,3\n", "_SUCCESS": "", "x/y/z/d.csv": "1,4\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "1/2/3/4").mkdir(parents=True)
    (tmp_path / "1/2/3/4/deep.csv").write_text("0,5\n")
    assert features(Channel.of_directory(tmp_path, CSV)) == [[1], [2], [4]]
    assert [path.name for path in data_files(tmp_path)] == ["a.csv", "b.csv", "d.csv"]


def test_a_channel_of_files_can_be_read_again(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    channel = Channel.of_directory(tmp_path, CSV)
    assert features(channel) == features(channel) == [[2]]


def test_an_empty_channel_has_no_rows(tmp_path):
    assert Channel.of_directory(tmp_path, CSV).load() is None
    assert Channel.of_directory(tmp_path / "nowhere", CSV).load() is None


def test_memory_is_a_channel():
    assert features(Channel.of_bytes(b"1,2\n3,4\n", CSV)) == [[2], [4]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_a_pipe_goes_on_with_the_next_epoch(tmp_path):
    def feed():
        for epoch in range(2):
            (tmp_path / f"train_{epoch}").write_text(f"1,{epoch}\n" * 3)

    for epoch in range(2):
        os.mkfifo(tmp_path / f"train_{epoch}")
    feeder = threading.Thread(target=feed)
    feeder.start()
    channel = Channel.of_pipe(tmp_path / "train", CSV)
    assert features(channel) == [[0]] * 3
    assert features(channel) == [[1]] * 3
    feeder.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_files_of_a_directory_may_be_fifos(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    feeder = threading.Thread(target=lambda: (tmp_path / "a.csv").write_text("1,2\n"))
    feeder.start()
    assert features(Channel.of_directory(tmp_path, CSV)) == [[2]]
    feeder.join()


def test_files_must_agree_in_their_columns(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "b.csv").write_text("1,2,3\n")
    with pytest.raises(FormatError, match=r"b\.csv has 2 feature columns where a\.csv has 1"):
        Channel.of_directory(tmp_path, CSV).load()


def test_sparse_files_are_widened_to_the_widest(tmp_path):
    (tmp_path / "a").write_text("1 0:1\n")
    (tmp_path / "b").write_text("0 3:1\n")
    batch = Channel.of_directory(tmp_path, tables.libsvm_reader()).load()
    assert batch.features.toarray().tolist() == [[1, 0, 0, 0], [0, 0, 0, 1]]


def test_columns_are_label_weight_and_features():
    batch = tables.split(np.array([[1, 0.5, 7, 8]], dtype=np.float32), "f", weights=True)
    assert (batch.labels.tolist(), batch.weights.tolist(), batch.features.tolist()) == ([1], [0.5], [[7, 8]])
    unlabelled = tables.split(np.array([[7, 8]], dtype=np.float32), "f", label_columns=0)
    assert (unlabelled.labels, unlabelled.features.tolist()) == (None, [[7, 8]])
    with pytest.raises(FormatError, match="too few"):
        tables.split(np.array([[1.0]], dtype=np.float32), "f")
