"""From starting the server process to its first answer, its CPU time and memory then: `python -m benchmarks.startup`.

There is no peer: the goals are 0.5 s, 0.3 s of CPU time and 80 MB. On a machine that others use too, believe the CPU time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

COMMANDS = {"server": ["-m", "clary.gateway.server"], "clary up": ["-m", "clary.cli", "up"]}
DEADLINE_SECONDS = 60


def main() -> None:
    """Print the median and the range over `--starts` fresh data directories, for each way to start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=6)
    starts = parser.parse_args().starts
    for name, command in COMMANDS.items():
        measured = [start(command) for _ in range(starts)]
        seconds, cpu_seconds, megabytes = zip(*measured, strict=True)
        print(
            f"{name:10} median {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), "
            f"CPU {statistics.median(cpu_seconds):.2f} s ({min(cpu_seconds):.2f} to {max(cpu_seconds):.2f}), "
            f"{max(megabytes):.0f} MB at the first answer"
        )


def start(command: list[str]) -> tuple[float, float, float]:
    """Seconds until `/_clary/health` answers; CPU seconds of all threads and resident megabytes then (from /proc)."""
    with tempfile.TemporaryDirectory() as data:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command, "--data", data, "--port", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            answer_of(Path(data, "server.json"), process)
            seconds = time.perf_counter() - began
            cpu_seconds = (
                sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{process.pid}").glob("task/*/schedstat")) / 1e9
            )
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        finally:
            process.terminate()
            process.wait(30)
    return seconds, cpu_seconds, pages * 4096 / 1e6


def answer_of(facts: Path, process: subprocess.Popen) -> None:
    """Wait until the server that writes `facts` answers. Raises `RuntimeError` when it ends or takes too long."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if facts.exists():
            port = json.loads(facts.read_text())["port"]
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_clary/health", timeout=5).read()
            return
        time.sleep(0.002)
    raise RuntimeError("the server does not answer")


if __name__ == "__main__":
    main()
