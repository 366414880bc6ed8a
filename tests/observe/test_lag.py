"""The sampler of the event loop's lateness, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from proxy.observe.lag import SAMPLE_EVERY, LagSampler
from tests.support.virtual_time import virtual


@virtual
async def test_lateness_is_seen_and_stopping_stops() -> None:
    seen: list[float] = []
    sampler = LagSampler(seen.append)
    sampler.start()
    await asyncio.sleep(10.5 * SAMPLE_EVERY)
    assert len(seen) == 10
    assert max(seen) < 0.001
    loop = asyncio.get_running_loop()
    loop._jumping.now += 2.0  # type: ignore[attr-defined]  # as if something had held the loop for so long
    await asyncio.sleep(0.01)
    assert seen[-1] == pytest.approx(2.0 - SAMPLE_EVERY / 2, abs=0.01)
    sampler.stop()
    await asyncio.sleep(10)
    assert len(seen) == 11
