"""InvokeEndpoint: requests per second and latency at 1 and 32 clients, against a FastAPI server that does nothing else.

One XGBoost booster (30 features, 100 trees of depth 6), one CSV row per request. Clary runs in `strict` mode: every request
carries a SigV4 signature of its own body, and every signature is verified. The peer (FastAPI, uvicorn with uvloop and
httptools, one process, `inplace_predict` in the handler) lives in an environment of its own, made on the first run.

    python -m benchmarks.invoke [--seconds 6] [--clients 1 32] [--only clary]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import selectors
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from benchmarks.servers import cpu_seconds, free_port, running, until

FEATURES, TREES, DEPTH = 30, 100, 6
DIFFERENT_ROWS = 64
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
PEER_ENVIRONMENT = Path(os.environ.get("CLARY_BENCH_CACHE", Path.home() / ".cache" / "clary-bench")) / "fastapi"
PEER_PACKAGES = ("fastapi", "uvicorn[standard]", f"xgboost-cpu=={xgboost.__version__}", "numpy")
PEER = """
import sys
import numpy as np, xgboost
from fastapi import FastAPI, Request, Response

booster = xgboost.Booster(model_file=sys.argv[1])
booster.set_param({"nthread": 1})
app = FastAPI()

@app.post("/invocations")
async def invocations(request: Request):
    rows = np.array([line.split(",") for line in (await request.body()).decode().splitlines()], dtype=np.float32)
    return Response("".join(f"{score}\\n" for score in booster.inplace_predict(rows).tolist()), media_type="text/csv")

import uvicorn
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", loop="uvloop", http="httptools")
"""


def main() -> None:
    options = _options()
    rows = _rows()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        _train(directory)
        runs = {"clary": clary_server, "fastapi": fastapi_server}
        results = {
            server: _measure(server, run, directory, rows, options)
            for server, run in runs.items()
            if options.only in ("", server)
        }
    if len(results) == 2:
        _compare(results)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--only", choices=["", "clary", "fastapi"], default="")
    return parser.parse_args()


def _rows() -> list[bytes]:
    data = np.random.default_rng(2).normal(size=(DIFFERENT_ROWS, FEATURES)).round(4)
    return [",".join(map(str, row)).encode() for row in data]


def _train(directory: Path) -> None:
    rng = np.random.default_rng(1)
    data = rng.normal(size=(20_000, FEATURES))
    labels = (data[:, :5].sum(axis=1) + rng.normal(size=len(data)) > 0).astype(int)
    parameters = {"objective": "binary:logistic", "max_depth": DEPTH, "nthread": 2}
    xgboost.train(parameters, xgboost.DMatrix(data, labels), TREES).save_model(directory / "model.ubj")
    with tarfile.open(directory / "model.tar.gz", "w:gz") as tar:
        tar.add(directory / "model.ubj", "xgboost-model")


Result = dict[int, tuple[float, np.ndarray]]
"""Clients -> (requests per second, latencies in ms)."""


def _measure(server: str, run: Any, directory: Path, rows: list[bytes], options: argparse.Namespace) -> Result:
    results: Result = {}
    with run(directory, rows) as (address, pids, requests):
        _check(address, requests, directory, rows)
        for clients in options.clients:
            _drive(address, requests, clients, 1.0)  # warm
            before = cpu_seconds(pids)
            rate, latencies = _drive(address, requests, clients, options.seconds)
            busy = cpu_seconds(pids) - before
            results[clients] = rate, latencies
            p50, p99 = np.percentile(latencies, [50, 99])
            print(
                f"{server:8} {clients:3} clients: {rate:7.0f} req/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms   "
                f"{rate * options.seconds / busy:7.0f} req per server CPU second",
                flush=True,
            )
    return results


def _compare(results: dict[str, Result]) -> None:
    for clients, (rate, _) in results["clary"].items():
        print(f"ratio at {clients} clients: {rate / results['fastapi'][clients][0]:.2f} x FastAPI's requests per second")


def _check(address: tuple[str, int], requests: list[bytes], directory: Path, rows: list[bytes]) -> None:
    """Every answer is the booster's own prediction."""
    data = np.array([row.split(b",") for row in rows], dtype=np.float32)
    expected = xgboost.Booster(model_file=directory / "model.ubj").inplace_predict(data)
    with socket.create_connection(address) as connection:
        for request, score in zip(requests, expected, strict=True):
            connection.sendall(request)
            answer = _answer(connection)
            assert abs(float(answer.rpartition(b"\r\n\r\n")[2]) - score) < 1e-6, answer


# --- the load: one process, one connection per client, the next request as soon as the answer is there


def _drive(address: tuple[str, int], requests: list[bytes], clients: int, seconds: float) -> tuple[float, np.ndarray]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_clients, args=(address, requests, clients, seconds, sender))
    process.start()
    rate, latencies = receiver.recv()
    process.join()
    return rate, np.array(latencies) * 1000


