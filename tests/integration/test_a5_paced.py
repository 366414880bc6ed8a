"""Scenario A5, a fifth of its size: creates come within a moment and go out at a rate, in order, fairly.

What leaves the pool is asserted to the letter in any window of a second. The upstream's own clock shows the same
as long as the way there takes about the same time for each: that, and the full size, is ``python -m tests.heavy``.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.domain.errors import HeadgateError
from proxy.stores.memory import MemoryVisit
from tests.support.callers import crowd
from tests.support.load import most_in_a_window
from tests.support.paced import POLICY, paced
from tests.support.proxies import running
from tests.support.upstreams import always, upstream
from tests.support.waiting import until

COUNT, RATE = 200, 100


async def test_no_window_of_a_second_lets_more_than_the_rate_out(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    grants: list[float] = []
    settle = MemoryVisit.settle

    def settled(visit: MemoryVisit, error: HeadgateError | None) -> None:
        grants.append(loop.time())
        settle(visit, error)

    monkeypatch.setattr(MemoryVisit, "settle", settled)
    async with (
        upstream(always(201, b'{"sandboxID":"s"}')) as e2b,
        running(POLICY % {"url": e2b.url, "rate": RATE}) as proxy,
        crowd() as people,
    ):
        calls = []
        for number in range(COUNT):
            calls.append(asyncio.ensure_future(people.create(f"{proxy.url}/t/heavy/e2b", x_number=str(number))))
            await until(lambda number=number: proxy.waiting() + len(e2b.seen) > number)  # type: ignore[misc]
        assert {(await call).status for call in calls} == {201}
        order = [int(seen.get("x-number") or -1) for seen in e2b.seen]
    assert order == list(range(COUNT))
    assert len(grants) == COUNT
    assert most_in_a_window(grants, 1.0) <= RATE
    assert min(later - earlier for earlier, later in pairwise(grants)) >= 0.99 / RATE


async def test_a_burst_before_a_real_process_is_paced_in_order_and_fairly(tmp_path: Path) -> None:
    run = await paced(COUNT, RATE, tmp_path)
    assert run.served == run.asked
    assert run.in_order
    assert run.took >= (COUNT - 1) / RATE
    assert run.peak <= 128
    assert run.ahead_of_light <= 2, "beside one other tenant every second turn is the light one's"
