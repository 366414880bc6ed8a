from __future__ import annotations

import asyncio

from proxy.fakes.clock import EPOCH, ManualClock, RealClock


async def test_sleepers_wake_in_order_and_at_their_own_moment() -> None:
    clock = ManualClock(start=0)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, *naps: float) -> None:
        for nap in naps:
            await clock.sleep(nap)
            woken.append((name, clock.now()))

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("twice", 1, 2))
        group.create_task(sleeper("once", 2))
        await clock.sleeping(2)
        await clock.advance(2.5)
        assert woken == [("twice", 1), ("once", 2)]
        await clock.advance(10)
    assert woken[-1] == ("twice", 3)
    assert clock.now() == 12.5
    assert clock.wall() == EPOCH + 12.5


async def test_a_cancelled_sleeper_is_forgotten() -> None:
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(5))
    await clock.sleeping(1)
    task.cancel()
    await clock.sleeping(0)


async def test_zero_does_not_wait() -> None:
    await ManualClock().sleep(0)
    await RealClock().sleep(0)
