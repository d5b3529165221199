"""The loops of `compute.control` and who else listens to what the resource store wakes."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Callable
from typing import Any

from clary.core.service import Platform

log = logging.getLogger("clary.server")

LOOP_RESTART_SECONDS = 5


class ControlLoops:
    """Imported only when the server already listens, beside its first answers; they can be started again after `stop`."""

    def __init__(self) -> None:
        self._event_loop = asyncio.get_running_loop()
        self._loops: dict[str, Any] = {}
        self._listeners: dict[str, Callable[[], None]] = {}
        self._tasks: list[asyncio.Task] = []
        self._one_import_at_a_time = asyncio.Lock()

    def wake(self, topic: str) -> None:
        """Tell the loop `topic` to look again; from any thread. A topic without a loop is nobody's business."""
        if (loop := self._loops.get(topic)) is not None:
            self._event_loop.call_soon_threadsafe(loop.woken.set)
        if (listener := self._listeners.get(topic)) is not None:
            listener()

    def on(self, topic: str, listener: Callable[[], None]) -> None:
        """Call `listener` on the event loop whenever `topic` is woken."""
        self._listeners[topic] = listener

    def start(self, platform: Platform) -> None:
        from clary.compute.control import LOOPS

        for topic, target in LOOPS.items():
            self._tasks.append(asyncio.create_task(self._run(topic, target, platform), name=f"control loop {topic}"))

    async def _run(self, topic: str, target: str, platform: Platform) -> None:
        """A loop that fails is a defect: it is logged with its trace, and started again so that other jobs go on."""
        module, _, name = target.partition(":")
        while True:
            try:
                async with self._one_import_at_a_time:
                    imported = await asyncio.to_thread(importlib.import_module, module)
                loop = self._loops[topic] = getattr(imported, name)(platform)
                await loop.run()
                return
            except Exception:
                log.exception("control loop %s failed; it starts again in %s s", topic, LOOP_RESTART_SECONDS)
                await asyncio.sleep(LOOP_RESTART_SECONDS)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._loops.clear()
