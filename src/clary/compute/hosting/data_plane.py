"""The hosting data plane: from a call to the worker that answers it. No database on this path.

The control loop (`compute.control.endpoints`) says which endpoints there are; this says how they answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from pathlib import Path
from time import perf_counter

from clary.compute.hosting import errors, frames
from clary.compute.hosting.endpoint import EndpointPlan, RunningEndpoint
from clary.compute.hosting.errors import ModelNotReadyException, ModelTimedOut, ValidationError, WorkerLost
from clary.compute.hosting.instance import Instance, Program
from clary.compute.hosting.instance_log import InstanceLog, Sink
from clary.compute.hosting.link import Link, Reception
from clary.compute.hosting.variant import RESTART_PATIENCE_SECONDS, Variant
from clary.compute.runner.fork_server import ForkServers
from clary.core.errors import ServiceError
from clary.core.identifiers import Scope
from clary.core.service import Identity

logger = logging.getLogger(__name__)
MAX_BODY_BYTES = 6_291_456
"""`Body` of InvokeEndpoint in the service model."""
MODEL_SECONDS = 60.0
"""How long a model may take for one call."""
LOG_SECONDS = 0.25
"""How long a worker's line may wait before it is shipped to its log stream."""
_TARGET_VARIANT = "x-amzn-sagemaker-target-variant"
_CUSTOM_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_UNENFORCED = {
    "x-amzn-sagemaker-target-model": "TargetModel",
    "x-amzn-sagemaker-target-container-hostname": "TargetContainerHostname",
    "x-amzn-sagemaker-inference-component": "InferenceComponentName",
    "x-amzn-sagemaker-enable-explanations": "EnableExplanations",
    "x-amzn-sagemaker-session-id": "SessionId",
}
_TIMED_OUT = (
    b"Your invocation timed out while waiting for a response from container primary. Review the latency metrics for each "
    b"container in Amazon CloudWatch, resolve the issue, and try again."
)
_WORKER_LOST = b"The model's process ended while it had this call; it is being started again. See the log for the cause."


class DataPlane:
    """All endpoints of a server."""

    def __init__(self, processes: ForkServers, logs: Sink) -> None:
        self._processes = processes
        self._sink = logs
        self._reception = Reception()
        self._endpoints: dict[tuple[Scope, str], RunningEndpoint] = {}
        self._expected: dict[tuple[Scope, str], asyncio.Event] = {}
        self._instances: set[Instance] = set()
        self._retired: list[RunningEndpoint] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, directory: Path) -> None:
        """Be ready for workers, which connect to a socket in `directory`."""
        await self._reception.open(directory)
        self._tasks = [asyncio.create_task(self._end_silent_workers()), asyncio.create_task(self._ship_logs())]

    async def close(self) -> None:
        """Answer what is in flight, end all workers."""
        for task in self._tasks:
            task.cancel()
        for scope, name in list(self._endpoints):
            self.take_out_of_service(scope, name)
        await asyncio.gather(*(endpoint.close() for endpoint in self._retired))
        self._reception.close()

    def prepare(self, plan: EndpointPlan) -> RunningEndpoint:
        """An endpoint that is not started and takes no calls yet."""
        return RunningEndpoint(plan, lambda variant, program: self._new_instance(plan, variant, program))

    def _new_instance(self, plan: EndpointPlan, variant: str, program: Program) -> Instance:
        file = plan.directory / "instances" / variant / f"i-{secrets.token_hex(9)[:17]}" / "log"
        log = InstanceLog(file, self._sink, plan.scope, plan.name, variant)
        instance = Instance(program, log, self._reception, self._processes)
        self._instances.add(instance)
        instance.on_gone = lambda: self._instances.discard(instance)
        return instance

    async def ship_leftovers(self, plan: EndpointPlan) -> None:
        """Ship what workers of a server that was killed had printed last; call it before anything is started."""
        for file in (plan.directory / "instances").glob("*/*/log"):
            await InstanceLog(file, self._sink, plan.scope, plan.name, file.parent.parent.name).ship(ended=True)

    def expect(self, scope: Scope, name: str) -> None:
        """Calls of this endpoint wait a while: it is being brought up again."""
        self._expected.setdefault((scope, name), asyncio.Event())

    def put_in_service(self, endpoint: RunningEndpoint) -> RunningEndpoint | None:
        """Send the calls of its name to `endpoint` from now on; returns the one that had them."""
        key = (endpoint.scope, endpoint.name)
        former = self._endpoints.get(key)
        self._endpoints[key] = endpoint
        self._retired += [former] if former else []
        if expected := self._expected.pop(key, None):
            expected.set()
        return former

    def take_out_of_service(self, scope: Scope, name: str) -> RunningEndpoint | None:
        self._expected.pop((scope, name), None)
        former = self._endpoints.pop((scope, name), None)
        self._retired += [former] if former else []
        return former

    def find(self, scope: Scope, name: str) -> RunningEndpoint | None:
        return self._endpoints.get((scope, name))

    def in_service(self) -> tuple[RunningEndpoint, ...]:
        return tuple(self._endpoints.values())

    def take_retired(self) -> list[RunningEndpoint]:
        """Endpoints out of service since the last call of this: what they counted is still to be reported."""
        retired, self._retired = self._retired, []
        return retired

    async def invoke(
        self, scope: Scope, identity: Identity, name: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """InvokeEndpoint: `headers` are the request's, with lower-case names; returns status, headers and body.

        Raises `ValidationError`, `ModelError`, `ModelNotReadyException` (`compute.hosting.errors`). `identity` has been
        authorized by the gateway.
        """
        arrived = perf_counter()
        endpoint = self._endpoints.get((scope, name)) or await self._expected_endpoint(scope, name)
        _check(headers, body)
        variant = endpoint.choose(headers.get(_TARGET_VARIANT))
        try:
            instance, link = variant.least_loaded() or await variant.wait_for_instance()
            variant.check_room(link, body)
        except ModelNotReadyException as error:
            variant.counters.refused(error.status)
            raise
        return await _ask(endpoint, variant, instance, link, headers, body, arrived)

    async def _expected_endpoint(self, scope: Scope, name: str) -> RunningEndpoint:
        expected = self._expected.get((scope, name))
        if expected:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(expected.wait(), RESTART_PATIENCE_SECONDS)
        if endpoint := self._endpoints.get((scope, name)):
            return endpoint
        if (scope, name) in self._expected:
            raise ModelNotReadyException(f"Endpoint {name} is being started again; try again.")
        raise errors.endpoint_not_found(name, scope)

    async def _ship_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_SECONDS)
            for instance in tuple(self._instances):
                await self._ship(instance)

    async def _ship(self, instance: Instance) -> None:
        try:
            await instance.log.ship()
        except (OSError, ServiceError) as error:  # a full disk, for instance: the lines wait in the file
            logger.warning("the log of instance %s cannot be shipped: %s", instance.id, error)

    async def _end_silent_workers(self) -> None:
        """Time out calls, and replace workers that answer nothing at all for as long as a call may take."""
        while True:
            await asyncio.sleep(1)
            for endpoint in self.in_service():
                for variant in endpoint.variants.values():
                    variant.expire(MODEL_SECONDS)


