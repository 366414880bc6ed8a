"""Waiting for a condition: looked at again and again, with one generous bound and no fixed sleep in any test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.fakes.clock import ManualClock

WITHIN = 30.0
"""Seconds after which a condition that does not hold is a failure; far beyond what any takes."""
_LOOK = 0.002


async def until(holds: Callable[[], object], what: str = "", *, within: float = WITHIN) -> None:
    """Return once ``holds()`` is true; AssertionError after ``within`` seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not holds():
        assert loop.time() < end, f"within {within:g} s it did not come to this: {what or holds}"
        await asyncio.sleep(_LOOK)


async def turns(count: int) -> None:
    """Let the loop go round so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def advance_until(clock: ManualClock, step: float, holds: Callable[[], object]) -> None:
    """Move a fake's clock on, step by step with a look at the world between, until ``holds()`` is true."""

    async def moving() -> None:
        while True:
            await clock.advance(step)
            await asyncio.sleep(_LOOK)

    mover = asyncio.ensure_future(moving())
    try:
        await until(holds)
    finally:
        mover.cancel()
        await asyncio.gather(mover, return_exceptions=True)
