"""RecordIO-protobuf exchanged with the AWS SDK that is installed for the journeys, in both directions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from clary.formats import records

SDK = Path(__file__).parents[2] / ".envs" / "sagemaker-v2" / "bin" / "python"
pytestmark = pytest.mark.skipif(not SDK.exists(), reason="the SDK's environment is made by `make test`")

WRITE = """
import sys, numpy
from sagemaker.amazon.common import write_numpy_to_dense_tensor
table = numpy.load(sys.argv[1])
with open(sys.argv[2], "wb") as file:
    write_numpy_to_dense_tensor(file, table[:, 1:], table[:, 0])
"""
READ = """
import sys, numpy
from sagemaker.amazon.common import read_records
with open(sys.argv[1], "rb") as file:
    rows = [
        [record.label["values"].float32_tensor.values[0], *record.features["values"].float32_tensor.values]
        for record in read_records(file)
    ]
numpy.save(sys.argv[2], numpy.array(rows, dtype="float32"))
"""


def sdk(program: str, *arguments: Path) -> None:
    subprocess.run([SDK, "-c", program, *map(str, arguments)], check=True, capture_output=True)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_we_read_what_the_sdk_writes(tmp_path, dtype):
    table = np.random.default_rng(0).normal(size=(500, 7)).astype(dtype)
    np.save(tmp_path / "table.npy", table)
    sdk(WRITE, tmp_path / "table.npy", tmp_path / "rows.pbr")
    batch = records.parse((tmp_path / "rows.pbr").read_bytes())
    np.testing.assert_array_equal(batch.features, table[:, 1:].astype(np.float32))
    np.testing.assert_array_equal(batch.labels, table[:, 0].astype(np.float32))


def test_the_sdk_reads_what_we_write(tmp_path):
    table = np.random.default_rng(0).normal(size=(500, 7)).astype(np.float32)
    (tmp_path / "rows.pbr").write_bytes(records.write(table[:, 1:], table[:, 0]))
    sdk(READ, tmp_path / "rows.pbr", tmp_path / "table.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "table.npy"), table)
