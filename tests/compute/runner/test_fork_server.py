"""Warm processes: fast forks that are nobody's children."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from clary.compute.runner.fork_server import ForkServers


def report(argument: dict[str, Any]) -> None:
    """What a started process finds around itself, written where the test looks."""
    facts = {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "parent": os.getppid(),
        "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")),
        "threads": len(os.listdir("/proc/self/task")),
        "echo": argument["echo"],
    }
    print("hello from", argument["echo"])
    Path(argument["to"] + ".part").write_text(json.dumps(facts))
    os.rename(argument["to"] + ".part", argument["to"])
    if argument.get("stay"):
        signal.pause()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do; they cannot set our events."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def appear(path: Path) -> Any:
    await until(path.exists)
    return json.loads(path.read_text())


def run(work: Callable[[ForkServers], Awaitable[None]]) -> None:
    async def main() -> None:
        servers = ForkServers()
        try:
            await asyncio.wait_for(work(servers), 180)
        finally:
            servers.close()

    asyncio.run(main())


TARGET = f"{__name__}:report"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started processes import this file under the name pytest gave it."""
    package_root = Path(__file__).parents[len(__name__.split(".")) - 1]
    monkeypatch.setenv("PYTHONPATH", str(package_root))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_started_process_leads_its_own_session_and_writes_to_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("CLARY_START_METHOD", method)

    async def work(servers: ForkServers) -> None:
        argument = {"echo": "é", "to": str(tmp_path / "facts")}
        pid = await servers.start("bare", TARGET, argument, log=tmp_path / "log")
        facts = await appear(tmp_path / "facts")
        assert facts["pid"] == facts["session"] == pid
        assert facts["echo"] == "é"
        await until(lambda: "hello" in (tmp_path / "log").read_text())

    run(work)


@pytest.mark.parametrize("runtime", ["xgboost", "scikit-learn", "torch"])
def test_a_fork_inherits_no_descriptors_and_no_threads(tmp_path: Path, runtime: str) -> None:
    async def work(servers: ForkServers) -> None:
        await servers.start(runtime, TARGET, {"echo": 1, "to": str(tmp_path / "facts")}, log=tmp_path / "log")
        facts = await appear(tmp_path / "facts")
        assert [n for n in facts["descriptors"] if n > 2] == [3]  # the listing itself
        assert facts["threads"] == 1
        tasks = os.listdir(f"/proc/{servers.pids()[runtime]}/task")
        assert len(tasks) == 1

    run(work)


def test_a_warm_process_that_died_is_replaced_and_its_forks_live_on(tmp_path: Path) -> None:
    async def work(servers: ForkServers) -> None:
        first = await servers.start("bare", TARGET, {"echo": 1, "to": str(tmp_path / "1"), "stay": True}, log=tmp_path / "log")
        await appear(tmp_path / "1")
        os.kill(servers.pids()["bare"], signal.SIGKILL)
        await servers.start("bare", TARGET, {"echo": 2, "to": str(tmp_path / "2")}, log=tmp_path / "log")
        assert (await appear(tmp_path / "2"))["echo"] == 2
        os.kill(first, 0)
        os.kill(first, signal.SIGKILL)

    run(work)


def test_a_warm_process_ends_with_its_server(tmp_path: Path) -> None:
    async def work(servers: ForkServers) -> None:
        await servers.start("bare", TARGET, {"echo": 1, "to": str(tmp_path / "1")}, log=tmp_path / "log")
        warm = servers._warm["bare"]
        warm._writer.close()  # as the kernel does when the server is killed
        await until(lambda: warm.process.poll() is not None)

    run(work)


def test_forks_do_not_share_random_numbers(tmp_path: Path) -> None:
    async def work(servers: ForkServers) -> None:
        for n in ("1", "2"):
            await servers.start("numpy", f"{__name__}:draw", str(tmp_path / n), log=tmp_path / "log")
        assert await appear(tmp_path / "1") != await appear(tmp_path / "2")

    run(work)


def draw(to: str) -> None:
    import numpy

    Path(to + ".part").write_text(json.dumps(numpy.random.random()))
    os.rename(to + ".part", to)


def test_an_unknown_runtime_is_refused(tmp_path: Path) -> None:
    async def work(servers: ForkServers) -> None:
        with pytest.raises(KeyError, match="cobol"):
            await servers.start("cobol", TARGET, None, log=tmp_path / "log")

    run(work)
