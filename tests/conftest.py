"""Real servers for tests: `server` is shared by the whole session, `start_server` makes one with its own data directory.

    def test_a_bucket(server):
        server.client("s3").create_bucket(Bucket="a")

    def test_a_crash(start_server):
        server = start_server(durability="full")
        server.kill()
        server.restart()

Tests that share `server` keep apart by names, accounts or regions of their own: `server.client("s3", account="111122223333")`.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

START_SECONDS = 30
STOP_SECONDS = 30

_CURRENT = hypothesis.settings()  # in CI hypothesis draws the same examples every time
hypothesis.settings.register_profile("busy", _CURRENT, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")
"""How long an example takes is the machine's affair."""


def pytest_configure(config: pytest.Config) -> None:
    """Throw away kernels that numba cached before the newest change of the algorithms; it looks at a kernel's own file only."""
    if hasattr(config, "workerinput"):
        return
    source = Path(__file__).parents[1] / "src" / "clary" / "algorithms"
    newest = max(file.stat().st_mtime for file in source.rglob("*.py"))
    for index in source.rglob("__pycache__/*.nbi"):
        if index.stat().st_mtime < newest:
            index.unlink(missing_ok=True)


class Server:
    """A Clary server process on 127.0.0.1 with its own data directory.

    Options are the settings of `core.config.Config`: `Server(path, auth="strict", tls=True)`.
    """

    def __init__(self, data: Path, **options: Any):
        self.data = data
        self.options = {"port": 0, "tls_port": 0} | options
        self.log_file = data.with_name(data.name + ".log")
        self.process: subprocess.Popen | None = None
        self.port = 0
        self.tls_port = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything the server has printed, over all its starts."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def start(self, **options: Any) -> Server:
        self.options |= options
        arguments = [sys.executable, "-m", "clary.gateway.server", "--data", str(self.data)]
        for name, value in self.options.items():
            option = f"--{name.replace('_', '-')}"
            if isinstance(value, bool):
                arguments.append(option if value else option.replace("--", "--no-", 1))
            elif isinstance(value, list | tuple):
                arguments += [option, *map(str, value)]
            else:
                arguments += [option, str(value)]
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(arguments, stdout=log, stderr=log, start_new_session=True)
        self._wait_until_healthy()
        return self

    def _wait_until_healthy(self) -> None:
        """Poll `server.json` for this process's port, then `/_clary/health`."""
        deadline = time.monotonic() + START_SECONDS
        while not self._healthy():
            assert self.process is not None
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with status {self.process.returncode}:\n{self.log}")
            if time.monotonic() > deadline:
                raise AssertionError(f"the server is not healthy after {START_SECONDS} s:\n{self.log}")
            time.sleep(0.02)

    def _healthy(self) -> bool:
        try:
            facts = json.loads((self.data / "server.json").read_text())
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        assert self.process is not None
        if facts["pid"] != self.process.pid:
            return False
        self.port, self.tls_port = facts["port"], facts["tls_port"] or 0
        try:
            return self.get("/_clary/health")[0] == 200
        except OSError:
            return False

    def get(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """A plain HTTP request, without a client library: its status and body. `content_type` means `Content-Type`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=body, headers={n.replace("_", "-"): v for n, v in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def client(
        self,
        service: str,
        region: str = "us-east-1",
        account: str | None = None,
        access_key: str | None = None,
        secret: str = "secret",
        session_token: str | None = None,
        endpoint: str | None = None,
        verify: str | bool | None = None,
        **settings: Any,
    ) -> Any:
        """A boto3 client of this server; `account` is short for a 12-digit access key, `settings` go to botocore's Config."""
        import boto3
        from botocore.config import Config

        settings = {"retries": {"total_max_attempts": 1}, "connect_timeout": 10, "read_timeout": 120} | settings
        return boto3.Session().client(
            service,
            region_name=region,
            endpoint_url=endpoint or self.endpoint,
            aws_access_key_id=access_key or account or "test",
            aws_secret_access_key=secret,
            aws_session_token=session_token,
            verify=verify,
            config=Config(**settings),
        )

    def kill(self) -> None:
        """SIGKILL: nothing of a graceful stop happens."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"the server did not stop within {STOP_SECONDS} s:\n{self.log}") from None

    def restart(self, **options: Any) -> Server:
        """Start again on the same data directory and the same port; stops the server first when it still runs."""
        assert self.process is not None
        if self.process.poll() is None:
            self.stop()
        return self.start(port=self.port, tls_port=self.tls_port, **options)


@pytest.fixture(scope="session", autouse=True)
def _no_real_aws() -> None:
    """Nothing in a test may pick up real credentials or configuration of the person who runs it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One `open` server for the whole session."""
    running = Server(tmp_path_factory.mktemp("server") / "data").start()
    yield running
    running.stop()


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """`start_server(**settings)` starts a server with a data directory of its own; all are killed after the test."""
    started: list[Server] = []

    def start(**options: Any) -> Server:
        started.append(Server(tmp_path_factory.mktemp("server") / "data", **options))
        return started[-1].start()

    yield start
    for one in started:
        if one.process is not None and one.process.poll() is None:
            one.kill()
