"""k-NN on FAISS: the search, the job and the endpoint against FAISS alone in one process.

    python -m benchmarks.knn [--rows 200000] [--repeats 5] [--no-endpoint]

1,000 blobs of 64 columns, k = 10. The endpoint is a real one: a server, its worker, InvokeEndpoint over HTTP.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import faiss
import numpy as np
from benchmarks.compare import compare
from benchmarks.servers import cpu_seconds, running, until
from botocore.config import Config
from threadpoolctl import threadpool_limits

from clary.algorithms import KNN
from clary.algorithms.hosted.knn import artifact
from clary.algorithms.neighbors.reservoir import Reservoir
from clary.algorithms.neighbors.search import Searcher
from clary.formats import csv, records

COLUMNS, K, LISTS, BATCHES = 64, 10, 512, (64, 256)
IMAGE = "174872318107.dkr.ecr.us-west-2.amazonaws.com/knn:1"


def main() -> None:
    options = _options()
    X, queries = blobs(options.rows, 2048)
    faiss.omp_set_num_threads(1)
    with threadpool_limits(1):
        _search(X, queries, options.repeats)
        _job(X, options.repeats)
        if not options.no_endpoint:
            _endpoint(X, queries, options.repeats)


def blobs(rows: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 1, (1000, COLUMNS)).astype(np.float32)

    def draw(number: int) -> np.ndarray:
        noise = 0.5 * rng.standard_normal((number, COLUMNS), dtype=np.float32)
        return (centers[rng.integers(0, 1000, number)] + noise).astype(np.float32)

    return draw(rows), draw(queries)


def _flat(X: np.ndarray) -> faiss.IndexFlatL2:
    index = faiss.IndexFlatL2(COLUMNS)
    index.add(X)
    return index


def _search(X: np.ndarray, queries: np.ndarray, repeats: int) -> None:
    """Flat search; FAISS as it comes, and told to use the matrix product as we do."""
    index = _flat(X)
    search = Searcher(index)
    exact = index.search(queries, K)[1]

    def in_batches(one: Callable[[np.ndarray], Any], size: int) -> np.ndarray:
        return np.concatenate([one(queries[start : start + size])[1] for start in range(0, max(256, size), size)])

    for size in (1, *BATCHES, len(queries)):
        compare(
            f"Flat search of {len(X):,} x {COLUMNS}, k={K}, batches of {size}",
            {
                "clary": lambda size=size: in_batches(lambda rows: search(rows, K), size),
                "FAISS": lambda size=size: in_batches(lambda rows: index.search(rows, K), size),
                "FAISS, matrix product": lambda size=size: in_batches(lambda rows: _by_product(index, rows), size),
            },
            lambda places: {"same neighbours": float(np.mean(places == exact[: len(places)]))},
            repeats=repeats,
            units=max(256, size),
            unit="queries",
        )


def _by_product(index: faiss.IndexFlatL2, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before = faiss.cvar.distance_compute_blas_threshold
    faiss.cvar.distance_compute_blas_threshold = 0
    try:
        return index.search(rows, K)
    finally:
        faiss.cvar.distance_compute_blas_threshold = before


def _job(X: np.ndarray, repeats: int) -> None:
    """What a job does once its rows are decoded: sample, index, write; against FAISS training and filling the index."""
    labels = np.random.default_rng(1).integers(0, 10, len(X)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:

        def ours() -> faiss.Index:
            kept = Reservoir(len(X))
            for start in range(0, len(X), 5000):
                kept.add(X[start : start + 5000], labels[start : start + 5000])
            sample = kept.sample()
            model = KNN(K, index_type="IVFFlat", ivf_nlists=LISTS).fit(sample.features, sample.labels)
            artifact.save(model, Path(folder) / "model_algo-1")
            return model.index_

        def peer() -> faiss.Index:
            index = faiss.IndexIVFFlat(faiss.IndexFlatL2(COLUMNS), COLUMNS, LISTS)
            index.train(X)
            index.add(X)
            return index

        exact = _flat(X).search(X[:500], K)[1]

        def recall(index: faiss.Index) -> dict[str, float]:
            index.nprobe = 8
            found = index.search(X[:500], K)[1]
            return {
                "recall@10, nprobe 8": float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, exact, strict=True)]))
            }

        compare(
            f"IVF{LISTS} of {len(X):,} x {COLUMNS}: sample, index and artifact against the index alone",
            {"clary, job after decoding": ours, "FAISS, train and add": peer},
            recall,
            repeats=repeats,
            units=len(X),
        )


# --- the endpoint


def _endpoint(X: np.ndarray, queries: np.ndarray, repeats: int) -> None:
    """Queries per second of InvokeEndpoint and of FAISS in this process, in turns; and the CPU seconds of both."""
    model = KNN(K).fit(X, np.arange(len(X)) % 10)
    expected = model.predict(queries)
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as (client, processes):
        _deploy(client, model, Path(folder))
        runtime = client("sagemaker-runtime")
        for size in BATCHES:
            for content_type, encode in (("application/x-recordio-protobuf", records.write), ("text/csv", csv.format_rows)):
                bodies = [encode(queries[start : start + size]) for start in range(0, 512, size)]
                _invoke_and_compare(runtime, processes(), bodies, content_type, queries[:512], expected[:512], model, repeats)


def _invoke_and_compare(
    runtime: Any,
    processes: list[int],
    bodies: list[bytes],
    content_type: str,
    queries: np.ndarray,
    expected: np.ndarray,
    model: KNN,
    repeats: int,
) -> None:
    size = len(queries) // len(bodies)
    ours: list[tuple[float, float]] = []
    peer: list[tuple[float, float]] = []
    tuned: list[tuple[float, float]] = []
    index = model.index_
    for _ in range(repeats):
        cpu, start = cpu_seconds(processes), time.perf_counter()
        answers = [
            runtime.invoke_endpoint(EndpointName="knn", Body=body, ContentType=content_type, Accept="application/json")
            for body in bodies
        ]
        ours.append((time.perf_counter() - start, cpu_seconds(processes) - cpu))
        found = [row["predicted_label"] for answer in answers for row in json.loads(answer["Body"].read())["predictions"]]
        assert found == expected.tolist(), "the endpoint answers something else"
        for timed, search in ((peer, lambda rows: index.search(rows, K)), (tuned, lambda rows: _by_product(index, rows))):
            cpu, start = time.process_time(), time.perf_counter()
            for first in range(0, len(queries), size):
                search(queries[first : first + size])
            timed.append((time.perf_counter() - start, time.process_time() - cpu))
    print(f"\nbatches of {size}, {content_type}, {repeats} x {len(queries)} queries: queries/s of wall time and of CPU time")
    rates = {}
    for name, runs in (("endpoint", ours), ("FAISS in process", peer), ("FAISS, matrix product", tuned)):
        wall, cpu = (len(queries) / statistics.median(run[kind] for run in runs) for kind in (0, 1))
        rates[name] = wall, cpu
        shares = ", ".join(f"{100 * mine / theirs:.0f} %" for mine, theirs in zip(rates["endpoint"], (wall, cpu), strict=True))
        print(f"  {name:<22} {wall:8.0f} {cpu:8.0f}   endpoint has {shares} of it")


@contextmanager
def _server(folder: Path) -> Iterator[tuple[Callable[[str], Any], Callable[[], list[int]]]]:
    data = folder / "data"
    command = [sys.executable, "-m", "clary.gateway.server", "--data", str(data), "--port", "0", "--auth", "open"]
    with running(command, folder / "server.log", environment={"OMP_NUM_THREADS": "1"}) as process:
        facts = until(lambda: json.loads((data / "server.json").read_text()))

        def client(service: str) -> Any:
            return boto3.Session("test", "test", region_name="us-east-1").client(
                service, endpoint_url=f"http://127.0.0.1:{facts['port']}", config=Config(retries={"total_max_attempts": 1})
            )

        yield client, lambda: [process.pid, *_workers(data)]


def _deploy(client: Callable[[str], Any], model: KNN, folder: Path) -> None:
    artifact.save(model, folder / "model_algo-1")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in folder.glob("model_algo-1*"):
            tar.add(path, path.name)
    s3, sagemaker = client("s3"), client("sagemaker")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="model.tar.gz", Body=packed.getvalue())
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}
    role = "arn:aws:iam::000000000000:role/anybody"
    sagemaker.create_model(ModelName="knn", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "knn", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="knn", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="knn", EndpointConfigName="knn")
    until(lambda: sagemaker.describe_endpoint(EndpointName="knn")["EndpointStatus"] == "InService")


def _workers(data: Path) -> list[int]:
    """Processes whose output goes below the endpoint's directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/1"):
        with contextlib.suppress(OSError):
            if os.readlink(entry).startswith(str(data / "endpoints")):
                found.append(int(entry.parts[2]))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-endpoint", action="store_true", help="leave out the server")
    return parser.parse_args()


if __name__ == "__main__":
    main()
