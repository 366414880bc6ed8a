"""``hold: ready`` and time: callers that leave, ``ready_within``, shadow mode, a process that ends, and a crowd."""

from __future__ import annotations

import asyncio

import pytest

from tests.pipeline.acted_api import PODS, Answer, Asked
from tests.pipeline.cluster import cluster
from tests.support.virtual_time import virtual


@virtual
async def test_the_caller_leaves_with_the_reply_half_way() -> None:
    async with cluster() as one:
        one.arriving = 5.0
        leaving = asyncio.ensure_future(one.ask("POST", PODS))
        await asyncio.sleep(1)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert one.held() == 0, "which pod it made is not known"
        one.arriving, one.leaving = 0.0, 5.0
        later = asyncio.ensure_future(one.ask("POST", PODS))
        await asyncio.sleep(1)
        later.cancel()
        await asyncio.gather(later, return_exceptions=True)
        assert one.held() == 1, "and now it is"


@virtual
async def test_news_may_come_before_the_create_is_over() -> None:
    async with cluster() as one:
        one.leaving = 5.0
        slow = asyncio.ensure_future(one.create("first"))
        await asyncio.sleep(1)
        one.leaving = 0.0
        one.api.ready("first")
        await one.ask("GET", f"{PODS}/first")
        assert one.held() == 1, "its caller has not got all of it yet"
        await slow
        assert one.held() == 0
        assert one.counted.ended == {"ready": 1}
        assert not one.api.looks()


@virtual
async def test_after_ready_within_the_seat_is_given_back_whatever_is_known() -> None:
    async with cluster() as one:
        _, _, waiting = await one.full()
        one.api.script = lambda asked: Answer(403, {"kind": "Status"}) if asked.look else None
        begin = asyncio.get_running_loop().time()
        await waiting
        assert asyncio.get_running_loop().time() - begin == pytest.approx(99.9)
        assert one.counted.ended == {"late": 2}


@virtual
async def test_a_reply_that_takes_longer_than_that_is_not_held_beyond() -> None:
    async with cluster() as one:
        one.leaving = 200.0
        await one.create()
        assert one.held() == 0
        assert one.counted.ended == {"late": 1}
        assert not one.starts.expecting


@virtual
async def test_each_limit_has_its_own_time_and_its_own_hold() -> None:
    limits = """
  starting: {seats: 2, per: upstream, hold: ready, ready_within: 100s}
  brief: {seats: 3, per: upstream, hold: ready, ready_within: 10s}
  creates: {seats: 1, per: upstream}
"""
    several = {
        "\n  starting: {seats: 2, per: upstream, hold: ready, ready_within: 100s}\n": limits,
        "limits: [starting], queue": "limits: [starting, brief, creates], queue",
    }
    async with cluster(**several) as one:
        one.api.script = lambda asked: Answer(403, {}) if asked.look else None
        await one.create()

        def held() -> dict[str, float]:
            return {limit.name: limit.held for limit in one.store.view().limits}

        assert held() == {"starting": 1, "brief": 1, "creates": 0}
        await asyncio.sleep(9.9)
        assert held() == {"starting": 1, "brief": 1, "creates": 0}
        await asyncio.sleep(0.2)
        assert held() == {"starting": 1, "brief": 0, "creates": 0}
        await asyncio.sleep(89.8)
        assert held() == {"starting": 1, "brief": 0, "creates": 0}
        await asyncio.sleep(0.2)
        assert held() == {"starting": 0, "brief": 0, "creates": 0}
        assert one.counted.ended == {"late": 1}


@virtual
async def test_what_is_over_leaves_no_timer_behind() -> None:
    loop = asyncio.get_running_loop()
    async with cluster() as one:
        await one.create("first")
        assert _timers(loop)
        one.api.ready("first")
        await one.ask("GET", PODS)
        await asyncio.sleep(0)
        assert not _timers(loop)


def _timers(loop: asyncio.AbstractEventLoop) -> list[asyncio.TimerHandle]:
    """What is to be called later."""
    return [handle for handle in loop._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]


@virtual
async def test_in_shadow_mode_what_is_held_is_counted() -> None:
    shadow = {"limits: [starting], queue": "mode: shadow, limits: [starting], queue"}
    async with cluster(**shadow) as one:
        for _ in range(3):
            await one.create()
        assert one.held() == 2
        assert [record.queued for record in one.counted.records] == [False, False, True]


@virtual
async def test_a_process_that_ends_waits_for_no_pod() -> None:
    async with cluster() as one:
        await one.create()
        one.leaving = 5.0
        under_way = asyncio.ensure_future(one.create())
        await asyncio.sleep(1)
        one.starts.stop()
        assert one.held() == 1
        await under_way
        assert one.held() == 0
        assert one.counted.ended == {"closed": 2}
        await one.create()
        assert not one.starts.expecting


@virtual
async def test_ten_creates_two_seats_and_never_three_pods_that_start() -> None:
    async with cluster() as one:
        most = 0

        def watch(asked: Asked) -> None:
            nonlocal most
            most = max(most, len(one.api.starting))

        one.api.script = watch
        creates = [asyncio.ensure_future(one.create()) for _ in range(10)]
        while not all(create.done() for create in creates) or one.api.starting:
            await asyncio.sleep(3)
            for number, name in enumerate(one.api.starting):
                (one.api.dies if number else one.api.ready)(name)
            await one.ask("GET", PODS)
        assert most == 2
        assert one.held() == 0


@virtual
async def test_a_create_beyond_the_limit_in_shadow_mode_is_not_followed() -> None:
    """It holds nothing, so nothing would ever end its start."""
    shadow = {"limits: [starting], queue": "mode: shadow, limits: [starting], queue"}
    async with cluster(**shadow) as one:
        for number in range(5):
            await one.create(f"p{number}")
        await asyncio.sleep(100_000)
        assert one.held() == 0
        assert not one.starts.expecting
