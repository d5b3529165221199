"""`clary("up", "--port", "0")` runs the command line as a process, and ends every server that a test leaves behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT_SECONDS = 120


@pytest.fixture
def data(tmp_path) -> Path:
    """A data directory that does not exist yet."""
    return tmp_path / "data"


@pytest.fixture
def clary(tmp_path) -> Iterator[Callable[..., subprocess.CompletedProcess]]:
    def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "clary.cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            cwd=tmp_path,
            env=os.environ | {"HOME": str(tmp_path), "NO_COLOR": "1", "COLUMNS": "200"} | environ,
        )

    yield run
    for announcement in tmp_path.rglob("server.json"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(json.loads(announcement.read_text())["pid"], signal.SIGKILL)


@pytest.fixture
def up(clary, data) -> Callable[..., None]:
    """A server of the test's own in the background."""

    def start(*options: str) -> None:
        started = clary("up", "--detach", "--data", data, "--port", "0", *options)
        assert started.returncode == 0, started.stderr

    return start
