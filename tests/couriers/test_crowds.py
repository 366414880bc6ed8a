"""Many waiters: bounds and pace of a receiver, and what a dead one costs the others."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

from proxy.couriers.progress import ProgressCouriers
from proxy.couriers.receivers import BURST, CONNECTIONS, KEEP_IDLE, PERIOD, Receivers
from proxy.couriers.recipe import Letter
from proxy.domain.ids import Seconds
from tests.couriers.builders import FIXED, SlowPost, Watcher, describe, sink
from tests.support.virtual_time import virtual


@virtual
async def test_ten_thousand_waiters_do_not_flood_a_receiver() -> None:
    post, watcher = SlowPost(takes=0.02), Watcher()
    couriers = ProgressCouriers(post.carry, watcher)
    progress = sink(first=1, every=10)
    vigils = [couriers.begin([progress], {**FIXED, "ticket": str(n)}, describe, Seconds(0)) for n in range(10_000)]
    await asyncio.sleep(10.5)
    times = [when for when, _ in post.started]
    assert len(times) == 10_000  # everybody was heard of once
    assert post.peak <= CONNECTIONS
    assert max(sum(t <= s < t + 1 for s in times) for t in times[::500]) <= BURST / PERIOD + BURST
    await asyncio.sleep(10)
    assert len(post.started) == 20_000
    assert watcher.beats == {("job", "ok"): 20_000}
    for vigil in vigils:
        await vigil.end()


@virtual
async def test_a_dead_receiver_costs_the_others_nothing() -> None:
    live = SlowPost(takes=0.01)

    async def carry(letter: Letter, timeout: Seconds) -> int:
        if "dead" in letter.url:
            await asyncio.sleep(timeout)
            return 504
        return await live.carry(letter, timeout)

    watcher, began = Watcher(), asyncio.get_running_loop().time()
    couriers = ProgressCouriers(carry, watcher)
    dead = sink(name="dead", to="http://dead/", first=1, every=10)
    good = sink(name="good", first=2, every=10)
    for number in range(1000):
        fixed = {**FIXED, "ticket": str(number)}
        couriers.begin([dead, good] if number == 500 else [dead], fixed, describe, Seconds(0))
    await asyncio.sleep(32.5)
    assert live.times(began) == [2, 12, 22, 32]
    assert watcher.beats["dead", "throttled"] == 3 * CONNECTIONS
    assert watcher.beats["dead", "missed"] > 2000
    await couriers.close()


@virtual
async def test_receivers_named_by_templates_are_forgotten_when_idle() -> None:
    post, watcher = SlowPost(), Watcher()
    couriers = ProgressCouriers(post.carry, watcher)
    progress = sink(to="http://{header:x-job-id}.example/", first=1, every=10, for_at_most=5)
    for number in range(5 * KEEP_IDLE):
        couriers.begin([progress], {**FIXED, "header:x-job-id": str(number)}, describe, Seconds(0))
        await asyncio.sleep(1)
    await asyncio.sleep(10)
    assert len(post.started) == 5 * KEEP_IDLE
    assert len(couriers._receivers) <= KEEP_IDLE


@virtual
async def test_the_same_origin_is_one_receiver() -> None:
    receivers = Receivers()
    assert receivers.get("http://a") is receivers.get("http://a")
    assert receivers.get("http://a") is not receivers.get("https://a")
    await asyncio.sleep(0)


@virtual
async def test_a_waiting_vigil_is_small() -> None:
    couriers = ProgressCouriers(SlowPost().carry, Watcher())
    progress = sink(first=60, every=60)
    couriers.begin([progress], FIXED, describe, Seconds(0))
    gc.collect()
    tracemalloc.start()
    vigils = [couriers.begin([progress], FIXED, describe, Seconds(0)) for _ in range(10_000)]
    used = tracemalloc.get_traced_memory()[0] / len(vigils)
    tracemalloc.stop()
    assert used < 1000
    assert len(asyncio.all_tasks()) == 1
    await couriers.close()
