"""How many jobs run at a time, shared by all control loops of a server; who waited longest goes first."""

from __future__ import annotations

import asyncio
import os
from collections import deque

from clary.core.service import Platform


class Capacity:
    """Slots for jobs. A job that already runs when the server starts takes its slot without asking, even one too many."""

    def __init__(self, slots: int):
        self._free = slots
        self._waiting: deque[asyncio.Future[None]] = deque()

    @staticmethod
    def of(platform: Platform) -> Capacity:
        """The one capacity of this server: `capacity_cpus` of the configuration, or a slot per core."""
        slots = platform.config.capacity_cpus or os.cpu_count() or 1
        return platform.extensions.setdefault("capacity", Capacity(slots))

    @property
    def is_free(self) -> bool:
        return self._free > 0 and not self._waiting

    def take(self) -> None:
        """Take a slot now, whether there is one or not."""
        self._free -= 1

    async def wait(self) -> None:
        """Take a slot when one is free. When cancelled, nothing was taken."""
        if self.is_free:
            self.take()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the slot came in the moment of the cancellation
            else:
                self._waiting.remove(turn)
            raise

    def release(self) -> None:
        """Give a slot back, or on to whoever waited longest."""
        self._free += 1
        while self._free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= 1
                turn.set_result(None)
