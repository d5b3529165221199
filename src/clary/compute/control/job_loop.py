"""The loops of training and of processing jobs: make every accepted job true, go on where an earlier server left off.

What the two kinds of jobs do not share is said by a module per kind (`JobKind`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from clary.compute.control import jobs, processing_job, tail, training_job
from clary.compute.control.capacity import Capacity
from clary.compute.control.retention import sweep_forever
from clary.compute.control.shipping import Shipper
from clary.compute.control.training_decision import Action, Finish, Retry, Start, Stop, decide
from clary.compute.runner import job_directory
from clary.compute.runner.fork_server import ForkServers
from clary.compute.runner.observation import Observation
from clary.compute.runner.process import ProcessRunner
from clary.compute.supervisor.failures import LONGEST_REASON
from clary.compute.supervisor.spec import Spec
from clary.core.config import Config
from clary.core.errors import ServiceError
from clary.core.service import Platform
from clary.storage.resources import Resource, Transaction

logger = logging.getLogger(__name__)

ACTIVE = ("InProgress", "Stopping")
TICK_SECONDS = 0.25
"""How often the files of running jobs are read; an exit is seen at once where the kernel tells of it (pidfd)."""
POLL_SECONDS = 0.02
"""How often an exit is looked for where the kernel does not tell."""
_MOST_FAILED_STARTS = 5
_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.5, 10.0


class JobKind(Protocol):
    """A kind of jobs; `control/training_job.py` and `control/processing_job.py` are such modules."""

    KIND: str
    """Of the rows and of the jobs' directories."""
    WORDS: str
    LOG_GROUP: str
    METRIC_NAMESPACE: str
    SUPERVISOR: str
    """`module:function` that supervises one host."""

    def hosts_of(self, job: Resource) -> list[str]: ...

    def max_runtime(self, job: Resource) -> int:
        """Seconds."""

    def spec(self, config: Config, job: Resource, host: str, credentials: Mapping[str, Any]) -> tuple[str, Spec]:
        """The runtime to start the supervisor of `host` in, and what to tell it. Raises `jobs.UnknownImage`."""

    def while_waiting(self, state: dict[str, Any], now: float) -> dict[str, Any]:
        """`state` of a job that waits for a slot."""

    def after_statuses(self, state: dict[str, Any], entries: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, Any]:
        """`state` after what the supervisor of the first host recorded in `status.jsonl` (offset after the line, line)."""

    def after_loss(self, state: dict[str, Any], attempt: int, now: float) -> dict[str, Any]:
        """`state` at the beginning of the attempt after `attempt`, whose host was lost."""

    def after_end(self, state: dict[str, Any], end: Finish, now: float) -> dict[str, Any]:
        """`state` of a finished job."""


