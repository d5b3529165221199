"""How many jobs run at a time, shared by all control loops of a server; who holds least goes first, then who waited longest."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from clary.core.service import Platform


class Capacity:
    """Slots for jobs. A job that already runs when the server starts takes its slot without asking, even one too many.

    `share` names who a slot is for. Jobs of one share (the trials of a tuning job) are kept from shutting others out: a slot
    that becomes free goes to the share that holds the fewest, among equals to whoever waited longest.
    """

    def __init__(self, slots: int):
        self.slots = slots
        self._held: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[None], str] = {}  # in order of arrival

    @staticmethod
    def of(platform: Platform) -> Capacity:
        """The one capacity of this server: `capacity_cpus` of the configuration, or a slot per core."""
        slots = platform.config.capacity_cpus or os.cpu_count() or 1
        return platform.extensions.setdefault("capacity", Capacity(slots))

    @property
    def is_free(self) -> bool:
        return self._free > 0 and not self._waiting

    @property
    def _free(self) -> int:
        return self.slots - self._held.total()

    def take(self, share: str) -> None:
        """Take a slot now, whether there is one or not."""
        self._held[share] += 1

    async def wait(self, share: str) -> None:
        """Take a slot when one is free. When cancelled, nothing was taken."""
        if self.is_free:
            self.take(share)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[turn] = share
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(share)  # the slot came in the moment of the cancellation
            else:
                self._waiting.pop(turn, None)
            raise

    def release(self, share: str) -> None:
        """Give a slot back, or on to whoever's turn it is."""
        self._held[share] -= 1
        if not self._held[share]:
            del self._held[share]
        while self._free > 0 and (turn := self._next()):
            waiter = self._waiting.pop(turn)
            if not turn.cancelled():
                self._held[waiter] += 1
                turn.set_result(None)

    def _next(self) -> asyncio.Future[None] | None:
        return min(self._waiting, key=lambda turn: self._held[self._waiting[turn]], default=None)
