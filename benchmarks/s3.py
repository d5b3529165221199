"""S3 put and get: 1 KB and 8 MiB at 1 and 16 clients, against moto's server and ministack.

Every server gets the same bytes: requests signed once with SigV4, with the digests and the CRC32 that botocore sends, over
kept-alive connections, the next request as soon as the answer is there. One line per measurement: requests (or MiB) per
second of wall time and per second of the server's CPU time, then the server's memory before and after storing.
Clary verifies the digests, encrypts and writes to disk, and syncs before it answers (`clary-fast`: without the sync, as with
`--durability fast`); the peers keep objects in memory or in unsynced files.

    python -m benchmarks.s3 [--seconds 4] [--only clary moto ministack]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.servers import cpu_seconds, free_port, running, until

KIB, MIB = 1024, 1024 * 1024
KEYS = 64
CACHE = Path(os.environ.get("CLARY_BENCH_CACHE", Path.home() / ".cache" / "clary-bench"))
PEERS = {"moto": "moto[server,s3]", "ministack": "ministack"}
CASES = [(verb, size, clients) for size in (KIB, 8 * MIB) for verb in ("put", "get") for clients in (1, 16)]


@dataclass(frozen=True, slots=True)
class Result:
    """Operations per second of wall time and of the server's CPU time."""

    per_second: float
    per_cpu_second: float


def main() -> None:
    options = _options()
    results = {name: _measure(name, options.seconds) for name in options.only}
    for ours in results.keys() & {"clary", "clary-fast"}:
        for peer in results.keys() & PEERS.keys():
            _compare(ours, results[ours], results[peer], peer)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of each measurement")
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS))
    return parser.parse_args()


def _measure(name: str, seconds: float) -> dict[tuple[str, int, int], Result]:
    results = {}
    with tempfile.TemporaryDirectory() as directory, SERVERS[name](Path(directory)) as (port, pid):
        requests = Requests(port)
        _once(port, requests.bucket)
        before = _memory_mib(pid)
        for verb, size, clients in CASES:
            numbers = range(KEYS if size == KIB else 16)
            for number in numbers:
                _once(port, requests.put(size, number))
            wanted = [getattr(requests, verb)(size, number) for number in numbers]
            results[verb, size, clients] = result = _drive(port, pid, wanted, clients, seconds)
            factor, unit = (size / MIB, "MiB") if size >= MIB else (1, "req")
            print(
                f"{name:10} {verb} {_spelled(size):>5} {clients:3} clients: {result.per_second * factor:8.0f} {unit}/s "
                f"{result.per_cpu_second * factor:8.0f} {unit} per server CPU second",
                flush=True,
            )
        print(f"{name:10} memory: {before:.0f} MiB before, {_memory_mib(pid):.0f} MiB after", flush=True)
    return results


def _compare(name: str, ours: dict, theirs: dict, peer: str) -> None:
    for (verb, size, clients), result in ours.items():
        other = theirs[verb, size, clients]
        print(
            f"{name} to {peer:9} {verb} {_spelled(size):>5} {clients:3} clients: "
            f"{result.per_second / other.per_second:6.1f} x wall {result.per_cpu_second / other.per_cpu_second:6.1f} x CPU"
        )


def _spelled(size: int) -> str:
    return f"{size // MIB} MiB" if size >= MIB else f"{size // KIB} KiB"


# --- the load


class Requests:
    """Requests as boto3 sends them, byte for byte, made once. (Without `Expect`, which would measure a round trip.)"""

    def __init__(self, port: int):
        self._port = port
        self._bodies = {size: os.urandom(size) for size in (KIB, 8 * MIB)}
        self.bucket = self._signed("PUT", "/bench", b"")

    def put(self, size: int, number: int) -> bytes:
        body = self._bodies[size]
        checksum = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
        headers = {"x-amz-checksum-crc32": checksum, "x-amz-sdk-checksum-algorithm": "CRC32"}
        return self._signed("PUT", f"/bench/{size}/{number}", body, headers)

    def get(self, size: int, number: int) -> bytes:
        return self._signed("GET", f"/bench/{size}/{number}", b"", {"x-amz-checksum-mode": "ENABLED"})

    def _signed(self, method: str, path: str, body: bytes, headers: dict[str, str] | None = None) -> bytes:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(method, f"http://127.0.0.1:{self._port}{path}", headers or {}, body)
        S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
        sent = {"Host": f"127.0.0.1:{self._port}", "User-Agent": "Boto3/1.44", **dict(request.headers.items())}
        sent |= {"Content-Length": str(len(body))} if method == "PUT" else {}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in sent.items()) + "\r\n"
        return head.encode() + body


