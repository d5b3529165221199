"""Endpoints: what to do about each (a pure function), and the loop that does it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from clary.compute.control.serving import CannotServe, serving_of, source_of
from clary.compute.hosting.data_plane import DataPlane
from clary.compute.hosting.endpoint import EndpointPlan, RunningEndpoint, VariantFailed
from clary.compute.hosting.instance import Program
from clary.compute.hosting.link import StartFailed
from clary.compute.hosting.metrics import report
from clary.compute.hosting.model_data import fetch
from clary.compute.hosting.variant import VariantPlan
from clary.compute.runner.fork_server import ForkServers
from clary.core.identifiers import Scope
from clary.core.service import Platform
from clary.storage.log_streams import LogStreams
from clary.storage.resources import Missing, Resource, Transaction

logger = logging.getLogger(__name__)
KIND = "endpoint"
_LOOKED_AFTER = ("Creating", "Updating", "InService", "OutOfService", "Deleting")
RESUME_PAUSE_SECONDS = 30.0
"""Between attempts to bring an endpoint up again that was in service once."""


class Action(Enum):
    """What can be done about an endpoint; each ends in a committed status."""

    START = "bring a new endpoint up"
    RESUME = "bring an endpoint up again that was in service when the server ended"
    REPLACE = "bring another deployment up beside the one in service, then switch"
    RESCALE = "change weights and instance counts of the deployment in service"
    REMOVE = "end the workers, then the endpoint"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the store says of an endpoint."""

    status: str
    pending: int | None = None
    """Generation of the deployment that an update asks for."""


def decide(wanted: Wanted, serving: int | None) -> Action | None:
    """What to do about an endpoint that nothing is being done about; `serving`: the generation that takes its calls."""
    if wanted.status == "Deleting":
        return Action.REMOVE
    if wanted.status == "Creating":
        return Action.START
    if wanted.status not in ("InService", "OutOfService", "Updating"):
        return None
    if serving is None:
        return Action.RESUME
    if wanted.pending is None:
        return None
    return Action.RESCALE if wanted.pending == serving else Action.REPLACE


