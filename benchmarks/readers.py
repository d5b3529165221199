"""Readers: megabytes per CPU second of one core, against the readers that people use, on the same bytes.

CSV against pandas and PyArrow, libsvm against scikit-learn, RecordIO-protobuf against the AWS SDK's own reader. Every reader
must find the same values. The peers live in an environment of their own, made on the first run.

    python benchmarks/readers.py [--megabytes 32] [--repeats 3]
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.sparse import random as random_sparse

from clary.formats import csv, libsvm, records

CACHE = Path(os.environ.get("CLARY_BENCH_CACHE", Path.home() / ".cache" / "clary-bench"))
PEER_ENVIRONMENT = CACHE / "readers"
PEER_PACKAGES = ("pandas", "pyarrow", "scikit-learn", "sagemaker<3")
SINGLE_THREADED = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

PEERS = {
    "csv": """
def pandas():
    import pandas
    return lambda path: pandas.read_csv(path, header=None, dtype="float32").to_numpy()

def pyarrow():
    import pyarrow, pyarrow.csv as reader
    pyarrow.set_cpu_count(1)
    names = reader.ReadOptions(autogenerate_column_names=True, use_threads=False)
    return lambda path: numpy.column_stack([column.to_numpy() for column in reader.read_csv(path, names).columns])
""",
    "libsvm": """
def scikit_learn():
    from sklearn.datasets import load_svmlight_file
    return lambda path: load_svmlight_file(path, zero_based=True, dtype=numpy.float32)[0].data
""",
    "records": """
def sagemaker():
    from sagemaker.amazon.common import read_records
    def read(path):
        with open(path, "rb") as file:
            return numpy.array([record.features["values"].float32_tensor.values for record in read_records(file)])
    return read
""",
}
PROGRAM = """
import json, sys, time, numpy
{peers}
path, name, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
read = globals()[name]()
times = []
for _ in range(repeats):
    start = time.process_time()
    values = read(path)
    times.append(time.process_time() - start)
print(json.dumps({{"seconds": min(times), "sum": float(numpy.asarray(values, dtype="float64").sum())}}))
"""


def main() -> None:
    options = _options()
    environment = _peer_environment()
    with tempfile.TemporaryDirectory() as folder:
        for title, kind, data, read in _cases(options.megabytes << 20):
            path = Path(folder) / "data"
            path.write_bytes(data)
            size = len(data) / 1e6
            seconds, total = _ours(read, path, options.repeats)
            print(f"{title:44} clary        {size / seconds:8.0f} MB/s")
            for name in (line[4:-3] for line in PEERS[kind].splitlines() if line.startswith("def ")):
                peer = _peer(environment, PEERS[kind], path, name, options.repeats)
                assert np.isclose(peer["sum"], total, rtol=1e-6), f"{name} reads other values"
                print(f"{'':44} {name:12} {size / peer['seconds']:8.0f} MB/s   ratio {peer['seconds'] / seconds:6.2f}")


def _cases(size: int) -> list[tuple[str, str, bytes, Callable]]:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(size // 300, 30)).astype(np.float32)
    short = rng.integers(0, 2, size=(size // 140, 70)).astype(np.uint8)
    sparse = random_sparse(size // 500, 1000, density=0.03, format="csr", dtype=np.float32, random_state=1)
    labels = np.arange(len(wide), dtype=np.float32)
    return [
        ("CSV, 30 columns of 6 digits", "csv", _text(wide, "%.6g"), _read_csv),
        ("CSV, 70 columns of one digit", "csv", _text(short, "%d"), _read_csv),
        ("libsvm, 30 of 1000 columns", "libsvm", _libsvm(sparse), _read_libsvm),
        ("RecordIO-protobuf, 30 dense float32", "records", records.write(wide, labels), _read_records),
    ]


def _read_csv(path: Path) -> float:
    with path.open("rb") as file:
        return sum(float(table.sum(dtype=np.float64)) for table in csv.read(file, path.name))


def _read_libsvm(path: Path) -> float:
    with path.open("rb") as file:
        return sum(float(batch.features.data.sum(dtype=np.float64)) for batch in libsvm.read(file, path.name))


def _read_records(path: Path) -> float:
    with path.open("rb") as file:
        return sum(float(batch.features.sum(dtype=np.float64)) for batch in records.read(file, path.name))


def _ours(read: Callable[[Path], float], path: Path, repeats: int) -> tuple[float, float]:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        total = read(path)
        times.append(time.process_time() - start)
    return min(times), total


def _peer(environment: Path, peers: str, path: Path, name: str, repeats: int) -> dict[str, float]:
    command = [environment / "bin" / "python", "-c", PROGRAM.format(peers=peers), path, name, str(repeats)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | SINGLE_THREADED, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _peer_environment() -> Path:
    if not (PEER_ENVIRONMENT / "ready").exists():
        print("making the peers' environment", file=sys.stderr)
        venv.create(PEER_ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([PEER_ENVIRONMENT / "bin" / "python", "-m", "pip", "install", "-q", *PEER_PACKAGES], check=True)
        (PEER_ENVIRONMENT / "ready").touch()
    return PEER_ENVIRONMENT


def _text(table: np.ndarray, shape: str) -> bytes:
    stream = io.BytesIO()
    np.savetxt(stream, table, delimiter=",", fmt=shape)
    return stream.getvalue()


def _libsvm(matrix) -> bytes:
    lines = []
    for row in range(matrix.shape[0]):
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        features = (f"{column}:{value:.6g}" for column, value in zip(matrix.indices[span], matrix.data[span], strict=True))
        lines.append(f"{row % 2} {' '.join(features)}\n")
    return "".join(lines).encode()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main()
