"""Batches that wait in a file are the batches that were given."""

from __future__ import annotations

import gc
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from clary.formats.batch import Batch
from clary.formats.spool import Spool


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(0, 2000))
def test_every_batch_comes_back_as_often_as_it_is_asked_for(tmp_path_factory, sizes, room):
    rng = np.random.default_rng(0)
    given_ones = [Batch(rng.normal(size=(rows, 3)).astype(np.float32), rng.normal(size=rows)) for rows in sizes]
    spool = Spool(tmp_path_factory.getbasetemp(), room)
    kept = [spool.keep(batch) for batch in given_ones]
    for _ in range(2):
        for batch, expected in zip(kept, given_ones, strict=True):
            assert (batch.rows, batch.columns) == expected.features.shape
            np.testing.assert_array_equal(batch.features, expected.features)
            np.testing.assert_array_equal(batch.labels, expected.labels)
            assert batch.weights is batch.groups is None


def test_columns_of_a_table_are_stored_without_the_others(tmp_path):
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    batch = Spool(tmp_path, 0).keep(Batch(table[:, 1:], table[:, 0]))
    np.testing.assert_array_equal(batch.features, table[:, 1:])
    assert batch.labels.base is None


def test_sparse_batches_and_small_ones_stay_as_they_are(tmp_path):
    sparse, small = Batch(csr_matrix(np.eye(3, dtype=np.float32))), Batch(np.ones((2, 2), np.float32))
    spool = Spool(tmp_path, 16)
    assert spool.keep(sparse) is sparse
    assert spool.keep(small) is small
    assert spool.keep(small) is not small


def test_the_file_has_no_name_and_goes_with_its_batches(tmp_path):
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    before = len(os.listdir("/proc/self/fd"))
    spool = Spool(tmp_path, 0)
    batch = spool.keep(Batch(np.ones((2, 2), np.float32)))
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir("/proc/self/fd")) == before + 1
    del spool, batch
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
