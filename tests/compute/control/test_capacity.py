"""Slots for jobs: who waited longest goes first, and a cancelled wait costs nothing."""

from __future__ import annotations

import asyncio

from clary.compute.control.capacity import Capacity


def test_slots_go_to_whoever_waited_longest() -> None:
    async def main() -> None:
        capacity, order = Capacity(1), []

        async def job(name: str) -> None:
            await capacity.wait()
            order.append(name)
            await asyncio.sleep(0)
            capacity.release()

        await asyncio.gather(*(job(name) for name in "abcd"))
        assert order == list("abcd")
        assert capacity.is_free

    asyncio.run(main())


def test_a_cancelled_wait_passes_its_slot_on() -> None:
    async def main() -> None:
        capacity = Capacity(1)
        await capacity.wait()
        first, second = asyncio.create_task(capacity.wait()), asyncio.create_task(capacity.wait())
        await asyncio.sleep(0)
        capacity.release()  # to `first`, which is cancelled before it can notice
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.wait_for(second, 5)
        capacity.release()
        assert capacity.is_free

    asyncio.run(main())


def test_an_adopted_job_may_be_one_too_many() -> None:
    async def main() -> None:
        capacity = Capacity(1)
        capacity.take()
        capacity.take()
        waiting = asyncio.create_task(capacity.wait())
        capacity.release()
        await asyncio.sleep(0)
        assert not waiting.done()
        capacity.release()
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())
