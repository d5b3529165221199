"""Transform jobs: what to do about each (a pure function), and the loop that does it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from clary.compute.control.capacity import Capacity
from clary.compute.control.retention import sweep_forever
from clary.compute.control.serving import CannotServe, serving_of, source_of
from clary.compute.control.shipping import Shipper
from clary.compute.hosting.transform.spec import TransformSpec
from clary.compute.runner import job_directory
from clary.compute.runner.fork_server import ForkServers
from clary.compute.runner.process import ProcessRunner
from clary.core.service import Platform
from clary.storage.resources import Resource, Transaction

logger = logging.getLogger(__name__)
KIND = "transform-job"
LOG_GROUP = "/aws/sagemaker/TransformJobs"
SUPERVISOR = "clary.compute.hosting.transform.supervisor:run"
ACTIVE = ("InProgress", "Stopping")
LAST_ATTEMPT = 2
"""A job whose supervisor was lost runs once more from its beginning, then fails."""
TICK_SECONDS = 0.25
_CREDENTIAL_SECONDS = 7 * 86400
_LOST = {"outcome": "Failed", "reason": "InternalServerError: the supervisor of this transform job was lost twice"}


class Action(Enum):
    START = "start the supervisor"
    STOP = "ask the supervisor to stop"
    RETRY = "begin the next attempt"
    FINISH = "commit what the exit record says"
    FINISH_STOPPED = "commit that it was stopped"
    FINISH_LOST = "commit that it was lost too often"
    WAIT = "wait for a change"


def decide(status: str, attempt: int, state: str) -> Action:
    """What to do about a job in `status` (InProgress or Stopping) whose supervisor is observed in `state`."""
    if state == "EXITED":
        return Action.FINISH
    if state == "RUNNING":
        return Action.STOP if status == "Stopping" else Action.WAIT
    if status == "Stopping":
        return Action.FINISH_STOPPED
    if state == "LOST":
        return Action.RETRY if attempt < LAST_ATTEMPT else Action.FINISH_LOST
    return Action.START


class TransformLoop:
    """Follows each unfinished job with a task of its own; sleeps when there is none."""

    def __init__(self, platform: Platform) -> None:
        self.woken = asyncio.Event()
        self._platform = platform
        self._runner = ProcessRunner(ForkServers.of(platform), SUPERVISOR)
        self._shipper = Shipper(platform, LOG_GROUP, LOG_GROUP)
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._changed: dict[str, asyncio.Event] = {}

    async def run(self) -> None:
        sweep = asyncio.create_task(sweep_forever(self._platform, KIND, ACTIVE), name="transform job retention")
        try:
            while True:
                self.woken.clear()
                for job in self._platform.resources.every(KIND, status=ACTIVE):
                    self._follow(job)
                await self.woken.wait()
        finally:
            for task in (sweep, *self._followers.values()):
                task.cancel()

    def _follow(self, job: Resource) -> None:
        if job.arn in self._followers:
            self._changed[job.arn].set()
            return
        self._changed[job.arn] = asyncio.Event()
        self._followers[job.arn] = asyncio.create_task(self._bring_to_end(job), name=job.arn)

    async def _bring_to_end(self, job: Resource) -> None:
        try:
            await self._claim(job)
            try:
                while (now := self._platform.resources.get(KIND, job.scope, job.name)) and now.status in ACTIVE:
                    await self._round(now)
            finally:
                Capacity.of(self._platform).release(job.arn)
        except Exception:
            logger.exception("transform job %s: a round failed; trying again", job.name)
            await asyncio.sleep(1)
        finally:
            del self._followers[job.arn]
            self.woken.set()

    async def _claim(self, job: Resource) -> None:
        """Wait for a slot; a job that runs already, or is to be stopped, has it."""
        capacity = Capacity.of(self._platform)
        turn = asyncio.create_task(capacity.wait(job.arn))
        while not turn.done():
            now = self._platform.resources.get(KIND, job.scope, job.name)
            if now is None or now.status == "Stopping" or self._runner.observe(self._directory(job)).state != "ABSENT":
                break
            change = asyncio.create_task(self._changed[job.arn].wait())
            await asyncio.wait((turn, change), return_when=asyncio.FIRST_COMPLETED)
            change.cancel()
            self._changed[job.arn].clear()
        if not turn.done():
            turn.cancel()
            capacity.take(job.arn)

    async def _round(self, job: Resource) -> None:
        directory = self._directory(job)
        seen = self._runner.observe(directory)
        await self._shipper.ship(job, directory, log_stream(job))
        action = decide(job.status, _attempt(job), seen.state)
        if action is Action.START:
            await self._start(job, directory)
        elif action is Action.RETRY:
            await self._commit(job, job.status, {"_attempt": _attempt(job) + 1})
        elif action is Action.FINISH:
            await self._finish(job, seen.record or {})
        elif action is Action.FINISH_STOPPED:
            await self._finish(job, {"outcome": "Stopped"})
        elif action is Action.FINISH_LOST:
            await self._finish(job, _LOST)
        else:
            if action is Action.STOP:
                self._runner.stop(directory)
            await self._wait(job, directory)

    async def _start(self, job: Resource, directory: Path) -> None:
        model = job.state["_model"]
        try:
            serving = serving_of(self._platform.config.data, model["image"], model["environment"])
        except CannotServe as error:
            await self._finish(job, {"outcome": "Failed", "reason": f"ClientError: {error}"})
            return
        credentials = await self._platform.extensions["credentials"].for_role(
            model["role"], "SageMaker", job.scope, _CREDENTIAL_SECONDS
        )
        spec = TransformSpec(
            name=job.name,
            region=job.scope.region,
            load=serving.load,
            prepare=serving.prepare,
            environment=serving.environment,
            model_data=model["model_data"],
            code=source_of(model["image"], model["environment"]),
            request=job.document,
            server_file=str(self._platform.config.data / "server.json"),
            credentials={name: str(credentials[name]) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")},
        )
        await self._runner.start(directory, serving.runtime, spec.document())
        await self._commit(job, job.status, {"TransformStartTime": self._platform.clock.now()})

    async def _wait(self, job: Resource, directory: Path) -> None:
        """Until the supervisor ends, the job changes, or it is time to ship its log."""
        changed = self._changed[job.arn]
        async with self._runner.ending(directory) as ending:
            waits = [asyncio.create_task(event.wait()) for event in (ending, changed)]
            await asyncio.wait(waits, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        changed.clear()

    async def _finish(self, job: Resource, record: Mapping[str, Any]) -> None:
        """Commit the end, after everything the job said has been shipped."""
        await self._shipper.ship(job, self._directory(job), log_stream(job))
        reason = {"FailureReason": record["reason"], "_failure": record.get("failure", {})} if record.get("reason") else {}
        ended = {"TransformEndTime": record.get("ended") or self._platform.clock.now()}
        await self._commit(job, record["outcome"], reason | ended)
        with contextlib.suppress(FileNotFoundError):
            (self._directory(job) / job_directory.SPEC).unlink()  # it holds credentials

    async def _commit(self, job: Resource, status: str, state: dict[str, Any]) -> None:
        """Write what was decided, unless the job changed its status meanwhile: then the next round decides anew."""

        def work(tx: Transaction) -> None:
            now = tx.get(KIND, job.scope, job.name)
            if now is not None and now.status == job.status:
                tx.update(now, status=status, state=now.state | state, modified=self._platform.clock.now())

        await self._platform.resources.write(work)

    def _directory(self, job: Resource) -> Path:
        attempt = f"{int(job.created * 1000)}-{_attempt(job)}"
        return job_directory.of(self._platform.config.data, job.scope, KIND, job.name) / attempt / "algo-1"


def _attempt(job: Resource) -> int:
    return job.state.get("_attempt", 1)


def log_stream(job: Resource) -> str:
    """Each attempt has a stream of its own; the name follows from the job, so that every server finds the same."""
    digest = hashlib.sha256(f"{job.arn} {job.created} {_attempt(job)}".encode()).hexdigest()
    return f"{job.name}/i-{digest[:17]}-{digest[17:32]}"