class EndpointLoop:
    """Looks at every endpoint whenever it is woken; works on several at a time, with one task each."""

    def __init__(self, platform: Platform) -> None:
        self.woken = asyncio.Event()
        self._platform = platform
        logs = LogStreams(platform.resources, platform.journal, platform.clock)
        self._plane = DataPlane(ForkServers.of(platform), logs)
        self._busy: dict[str, tuple[Action, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        await self._plane.open(self._platform.config.data / "endpoints")
        self._platform.extensions["endpoints"] = self._plane
        metrics = asyncio.create_task(report(self._platform, self._plane), name="endpoint metrics")
        try:
            while True:
                self.woken.clear()
                for endpoint in self._platform.resources.every(KIND, status=_LOOKED_AFTER):
                    self._look_at(endpoint)
                await self.woken.wait()
        finally:
            del self._platform.extensions["endpoints"]
            await self._stop()
            metrics.cancel()
            await metrics

    def _look_at(self, endpoint: Resource) -> None:
        action, task = self._busy.get(endpoint.arn, (None, None))
        if task:
            if endpoint.status == "Deleting" and action is not Action.REMOVE:
                task.cancel()  # its end wakes the loop
            return
        running = self._plane.find(endpoint.scope, endpoint.name)
        action = decide(_wanted(endpoint), running.generation if running else None)
        if action is Action.RESUME:
            self._plane.expect(endpoint.scope, endpoint.name)
        if action:
            self._busy[endpoint.arn] = (action, asyncio.create_task(self._work(action, endpoint), name=endpoint.arn))

    async def _work(self, action: Action, endpoint: Resource) -> None:
        work = {
            Action.START: self._start,
            Action.RESUME: self._resume,
            Action.REPLACE: self._replace,
            Action.RESCALE: self._rescale,
            Action.REMOVE: self._remove,
        }
        try:
            await work[action](endpoint)
        except Exception:
            logger.exception("could not %s: %s; trying again", action.value, endpoint.arn)
            await asyncio.sleep(1)
        finally:
            del self._busy[endpoint.arn]
            self.woken.set()

    async def _start(self, endpoint: Resource) -> None:
        deployment = endpoint.state["_deployment"]
        try:
            running = await self._bring_up(endpoint, deployment)
        except VariantFailed as failure:
            await self._remove_directory(self._directory(endpoint))
            await self._commit(endpoint, "Failed", {"FailureReason": reason(failure)})
            return
        self._plane.put_in_service(running)
        await self._commit(endpoint, "InService", shown(deployment))

    async def _resume(self, endpoint: Resource) -> None:
        """Until its workers are up, calls wait a while and are then told to try again."""
        try:
            running = await self._bring_up(endpoint, endpoint.state["_deployment"])
        except VariantFailed as failure:
            logger.warning("%s could not be brought up again: %s", endpoint.arn, failure)
            await self._commit(endpoint, "OutOfService", {"FailureReason": reason(failure)})
            await asyncio.sleep(RESUME_PAUSE_SECONDS)
            return
        self._plane.put_in_service(running)
        if endpoint.status == "OutOfService":
            await self._commit(endpoint, "InService", {"FailureReason": None})

    async def _replace(self, endpoint: Resource) -> None:
        pending = endpoint.state["_pending"]
        try:
            running = await self._bring_up(endpoint, pending)
        except VariantFailed as failure:
            await self._remove_directory(self._directory(endpoint) / str(pending["generation"]))
            await self._commit(endpoint, "InService", {"FailureReason": reason(failure), "_pending": None})
            return
        former = self._plane.put_in_service(running)
        await self._commit(endpoint, "InService", shown(pending) | {"_deployment": pending, "_pending": None})
        if former:
            await former.close()
            await self._remove_directory(self._directory(endpoint) / str(former.generation))

    async def _rescale(self, endpoint: Resource) -> None:
        running, pending = self._plane.find(endpoint.scope, endpoint.name), endpoint.state["_pending"]
        assert running is not None, "decide() rescales what is running"
        try:
            await running.scale(_counts(pending))
        except VariantFailed as failure:
            await running.scale(_counts(endpoint.state["_deployment"]))
            await self._commit(endpoint, "InService", {"FailureReason": reason(failure), "_pending": None})
            return
        for variant in pending["variants"]:
            running.variants[variant["name"]].weight = variant["weight"]
        await self._commit(endpoint, "InService", shown(pending) | {"_deployment": pending, "_pending": None})

    async def _remove(self, endpoint: Resource) -> None:
        running = self._plane.take_out_of_service(endpoint.scope, endpoint.name)
        if running:
            await running.close()
        await self._remove_directory(self._directory(endpoint))
        await self._platform.resources.write(lambda tx: tx.delete(endpoint))

    async def _bring_up(self, endpoint: Resource, deployment: dict[str, Any]) -> RunningEndpoint:
        """A deployment whose workers have all loaded their models and answered a ping. Raises `VariantFailed`."""
        directory = self._directory(endpoint) / str(deployment["generation"])
        plan = EndpointPlan(endpoint.scope, endpoint.name, directory, (), deployment["generation"])
        await self._plane.ship_leftovers(plan)
        await self._remove_directory(directory / "instances")
        variants = await asyncio.gather(*(self._plan(endpoint.scope, one, directory) for one in deployment["variants"]))
        running = self._plane.prepare(replace(plan, variants=tuple(variants)))
        await running.start()
        return running

    async def _plan(self, scope: Scope, variant: dict[str, Any], directory: Path) -> VariantPlan:
        """Raises `VariantFailed` when the model's data cannot be had."""
        name, role = variant["name"], variant["role"]
        code = source_of(variant["image"], variant["environment"])
        try:
            serving = serving_of(self._platform.config.data, variant["image"], variant["environment"])
            async with asyncio.timeout(variant["download_seconds"]):
                source = await fetch(self._platform, scope, variant["model_data"], role, directory / "models" / name)
                bundle = await fetch(self._platform, scope, code, role, directory / "sources" / name)
        except (CannotServe, StartFailed, OSError) as error:
            raise VariantFailed(name, str(error)) from error
        program = Program(
            serving.runtime, serving.load, serving.environment, source, bundle, serving.prepare, variant["start_seconds"]
        )
        return VariantPlan(name, variant["weight"], variant["instance_count"], program)

    async def _commit(self, endpoint: Resource, status: str, state: dict[str, Any]) -> None:
        """Write the outcome, unless the endpoint was asked to go meanwhile."""

        def work(tx: Transaction) -> None:
            now = tx.get(KIND, endpoint.scope, endpoint.name)
            if now is None or now.status == "Deleting":
                return
            tx.update(now, status=status, state=_merged(now.state, state), modified=self._platform.clock.now())

        with contextlib.suppress(Missing):
            await self._platform.resources.write(work)

    def _directory(self, endpoint: Resource) -> Path:
        scope = endpoint.scope
        return self._platform.config.data / "endpoints" / scope.account / scope.region / endpoint.name

    async def _remove_directory(self, directory: Path) -> None:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)

    async def _stop(self) -> None:
        for _, task in self._busy.values():
            task.cancel()
        await asyncio.gather(*(task for _, task in self._busy.values()), return_exceptions=True)
        await self._plane.close()


def _wanted(endpoint: Resource) -> Wanted:
    pending = endpoint.state.get("_pending")
    return Wanted(endpoint.status, pending["generation"] if pending else None)


def _counts(deployment: dict[str, Any]) -> dict[str, int]:
    return {variant["name"]: variant["instance_count"] for variant in deployment["variants"]}


def reason(failure: VariantFailed) -> str:
    """FailureReason: what clients know it by, then the cause."""
    return (
        f"The primary container for production variant {failure.variant} did not pass the ping health check. Please check "
        f"CloudWatch logs for this endpoint. Cause: {failure.cause}"
    )[:1024]


def shown(deployment: dict[str, Any]) -> dict[str, Any]:
    """What Describe shows of a deployment that is in service."""
    return {
        "EndpointConfigName": deployment["EndpointConfigName"],
        "ProductionVariants": [_summary(variant) for variant in deployment["variants"]],
        "FailureReason": None,
    }


def _summary(variant: dict[str, Any]) -> dict[str, Any]:
    image = {"SpecifiedImage": variant["image"], "ResolvedImage": variant["image"], "ResolutionTime": variant["resolved"]}
    return {
        "VariantName": variant["name"],
        "DeployedImages": [image],
        "CurrentWeight": variant["weight"],
        "DesiredWeight": variant["weight"],
        "CurrentInstanceCount": variant["instance_count"],
        "DesiredInstanceCount": variant["instance_count"],
    }


def _merged(state: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`state` with `changes`; None removes."""
    return {name: value for name, value in (state | changes).items() if value is not None}
