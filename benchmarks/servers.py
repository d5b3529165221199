"""Server processes that a benchmark starts, watches and stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def running(
    command: list[str], log: Path, *, directory: Path | None = None, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen]:
    """A process whose output goes to `log`, which is shown when the block fails. `environment` is added to ours."""
    variables = os.environ | (environment or {})
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory, env=variables, start_new_session=True)
    try:
        yield process
    except BaseException:
        print(log.read_text()[-5000:], file=sys.stderr)
        raise
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def until(look: Callable[[], T], seconds: float = 60) -> T:
    """The first answer of `look` that is true. `OSError` and `ValueError` mean not yet; raises `TimeoutError`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := look():
                return answer
        except (OSError, ValueError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("the server is not ready")
        time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def cpu_seconds(pids: Iterable[int]) -> float:
    """What the processes have used so far, in user mode and in the kernel (from /proc)."""
    ticks = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13] for pid in pids]
    return sum(int(user) + int(system) for user, system in ticks) / os.sysconf("SC_CLK_TCK")