def _drive(port: int, pid: int, requests: list[bytes], clients: int, seconds: float) -> Result:
    """`clients` threads, one connection each, over the requests in turn; no two clients share a key."""
    counts, deadline = [0] * clients, time.perf_counter() + seconds

    def run(client: int) -> None:
        buffer = bytearray(MIB)
        while time.perf_counter() < deadline:
            with _connection(port) as connection:
                kept = True
                while kept and time.perf_counter() < deadline:
                    connection.sendall(requests[client + clients * (counts[client] % (len(requests) // clients))])
                    kept = _read_answer(connection, buffer)
                    counts[client] += 1

    threads = [threading.Thread(target=run, args=(client,)) for client in range(clients)]
    busy, started = cpu_seconds([pid]), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed, busy = time.perf_counter() - started, cpu_seconds([pid]) - busy
    return Result(sum(counts) / elapsed, sum(counts) / max(busy, 0.01))


def _once(port: int, request: bytes) -> None:
    with _connection(port) as connection:
        connection.sendall(request)
        _read_answer(connection, bytearray(MIB))


def _connection(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _read_answer(connection: socket.socket, buffer: bytearray) -> bool:
    """Read one answer, which must be a success with a Content-Length; returns whether the connection stays open."""
    got = 0
    while (end := buffer.find(b"\r\n\r\n", 0, got)) < 0:
        read = connection.recv_into(memoryview(buffer)[got:])
        if not read:
            raise ConnectionError(f"the server closed the connection after {bytes(buffer[:got])!r}")
        got += read
    head = bytes(buffer[:end]).lower()
    if not head.startswith(b"http/1.1 200"):
        raise ValueError(f"not a success: {bytes(buffer[:got])!r}")
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    left = int(headers[b"content-length"]) - (got - end - 4)
    while left > 0:
        read = connection.recv_into(buffer)
        if not read:
            raise ConnectionError(f"the server closed the connection with {left} bytes to come")
        left -= read
    return headers.get(b"connection") != b"close"


def _memory_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / MIB


# --- the servers: (port, process id)


@contextmanager
def clary_server(directory: Path, durability: str = "full") -> Iterator[tuple[int, int]]:
    data = directory / "data"
    options = ["--data", str(data), "--port", "0", "--durability", durability]
    with running([sys.executable, "-m", "clary.gateway.server", *options], directory / "log") as process:
        facts = until(lambda: json.loads((data / "server.json").read_text()))
        yield facts["port"], process.pid


@contextmanager
def moto_server(directory: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    command = [_peer("moto") / "moto_server", "-p", str(port), "-H", "127.0.0.1"]
    with running([str(part) for part in command], directory / "log") as process:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/moto-api/data.json").status == 200)
        yield port, process.pid


@contextmanager
def ministack_server(directory: Path) -> Iterator[tuple[int, int]]:
    port = free_port()
    environment = {"GATEWAY_PORT": str(port), "LOG_LEVEL": "WARNING", "HOME": str(directory)}
    with running([str(_peer("ministack") / "ministack")], directory / "log", environment=environment) as process:
        until(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health").status == 200)
        yield port, process.pid


SERVERS: dict[str, Callable] = {
    "clary": clary_server,
    "clary-fast": partial(clary_server, durability="fast"),
    "moto": moto_server,
    "ministack": ministack_server,
}


def _peer(name: str) -> Path:
    """The programs of a peer's own environment, which is made on the first run."""
    programs = CACHE / name / "bin"
    if not (programs / PEERS[name].partition("[")[0]).exists() and not (programs / f"{name}_server").exists():
        uv = Path(sys.executable).with_name("uv")
        command = str(uv) if uv.exists() else "uv"
        subprocess.run([command, "venv", "-q", "--allow-existing", str(CACHE / name)], check=True)
        subprocess.run([command, "pip", "install", "-q", "--python", str(programs / "python"), PEERS[name]], check=True)
    return programs


if __name__ == "__main__":
    main()