def _clients(address: tuple[str, int], requests: list[bytes], clients: int, seconds: float, sender: Any) -> None:
    selector = selectors.EpollSelector() if hasattr(selectors, "EpollSelector") else selectors.DefaultSelector()
    sent: dict[int, float] = {}
    for _ in range(clients):
        connection = socket.create_connection(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        sent[connection.fileno()] = time.perf_counter()
        connection.sendall(requests[len(sent) % len(requests)])
    latencies, number, started = [], 0, time.perf_counter()
    end = started + seconds
    while time.perf_counter() < end:
        for key, _ in selector.select(1):
            connection = key.fileobj
            _answer(connection)
            now = time.perf_counter()
            latencies.append(now - sent[key.fd])
            number += 1
            sent[key.fd] = now
            connection.sendall(requests[number % len(requests)])
    sender.send((number / (time.perf_counter() - started), latencies))


def _answer(connection: socket.socket) -> bytes:
    answer = connection.recv(65536)
    while not _complete(answer):
        answer += connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return answer


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def _complete(answer: bytes) -> bool:
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    length = _LENGTH.search(head)
    assert length, answer
    return len(body) >= int(length[1])


# --- the servers: (address, process ids, one request per row)


@contextmanager
def clary_server(directory: Path, rows: list[bytes]) -> Iterator[tuple[tuple[str, int], list[int], list[bytes]]]:
    import boto3

    data = directory / "data"
    command = [sys.executable, "-m", "clary.gateway.server", "--data", str(data), "--port", "0", "--auth", "strict"]
    with running(command, directory / "clary.log") as process:
        facts = until(lambda: json.loads((data / "server.json").read_text()))
        key, secret = _root_key(directory / "clary.log")
        session = boto3.Session(key, secret, region_name="us-east-1")
        endpoint = f"http://127.0.0.1:{facts['port']}"
        _deploy(session, endpoint, directory)
        requests = [_signed(session, facts["port"], row) for row in rows]
        yield ("127.0.0.1", facts["port"]), [process.pid, *_workers(data)], requests


def _root_key(log: Path) -> tuple[str, str]:
    """The server prints it once."""

    def look() -> tuple[str, str] | None:
        found = re.search(r"AWS_ACCESS_KEY_ID=(\S+)\s+AWS_SECRET_ACCESS_KEY=(\S+)", log.read_text())
        return (found[1], found[2]) if found else None

    return until(look)


def _deploy(session: Any, endpoint: str, directory: Path) -> None:
    s3, iam, sagemaker = (session.client(name, endpoint_url=endpoint) for name in ("s3", "iam", "sagemaker"))
    statements = [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    trust = {"Version": "2012-10-17", "Statement": statements}
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="r", PolicyName="all", PolicyDocument=json.dumps(everything))
    s3.create_bucket(Bucket="models")
    s3.upload_file(str(directory / "model.tar.gz"), "models", "model.tar.gz")
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "m", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    until(lambda: sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService")


def _signed(session: Any, port: int, row: bytes) -> bytes:
    """An InvokeEndpoint request as boto3 sends it, signed once; a signature is good for minutes."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    url = f"http://127.0.0.1:{port}/endpoints/e/invocations"
    request = AWSRequest("POST", url, data=row, headers={"Content-Type": "text/csv", "Accept": "text/csv"})
    SigV4Auth(session.get_credentials(), "sagemaker", "us-east-1").add_auth(request)
    return _http(f"127.0.0.1:{port}", "/endpoints/e/invocations", dict(request.headers.items()), row)


def _http(host: str, path: str, headers: dict[str, str], body: bytes) -> bytes:
    headers = (
        {"Host": host, "User-Agent": "Boto3/1.43", "Accept-Encoding": "identity"} | headers | {"Content-Length": str(len(body))}
    )
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _workers(data: Path) -> list[int]:
    """Processes whose output goes below the endpoint's directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            if os.readlink(entry).startswith(str(data / "endpoints")):
                found.append(int(entry.parts[2]))
        except OSError:
            continue
    return found


@contextmanager
def fastapi_server(directory: Path, rows: list[bytes]) -> Iterator[tuple[tuple[str, int], list[int], list[bytes]]]:
    python = PEER_ENVIRONMENT / "bin" / "python"
    if not python.exists():
        uv = Path(sys.executable).with_name("uv")
        command = str(uv) if uv.exists() else "uv"
        subprocess.run([command, "venv", "-q", str(PEER_ENVIRONMENT)], check=True)
        subprocess.run([command, "pip", "install", "-q", "--python", str(python), *PEER_PACKAGES], check=True)
    port = free_port()
    (directory / "peer.py").write_text(PEER)
    with running([str(python), "peer.py", "model.ubj", str(port)], directory / "peer.log", directory=directory) as process:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json").status == 200)
        requests = [_http(f"127.0.0.1:{port}", "/invocations", {"Content-Type": "text/csv"}, row) for row in rows]
        yield ("127.0.0.1", port), [process.pid], requests


if __name__ == "__main__":
    main()
