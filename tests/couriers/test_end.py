"""No progress call after the grant: what ``Vigil.end`` promises (design.md §2.7, problems.md §3.3)."""

from __future__ import annotations

import asyncio
import random

import pytest

from proxy.couriers.progress import ProgressCouriers
from proxy.couriers.watch import GRACE, WatchVigil
from proxy.domain.ids import Seconds
from tests.couriers.builders import FIXED, SlowPost, Watcher, describe, sink
from tests.support.virtual_time import run_virtual, virtual


async def _one_race(seed: int) -> tuple[int, bool]:
    """A grant at about the moment of a beat; how many deliveries began, and whether one was cut off."""
    dice = random.Random(seed)
    post = SlowPost(takes=dice.choice([0.0, 0.0, 0.001, 0.1, GRACE, 3.0]))
    couriers = ProgressCouriers(post.carry, Watcher())
    sinks = [sink(name="job", first=1, every=2), sink(name="session", first=1, every=2, to="http://other/")]
    crowd = [couriers.begin(sinks, {**FIXED, "ticket": "c"}, describe, Seconds(0)) for _ in range(dice.choice([0, 2]))]

    async def grant() -> None:
        await asyncio.sleep(dice.choice([1, 1, 3, 1 + GRACE, 1.1]))  # set up before or after the beat's own timer
        for _ in range(dice.randrange(8)):
            await asyncio.sleep(0)  # somewhere within the instant
        await vigil.end()

    if dice.random() < 0.5:
        vigil = couriers.begin(sinks, FIXED, describe, Seconds(0))
        granted = asyncio.create_task(grant())
        await asyncio.sleep(0)
    else:
        granted = asyncio.create_task(grant())
        await asyncio.sleep(0)
        vigil = couriers.begin(sinks, FIXED, describe, Seconds(0))
    for other in crowd:
        await other.end()
    await granted
    begun, cut = len(post.started), post.takes > GRACE and bool(post.started)
    assert post.under_way == 0, f"seed {seed}: a delivery is under way after the grant"
    await asyncio.sleep(20)
    assert len(post.started) == begun, f"seed {seed}: a delivery began after the grant"
    assert len(couriers.timetable) == 0
    await couriers.close()
    return begun, cut


def test_a_thousand_grants_at_the_instant_of_a_beat() -> None:
    outcomes = [run_virtual(_one_race(seed)) for seed in range(1000)]
    begun = [number for number, _ in outcomes]
    assert min(begun) == 0  # the grant came first
    assert max(begun) >= 2  # the beat came first
    assert any(cut for _, cut in outcomes)


@virtual
async def test_one_under_way_is_awaited_for_the_grace_and_then_cut_off() -> None:
    loop = asyncio.get_running_loop()
    for takes, waits, result in ((GRACE - 0.05, GRACE - 0.05, "ok"), (GRACE + 5, GRACE, "failed")):
        post, watcher = SlowPost(takes), Watcher()
        couriers = ProgressCouriers(post.carry, watcher)
        vigil = couriers.begin([sink(first=1)], FIXED, describe, Seconds(0))
        await post.begun.wait()
        began = loop.time()
        await vigil.end()
        assert loop.time() - began == pytest.approx(waits, abs=0.01)
        assert post.under_way == 0
        assert watcher.beats == {("job", result): 1}


@virtual
async def test_cancelled_while_ending_it_still_sends_nothing_more() -> None:
    post, watcher = SlowPost(takes=60), Watcher()
    couriers = ProgressCouriers(post.carry, watcher)
    vigil = couriers.begin([sink(first=1)], FIXED, describe, Seconds(0))
    await asyncio.sleep(2)
    ending = asyncio.create_task(vigil.end())
    await asyncio.sleep(0)
    ending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ending
    began = asyncio.get_running_loop().time()
    await vigil.end()  # a second call waits for what is left, which is nothing but the way out
    assert post.under_way == 0
    assert asyncio.get_running_loop().time() == began
    await asyncio.sleep(100)
    assert len(post.started) == 1


@virtual
async def test_who_waits_before_a_busy_receiver_leaves_at_once() -> None:
    post, watcher = SlowPost(takes=8), Watcher()
    couriers = ProgressCouriers(post.carry, watcher)
    vigils = [couriers.begin([sink(first=1)], FIXED, describe, Seconds(0)) for _ in range(200)]
    await asyncio.sleep(2)
    assert len(post.started) == 64
    began = asyncio.get_running_loop().time()
    for vigil in vigils[64:]:
        await vigil.end()
    assert asyncio.get_running_loop().time() == began
    assert couriers._receivers.get("http://receiver").waiting == 0
    await asyncio.sleep(8)
    assert len(post.started) == 64
    await couriers.close()


@virtual
async def test_one_that_was_about_to_begin_does_not() -> None:
    post, watcher = SlowPost(takes=8), Watcher()
    couriers = ProgressCouriers(post.carry, watcher)
    vigil = couriers.begin([sink(first=1)], FIXED, describe, Seconds(0))
    assert isinstance(vigil, WatchVigil)
    (watch,) = vigil.watches
    await asyncio.sleep(1)
    for _ in range(10):
        if watch.delivery is not None:
            break
        await asyncio.sleep(0)
    assert watch.delivery is not None
    assert not post.started
    await vigil.end()
    assert not post.started
    assert not watcher.beats


@virtual
async def test_a_beat_that_waited_too_long_for_its_receiver_is_not_sent() -> None:
    post, began = SlowPost(takes=8), asyncio.get_running_loop().time()
    couriers = ProgressCouriers(post.carry, Watcher())
    for _ in range(200):
        couriers.begin([sink(first=1, for_at_most=15)], FIXED, describe, Seconds(0))
    await asyncio.sleep(100)
    assert sorted(set(post.times(began))) == [1, 9]
    assert len(post.started) == 128
