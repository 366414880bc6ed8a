"""A receiver that hangs costs the queue one grace, not one for every grant (design.md §2.7: costs others nothing)."""

from __future__ import annotations

import asyncio

import pytest

from proxy.couriers.progress import ProgressCouriers
from proxy.couriers.watch import GRACE
from proxy.domain.ids import Seconds
from tests.couriers.builders import FIXED, SlowPost, Watcher, describe, sink
from tests.support.virtual_time import virtual

HANGS = 1000.0


async def cost(couriers: ProgressCouriers, number: int, to: str = "http://receiver/") -> float:
    """So many callers wait from now on, and are granted one after the other 2 s later: what that takes, in seconds."""
    sinks = [sink(to=to, first=1, every=60)]
    vigils = [couriers.begin(sinks, {**FIXED, "ticket": f"t{n}"}, describe, Seconds(0)) for n in range(number)]
    await asyncio.sleep(2)
    began = asyncio.get_running_loop().time()
    for vigil in vigils:
        await vigil.end()
    return asyncio.get_running_loop().time() - began


@virtual
async def test_ten_grants_behind_a_receiver_that_hangs_cost_one_grace() -> None:
    watcher = Watcher()
    couriers = ProgressCouriers(SlowPost(HANGS).carry, watcher)
    assert await cost(couriers, 10) == pytest.approx(GRACE, abs=0.01)
    assert watcher.beats == {("job", "failed"): 10}
    await couriers.close()


@virtual
async def test_once_it_replies_it_is_waited_for_again() -> None:
    post = SlowPost(HANGS)
    couriers = ProgressCouriers(post.carry, Watcher())
    assert await cost(couriers, 1) == pytest.approx(GRACE, abs=0.01)
    assert await cost(couriers, 1) == pytest.approx(0, abs=0.01)
    post.takes = 0.5
    assert await cost(couriers, 1) == pytest.approx(0, abs=0.01)  # it has replied before the grant
    post.takes = HANGS
    assert await cost(couriers, 1) == pytest.approx(GRACE, abs=0.01)
    await couriers.close()


@virtual
async def test_another_receiver_is_still_waited_for() -> None:
    watcher = Watcher()
    post = SlowPost(HANGS)
    couriers = ProgressCouriers(post.carry, watcher)
    await cost(couriers, 1)
    post.takes = 1 + GRACE / 2  # a beat after 1 s, a grant after 2 s: half a grace is missing
    assert await cost(couriers, 1, "http://other/") == pytest.approx(GRACE / 2, abs=0.01)
    assert watcher.beats == {("job", "failed"): 1, ("job", "ok"): 1}
    await couriers.close()
