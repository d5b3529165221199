"""One endpoint as it runs: variants that share its calls by weight."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from clary.compute.hosting.errors import ValidationError
from clary.compute.hosting.instance import Instance, Program
from clary.compute.hosting.link import StartFailed
from clary.compute.hosting.variant import Variant, VariantPlan
from clary.core.identifiers import Scope


@dataclass(frozen=True)
class EndpointPlan:
    """What an endpoint should be: everything needed to start it, whatever happened to its models and configuration since."""

    scope: Scope
    name: str
    directory: Path
    variants: tuple[VariantPlan, ...]
    generation: int = 0
    """Grows with every update of the endpoint."""


class VariantFailed(Exception):
    """A variant did not come up."""

    def __init__(self, variant: str, cause: str) -> None:
        super().__init__(f"variant {variant}: {cause}")
        self.variant = variant
        self.cause = cause


class RunningEndpoint:
    def __init__(self, plan: EndpointPlan, new_instance: Callable[[str, Program], Instance]) -> None:
        self.scope = plan.scope
        self.name = plan.name
        self.generation = plan.generation
        self.variants = {variant.name: Variant(variant, new_instance) for variant in plan.variants}
        self._counts = {variant.name: variant.instance_count for variant in plan.variants}

    async def start(self) -> None:
        """Bring all instances up. Raises `VariantFailed` for the first that does not come up, with nothing left running."""
        try:
            await self.scale(self._counts)
        except BaseException:
            await self.close()
            raise

    async def scale(self, counts: dict[str, int]) -> None:
        """Give the named variants as many instances as stated. Raises `VariantFailed`."""
        try:
            async with asyncio.TaskGroup() as group:
                for name, count in counts.items():
                    group.create_task(_scale(self.variants[name], count))
        except* VariantFailed as failures:
            raise failures.exceptions[0] from None

    async def close(self) -> None:
        """Answer what is in flight and end all workers."""
        await asyncio.gather(*(variant.close() for variant in self.variants.values()))

    def choose(self, target: str | None) -> Variant:
        """The variant for a call: the `target` it asks for, else one by weight. Raises `ValidationError`."""
        variants = self.variants
        if target:
            if target not in variants:
                raise ValidationError(f"Variant {target} not found for Request of endpoint {self.name}.")
            return variants[target]
        if len(variants) == 1:
            return next(iter(variants.values()))
        point = random.random() * sum(variant.weight for variant in variants.values())
        for variant in variants.values():
            point -= variant.weight
            if point < 0:
                return variant
        return max(variants.values(), key=lambda variant: variant.weight)


async def _scale(variant: Variant, count: int) -> None:
    try:
        await variant.scale(count)
    except StartFailed as error:
        raise VariantFailed(variant.name, str(error)) from None
