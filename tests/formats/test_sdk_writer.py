"""RecordIO-protobuf exchanged with the AWS SDK that is installed for the journeys, in both directions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from clary.formats import records

SDK = Path(__file__).parents[2] / ".envs" / "sagemaker-v2" / "bin" / "python"
pytestmark = pytest.mark.skipif(not SDK.exists(), reason="the SDK's environment is made by `make test`")

PROGRAM = """
import sys, numpy
from sagemaker.amazon.common import read_records, write_numpy_to_dense_tensor
folder = sys.argv[1]
for name in ("float32", "float64"):
    table = numpy.load(f"{folder}/{name}.npy")
    with open(f"{folder}/{name}.pbr", "wb") as file:
        write_numpy_to_dense_tensor(file, table[:, 1:], table[:, 0])
with open(f"{folder}/ours.pbr", "rb") as file:
    rows = [
        [record.label["values"].float32_tensor.values[0], *record.features["values"].float32_tensor.values]
        for record in read_records(file)
    ]
numpy.save(f"{folder}/read.npy", numpy.array(rows, dtype="float32"))
"""
TABLE = np.random.default_rng(0).normal(size=(500, 7))


@pytest.fixture(scope="module")
def exchanged(tmp_path_factory):
    """A folder in which the SDK has read our records and written its own; importing it takes seconds, so once."""
    folder = tmp_path_factory.mktemp("sdk")
    for name in ("float32", "float64"):
        np.save(folder / f"{name}.npy", TABLE.astype(name))
    ours = TABLE.astype(np.float32)
    (folder / "ours.pbr").write_bytes(records.write(ours[:, 1:], ours[:, 0]))
    subprocess.run([SDK, "-c", PROGRAM, str(folder)], check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_we_read_what_the_sdk_writes(exchanged, name):
    batch = records.parse((exchanged / f"{name}.pbr").read_bytes())
    np.testing.assert_array_equal(batch.features, TABLE[:, 1:].astype(np.float32))
    np.testing.assert_array_equal(batch.labels, TABLE[:, 0].astype(np.float32))


def test_the_sdk_reads_what_we_write(exchanged):
    np.testing.assert_array_equal(np.load(exchanged / "read.npy"), TABLE.astype(np.float32))
