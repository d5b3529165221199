"""One instance of a variant: a worker process that is started again whenever it ends, until it is retired."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clary.compute.hosting import frames
from clary.compute.hosting.errors import WorkerLost
from clary.compute.hosting.instance_log import InstanceLog
from clary.compute.hosting.link import Link, Reception, StartFailed
from clary.compute.runner.fork_server import ForkServers

logger = logging.getLogger(__name__)
DRAIN_SECONDS = 60.0
EXIT_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Program:
    """What a worker runs: how to load the model, and from what."""

    runtime: str
    load: str
    environment: dict[str, str]
    source: Path | None
    """A `model.tar.gz`, or a directory that is the model."""
    code: Path | None = None
    """A bundle with the user's source, where it is not part of the model."""
    prepare: str = ""
    """`module:function` that says which Python the worker needs (`toolkit/serving.py`); `""` for this one."""
    start_seconds: float = 480.0
    """How long loading may take: SageMaker's 8 minutes unless the variant says otherwise."""


class Instance:
    """A place in a variant. `link` is set while its worker is in rotation; `on_up` is called when one comes into it."""

    def __init__(self, program: Program, log: InstanceLog, reception: Reception, processes: ForkServers) -> None:
        self.id = log.file.parent.name
        self.directory = log.file.parent
        self.log = log
        self.link: Link | None = None
        self.pid = 0
        self.on_up: Callable[[], None] = lambda: None
        self.on_gone: Callable[[], None] = lambda: None
        self._program = program
        self._reception = reception
        self._processes = processes
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bring the first worker up, then keep one running. Raises `StartFailed` when the first does not come up."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._in_rotation(await self._start_worker())
        self._task = asyncio.create_task(self._keep_running())

    async def retire(self) -> None:
        """Leave the rotation, answer what is in flight, end the worker, remove its directory."""
        link, self.link = self.link, None
        if self._task:
            self._task.cancel()
        if link:
            link.close_when_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(link.lost.wait(), DRAIN_SECONDS)
            link.close()
        await self._end_process()
        try:
            await self.log.ship(ended=True)
        finally:
            await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)
            self.on_gone()

    async def _end_process(self) -> None:
        """A worker ends by itself when its link does; one that has not is killed."""
        deadline = asyncio.get_running_loop().time() + EXIT_SECONDS
        while self.pid and self._processes.alive(self.pid):
            if asyncio.get_running_loop().time() > deadline:
                os.kill(self.pid, signal.SIGKILL)
                return
            await asyncio.sleep(0.01)

    def kill(self) -> None:
        """End a worker that does not answer; another takes its place."""
        if self.link and not self.link.lost.is_set():
            self.link.draining = True
            os.kill(self.pid, signal.SIGKILL)

    def _in_rotation(self, link: Link) -> None:
        self.link = link
        self.on_up()

    async def _keep_running(self) -> None:
        while self.link:
            await self.link.lost.wait()
            self.link, self.pid = None, 0
            logger.warning("the worker of instance %s ended; starting another", self.id)
            self._in_rotation(await self._start_until_up())

    async def _start_until_up(self) -> Link:
        pause = 0.25
        while True:
            try:
                return await self._start_worker()
            except StartFailed as error:
                logger.warning("instance %s: %s", self.id, error)
                self.pid = 0  # it may soon be another process's
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _start_worker(self) -> Link:
        """The link of a worker that has loaded its model and answered a ping. Raises `StartFailed` with the cause."""
        token = secrets.token_hex(16)
        greeting = self._reception.expect(token)
        link = None
        try:
            async with asyncio.timeout(self._program.start_seconds):
                self.pid = await self._processes.start(
                    self._program.runtime, "clary.compute.hosting.worker:serve", self._argument(token), log=self.log.file
                )
                link = await self._connected(greeting)
                await link.ready
                await link.ask(frames.PING, {})
                return link
        except BaseException as error:
            if link:
                link.close()
            raise self._start_failure(error) from error
        finally:
            greeting.cancel()

    def _start_failure(self, error: BaseException) -> BaseException:
        if isinstance(error, TimeoutError):
            if self.pid and self._processes.alive(self.pid):
                os.kill(self.pid, signal.SIGKILL)
            return StartFailed(f"the model was not ready within {self._program.start_seconds:.0f} seconds")
        if isinstance(error, WorkerLost):
            return StartFailed("the worker process ended before it answered the ping")
        if isinstance(error, OSError):  # no memory for another process, a full disk
            return StartFailed(f"the worker process could not be started: {error}")
        return error

    async def _connected(self, greeting: asyncio.Future[Link]) -> Link:
        """The worker's link; `StartFailed` when its process ends before it has said hello."""
        while True:
            done, _ = await asyncio.wait([greeting], timeout=0.2)
            if done:
                return greeting.result()
            if not self._processes.alive(self.pid):
                raise StartFailed("the worker process ended while it was loading the model")

    def _argument(self, token: str) -> dict[str, Any]:
        program = self._program
        return {
            "socket": self._reception.path,
            "token": token,
            "directory": str(self.directory),
            "source": str(program.source or ""),
            "code": str(program.code or ""),
            "prepare": program.prepare,
            "load": program.load,
            "environment": program.environment,
        }
