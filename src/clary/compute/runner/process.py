"""Job hosts as local processes: start, observe, stop and clean, each idempotent, over the job host's directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from clary.compute.runner import job_directory, lock
from clary.compute.runner.fork_server import ForkServers
from clary.compute.runner.observation import Observation, observe

SUPERVISOR = "clary.compute.supervisor.main:run"


class ProcessRunner:
    """Starts supervisors through `servers`; knows nothing but what the directories say, so any server can take over."""

    def __init__(self, servers: ForkServers, supervisor: str = SUPERVISOR):
        self._servers = servers
        self._supervisor = supervisor

    async def start(self, directory: Path, runtime: str, spec: dict[str, Any]) -> None:
        """Start the supervisor of `directory` unless it ever was; returns when it lives (or already ended).

        A second start of the same directory, even one racing this one, starts nothing: the lock decides.
        Raises `ChildProcessError` when the supervisor does not come up.
        """
        if lock.was_taken(directory):
            return
        directory.mkdir(parents=True, exist_ok=True)
        if not (directory / job_directory.SPEC).exists():
            await asyncio.to_thread(job_directory.write_json, directory / job_directory.SPEC, spec)
        log = directory / job_directory.SUPERVISOR_LOG
        pid = await self._servers.start(runtime, self._supervisor, {"directory": str(directory)}, log=log)
        await self._until_taken(directory, pid, log)

    async def _until_taken(self, directory: Path, pid: int, log: Path) -> None:
        """Wait for the lock, a few milliseconds after the fork, so that nobody sees a job that is started but not there."""
        while not lock.was_taken(directory):
            if not self._servers.alive(pid) and not lock.was_taken(directory):
                tail = log.read_text(errors="replace")[-2000:]
                raise ChildProcessError(f"the supervisor of {directory} ended before it began:\n{tail}")
            await asyncio.sleep(0.001)

    def observe(self, directory: Path) -> Observation:
        """What is true now; cheap enough for the event loop."""
        return observe(directory)

    def stop(self, directory: Path) -> None:
        """Ask the supervisor to stop: by a file, which a supervisor that starts later sees, and by SIGTERM."""
        (directory / job_directory.STOP).touch()
        pid = lock.holder(directory)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):  # it ended between the two calls
                os.kill(pid, signal.SIGTERM)

    @contextlib.asynccontextmanager
    async def ending(self, directory: Path) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the supervisor's process ends. Never set where the kernel cannot tell (no pidfd)."""
        event, loop = asyncio.Event(), asyncio.get_running_loop()
        descriptor = _pidfd(lock.holder(directory))
        if descriptor is None:
            if hasattr(os, "pidfd_open"):
                event.set()
            yield event
            return
        loop.add_reader(descriptor, event.set)
        try:
            yield event
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def clean(self, directory: Path) -> None:
        """Remove the directory of a job or of one host. Blocks; call it in a thread."""
        shutil.rmtree(directory, ignore_errors=True)


def _pidfd(pid: int | None) -> int | None:
    if pid is None or not hasattr(os, "pidfd_open"):
        return None
    with contextlib.suppress(ProcessLookupError):
        return os.pidfd_open(pid)
    return None