class JobLoop:
    """Follows each unfinished job of one kind with a task of its own; sleeps when there is none."""

    def __init__(self, platform: Platform, kind: JobKind):
        self.platform = platform
        self.kind = kind
        self.woken = asyncio.Event()
        self._followers: dict[str, Follower] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Until cancelled: a follower for every job that is not finished, told whenever something changed."""
        runner = ProcessRunner(ForkServers.of(self.platform), self.kind.SUPERVISOR)
        self._begin(sweep_forever(self.platform, self.kind.KIND, ACTIVE), f"{self.kind.WORDS} retention")
        try:
            while True:
                for job in self.platform.resources.every(self.kind.KIND, status=ACTIVE):
                    self._follow(job, runner)
                await self.woken.wait()
                self.woken.clear()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _follow(self, job: Resource, runner: ProcessRunner) -> None:
        if follower := self._followers.get(job.arn):
            follower.woken.set()
            return
        follower = self._followers[job.arn] = Follower(self.platform, runner, job, self.kind)
        task = self._begin(follower.run(), f"{self.kind.WORDS} {job.name}")
        task.add_done_callback(lambda done: self._ended(job.arn, done))

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _ended(self, arn: str, task: asyncio.Task[None]) -> None:
        """Look again: the name may be taken by a new job, or the follower failed and needs another, a little later."""
        del self._followers[arn]
        if task.cancelled():
            return
        if error := task.exception():
            logger.error("the follower of %s ended", arn, exc_info=error)
        asyncio.get_running_loop().call_later(_LONGEST_DELAY_SECONDS if error else 0, self.woken.set)


class TrainingLoop(JobLoop):
    def __init__(self, platform: Platform):
        super().__init__(platform, training_job)


class ProcessingLoop(JobLoop):
    def __init__(self, platform: Platform):
        super().__init__(platform, processing_job)


class Follower:
    """Brings one job to its end: compare what is wanted with what is observed, act, wait for a change, again."""

    def __init__(self, platform: Platform, runner: ProcessRunner, job: Resource, kind: JobKind):
        self.platform = platform
        self.runner = runner
        self.job = job
        self.kind = kind
        self.woken = asyncio.Event()
        self._failed_starts = 0
        self._shipper = Shipper(platform, kind.LOG_GROUP, kind.METRIC_NAMESPACE)

    async def run(self) -> None:
        """Returns when the job's end is committed, or the job is gone. A round that fails (a full disk) is tried again."""
        capacity, failures = Capacity.of(self.platform), 0
        await self._claim(capacity)
        try:
            while self._refresh():
                try:
                    await self._round()
                    failures = 0
                except Exception:
                    failures += 1
                    logger.exception("%s %s: round failed (%d in a row)", self.kind.WORDS, self.job.name, failures)
                    await asyncio.sleep(min(failures * _DELAY_SECONDS, _LONGEST_DELAY_SECONDS))
        finally:
            capacity.release(self._share)

    @property
    def _share(self) -> str:
        """Who shares capacity with the others: a tuning job with all its trials, or the job itself."""
        return self.job.document.get("TuningJobArn", self.job.arn)

    async def _claim(self, capacity: Capacity) -> None:
        """Take a slot. A job that has started has one already; a stop request ends the wait."""
        observed = self._observe().values()
        if any(seen.state != "ABSENT" for seen in observed) or self.job.status == "Stopping":
            capacity.take(self._share)
            return
        if not capacity.is_free:
            now = self.platform.clock.now()
            await self._write(lambda job: {"state": self.kind.while_waiting(job.state, now)})
        turn = asyncio.create_task(capacity.wait(self._share))
        try:
            while not turn.done() and self._refresh() and self.job.status == "InProgress":
                await self._until_woken_or(turn)
        except BaseException:
            if not turn.cancel():
                capacity.release(self._share)  # the slot had come
            raise
        if turn.cancel():  # the job is being stopped, which needs no slot of its own
            capacity.take(self._share)

    async def _until_woken_or(self, turn: asyncio.Task[None]) -> None:
        woken = asyncio.create_task(self.woken.wait())
        try:
            await asyncio.wait((turn, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        self.woken.clear()

    def _refresh(self) -> bool:
        """Read the row again; False when there is nothing left to do."""
        job = self.platform.resources.get(self.kind.KIND, self.job.scope, self.job.name)
        if job is None or job.arn != self.job.arn or job.status not in ACTIVE:
            return False
        self.job = job
        return True

    def _directory(self, host: str) -> Path:
        return jobs.directory(self.platform.config, self.job, self.kind.KIND, host)

    def _observe(self) -> Mapping[str, Observation]:
        return {host: self.runner.observe(self._directory(host)) for host in self.kind.hosts_of(self.job)}

    async def _round(self) -> None:
        observed = self._observe()
        await self._ship()
        actions = decide(self.job.status, jobs.attempt_of(self.job), observed, jobs.retries_of(self.job))
        for action in actions:
            await self._act(action)
        if not any(isinstance(action, Start | Retry | Finish) for action in actions):
            await self._changed(observed)

    async def _act(self, action: Action) -> None:
        match action:
            case Start(host):
                await self._start(host)
            case Stop(host):
                self.runner.stop(self._directory(host))
            case Retry():
                await self._retry()
            case Finish():
                await self._finish(action)

    async def _start(self, host: str) -> None:
        """Start a supervisor; fail the job for what the user must mend, or when trying again has not helped."""
        try:
            await self._start_once(host)
        except ServiceError as error:
            if error.status >= 500:
                raise
            await self._finish(Finish("Failed", "Failed", f"ClientError: {error.message}"[:LONGEST_REASON]))
        except (OSError, jobs.UnknownImage) as error:
            self._failed_starts += 1
            if self._failed_starts < _MOST_FAILED_STARTS:
                raise
            reason = f"InternalServerError: the job could not be started: {type(error).__name__}: {error}"
            await self._finish(Finish("Failed", "Failed", reason[:LONGEST_REASON]))

    async def _start_once(self, host: str) -> None:
        seconds = self.kind.max_runtime(self.job) + 7 * 86400
        credentials = await self.platform.extensions["credentials"].for_role(
            self.job.document["RoleArn"], "SageMaker", self.job.scope, seconds
        )
        runtime, spec = self.kind.spec(self.platform.config, self.job, host, credentials)
        await self.runner.start(self._directory(host), runtime, spec.document())

    async def _changed(self, observed: Mapping[str, Observation]) -> None:
        """Wait until a supervisor ends, the row changes, or it is time to read the files again."""
        running = [self._directory(host) for host, seen in observed.items() if seen.state == "RUNNING"]
        async with contextlib.AsyncExitStack() as stack:
            endings = [await stack.enter_async_context(self.runner.ending(directory)) for directory in running]
            waits = [asyncio.create_task(event.wait()) for event in (self.woken, *endings)]
            timeout = TICK_SECONDS if hasattr(os, "pidfd_open") else POLL_SECONDS
            try:
                await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
        self.woken.clear()

    async def _ship(self) -> None:
        """Logs and metrics to where clients read them, then the secondary status."""
        for host in self.kind.hosts_of(self.job):
            await self._shipper.ship(self.job, self._directory(host), jobs.log_stream(self.job, host))
        path = self._directory(self.kind.hosts_of(self.job)[0]) / job_directory.STATUS
        if entries := tail.read(path, self.job.state.get("_status_offset", 0)):
            await self._write(lambda job: {"state": self.kind.after_statuses(job.state, entries)})

    async def _retry(self) -> None:
        attempt, now = jobs.attempt_of(self.job), self.platform.clock.now()
        logger.warning(
            "%s %s: its supervisor is gone without an exit record; attempt %d follows",
            self.kind.WORDS,
            self.job.name,
            attempt + 1,
        )
        await self._write(lambda job: {"state": self.kind.after_loss(job.state, attempt, now)})

    async def _finish(self, end: Finish) -> None:
        """Commit the end, after everything the job said has been shipped."""
        await self._ship()
        now = self.platform.clock.now()
        await self._write(lambda job: {"status": end.status, "state": self.kind.after_end(job.state, end, now)})

    async def _write(self, change: Callable[[Resource], dict[str, Any]]) -> None:
        """Change the row in one transaction. Whatever was decided for another status than it has by then is not done:
        the next round decides anew."""
        expected = self.job.status

        def work(tx: Transaction) -> None:
            job = tx.get(self.kind.KIND, self.job.scope, self.job.name)
            if job is not None and job.arn == self.job.arn and job.status == expected:
                changed = tx.update(job, modified=self.platform.clock.now(), **change(job))
                if changed.status != expected and "TuningJobArn" in job.document:
                    tx.wake("tuning")

        await self.platform.resources.write(work)
        self._refresh()