def _check(headers: dict[str, str], body: bytes) -> None:
    for header, parameter in _UNENFORCED.items():
        if headers.get(header):
            raise ValidationError(f"{parameter} is not supported by Clary yet, so a call that sets it is refused")
    if len(body) > MAX_BODY_BYTES:
        raise ValidationError(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BODY_BYTES}"
        )


async def _ask(
    endpoint: RunningEndpoint,
    variant: Variant,
    instance: Instance,
    link: Link,
    headers: dict[str, str],
    body: bytes,
    arrived: float,
) -> tuple[int, dict[str, str], bytes]:
    asked = perf_counter()
    try:
        answer = await link.ask(frames.CALL, _forwarded(headers), body)
    except (ModelTimedOut, WorkerLost) as error:
        variant.counters.refused(500)
        status, text = (0, _TIMED_OUT) if isinstance(error, ModelTimedOut) else (500, _WORKER_LOST)
        raise errors.model_error(endpoint.scope, endpoint.name, f"{variant.name}/{instance.id}", status, text) from None
    variant.counters.answered(answer.code, perf_counter() - asked, asked - arrived)
    if answer.code >= 300:
        raise errors.model_error(endpoint.scope, endpoint.name, f"{variant.name}/{instance.id}", answer.code, answer.body)
    return 200, _returned(answer.headers, variant.name), answer.body


def _forwarded(headers: dict[str, str]) -> dict[str, str]:
    """What the container sees of the caller's headers."""
    return {n: v for n, v in headers.items() if n == "content-type" or n == "accept" or n.startswith("x-amzn-sagemaker-")}


def _returned(headers: dict[str, str], variant: str) -> dict[str, str]:
    """What the caller sees of the container's headers."""
    seen = {"x-Amzn-Invoked-Production-Variant": variant}
    if content_type := headers.get("content-type"):
        seen["Content-Type"] = content_type
    if attributes := headers.get(_CUSTOM_ATTRIBUTES):
        seen["X-Amzn-SageMaker-Custom-Attributes"] = attributes
    return seen
