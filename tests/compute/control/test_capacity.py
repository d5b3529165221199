"""Slots for jobs: who holds least goes first, then who waited longest, and a cancelled wait costs nothing."""

from __future__ import annotations

import asyncio

from clary.compute.control.capacity import Capacity


def test_slots_go_to_whoever_waited_longest() -> None:
    async def main() -> None:
        capacity, order = Capacity(1), []

        async def job(name: str) -> None:
            await capacity.wait("a")
            order.append(name)
            await asyncio.sleep(0)
            capacity.release("a")

        await asyncio.gather(*(job(name) for name in "abcd"))
        assert order == list("abcd")
        assert capacity.is_free

    asyncio.run(main())


def test_a_cancelled_wait_passes_its_slot_on() -> None:
    async def main() -> None:
        capacity = Capacity(1)
        await capacity.wait("a")
        first, second = asyncio.create_task(capacity.wait("a")), asyncio.create_task(capacity.wait("a"))
        await asyncio.sleep(0)
        capacity.release("a")  # to `first`, which is cancelled before it can notice
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await asyncio.wait_for(second, 5)
        capacity.release("a")
        assert capacity.is_free

    asyncio.run(main())


def test_an_adopted_job_may_be_one_too_many() -> None:
    async def main() -> None:
        capacity = Capacity(1)
        capacity.take("a")
        capacity.take("a")
        waiting = asyncio.create_task(capacity.wait("a"))
        capacity.release("a")
        await asyncio.sleep(0)
        assert not waiting.done()
        capacity.release("a")
        await asyncio.wait_for(waiting, 5)

    asyncio.run(main())


def test_who_holds_least_goes_first() -> None:
    """Of a tuning job with many trials, another with few and a job of its own, none shuts the others out."""

    async def main() -> None:
        capacity, order = Capacity(2), []

        async def job(share: str) -> None:
            await capacity.wait(share)
            order.append(share)

        waiting = [asyncio.create_task(job(share)) for share in ["many"] * 6 + ["few"] * 2 + ["alone"]]
        await asyncio.sleep(0)
        for released in ("many", "many", "few", "many", "few", "many", "alone"):
            capacity.release(released)
            await asyncio.sleep(0)
        assert order == ["many", "many", "few", "many", "few", "many", "alone", "many", "many"]
        await asyncio.gather(*waiting)

    asyncio.run(main())
