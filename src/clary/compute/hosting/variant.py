"""A production variant: instances of one model, and which of them takes a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from clary.compute.hosting.counters import Counters
from clary.compute.hosting.errors import ModelNotReadyException
from clary.compute.hosting.instance import Instance, Program
from clary.compute.hosting.link import Link

MAX_CALLS_IN_FLIGHT = 1000
"""Per instance; one more is answered with ModelNotReadyException (429), which clients try again."""
MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024
RESTART_PATIENCE_SECONDS = 10.0
"""How long a call waits while no instance is in rotation (a worker that died is usually back in well under a second)."""


@dataclass(frozen=True)
class VariantPlan:
    """What a variant should be."""

    name: str
    weight: float
    instance_count: int
    program: Program


class Variant:
    def __init__(self, plan: VariantPlan, new_instance: Callable[[str, Program], Instance]) -> None:
        self.name = plan.name
        self.weight = plan.weight
        self.program = plan.program
        self.instances: list[Instance] = []
        self.instance_count = 0
        """How many there were when it was last in service."""
        self.counters = Counters()
        self._new_instance = new_instance
        self._waiting_for_instance = 0
        self._up = asyncio.Event()

    async def scale(self, count: int) -> None:
        """Have `count` instances: further ones are up before this returns, spare ones finish their calls first.

        Raises `StartFailed` when one does not come up; the others of this call are then removed again.
        """
        new = [self._new_instance(self.name, self.program) for _ in range(count - len(self.instances))]
        try:
            async with asyncio.TaskGroup() as group:
                for instance in new:
                    instance.on_up = self._up.set
                    group.create_task(instance.start())
        except BaseException as error:
            await retire(new)
            raise (error.exceptions[0] if isinstance(error, ExceptionGroup) else error) from None
        spare = self.instances[count:]
        self.instances = [*self.instances[:count], *new]
        self.instance_count = count
        self._up.set()
        await retire(spare)

    async def close(self) -> None:
        instances, self.instances = self.instances, []
        await retire(instances)

    def check_room(self, link: Link, body: bytes) -> None:
        """Raises `ModelNotReadyException` when the least loaded instance has all it takes."""
        if link.in_flight >= MAX_CALLS_IN_FLIGHT or link.bytes_in_flight + len(body) > MAX_BYTES_IN_FLIGHT:
            raise ModelNotReadyException(f"Variant {self.name} has as many calls in flight as it takes; try again.")

    def expire(self, limit_seconds: float) -> None:
        """Time out calls older than the limit; a worker that answered nothing for as long is replaced."""
        for instance in self.instances:
            if instance.link and instance.link.expire(limit_seconds):
                instance.kill()

    def least_loaded(self) -> tuple[Instance, Link] | None:
        """The instance in rotation with the fewest calls in flight."""
        chosen, fewest = None, MAX_CALLS_IN_FLIGHT + 1
        for instance in self.instances:
            link = instance.link
            if link is not None and not link.draining and link.in_flight < fewest:
                chosen, fewest = (instance, link), link.in_flight
        return chosen

    async def wait_for_instance(self) -> tuple[Instance, Link]:
        """The first instance that comes up. Raises `ModelNotReadyException` when none does."""
        if self._waiting_for_instance >= MAX_CALLS_IN_FLIGHT:
            raise ModelNotReadyException(f"Variant {self.name} has no instance in service; try again.")
        self._waiting_for_instance += 1
        try:
            async with asyncio.timeout(RESTART_PATIENCE_SECONDS):
                while (found := self.least_loaded()) is None:
                    self._up.clear()
                    await self._up.wait()
                return found
        except TimeoutError:
            raise ModelNotReadyException(f"Variant {self.name} has no instance in service; try again.") from None
        finally:
            self._waiting_for_instance -= 1


async def retire(instances: Sequence[Instance]) -> None:
    await asyncio.gather(*(instance.retire() for instance in instances))
