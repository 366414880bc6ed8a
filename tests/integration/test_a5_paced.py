"""Scenario A5, a fifth of its size: creates come within a moment and go out at a rate, in order, fairly.

What leaves the pool is asserted to the letter in any window of a second. The upstream's own clock shows the same
as long as the way there takes about the same time for each: that, and the full size, is ``python -m tests.heavy``.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from proxy.admission.events import Arrive
from proxy.domain.errors import HeadgateError
from proxy.stores.memory import MemoryStore, MemoryVisit
from tests.support.callers import crowd
from tests.support.compiled import python_only
from tests.support.load import most_in_a_window
from tests.support.paced import POLICY, paced
from tests.support.proxies import running
from tests.support.upstreams import always, upstream
from tests.support.waiting import until

COUNT, RATE = 200, 100


@dataclass
class Grants:
    """When the pool let whom go, and how many had gone before the light tenant came."""

    times: list[float] = field(default_factory=list)
    tenants: list[str] = field(default_factory=list)
    before_light: int = -1


@pytest.fixture
def grants(monkeypatch: pytest.MonkeyPatch) -> Grants:
    """Looks at the store while it works."""
    seen, tenants = Grants(), dict[int, str]()
    arrive, settle = MemoryStore.arrive, MemoryVisit.settle

    def arrived(store: MemoryStore, arrival: Arrive) -> MemoryVisit:
        tenants[arrival.visit] = arrival.tenant
        if arrival.tenant == "light":
            seen.before_light = len(seen.times)
        return arrive(store, arrival)

    def settled(visit: MemoryVisit, error: HeadgateError | None) -> None:
        seen.times.append(asyncio.get_running_loop().time())
        seen.tenants.append(tenants[visit.id])
        settle(visit, error)

    monkeypatch.setattr(MemoryStore, "arrive", arrived)
    monkeypatch.setattr(MemoryVisit, "settle", settled)
    return seen


@python_only
async def test_no_window_of_a_second_lets_more_than_the_rate_out(grants: Grants) -> None:
    async with (
        upstream(always(201, b'{"sandboxID":"s"}')) as e2b,
        running(POLICY % {"url": e2b.url, "rate": RATE}) as proxy,
        crowd() as people,
    ):
        calls = []
        for number in range(COUNT):
            calls.append(asyncio.ensure_future(people.create(f"{proxy.url}/t/heavy/e2b", x_number=str(number))))
            await until(lambda number=number: proxy.waiting() + len(grants.times) > number)  # type: ignore[misc]
        light = await people.create(f"{proxy.url}/t/light/e2b", x_number="light")
        assert light.status == 201
        assert proxy.waiting() > 0, "the heavy tenant's queue stood all the while"
        assert {(await call).status for call in calls} == {201}
        order = [seen.get("x-number") for seen in e2b.seen]
    order.remove("light")
    assert order == [str(number) for number in range(COUNT)]
    assert len(grants.times) == COUNT + 1
    assert most_in_a_window(grants.times, 1.0) <= RATE
    assert min(later - earlier for earlier, later in pairwise(grants.times)) >= 0.99 / RATE
    assert grants.tenants.index("light") - grants.before_light <= 1, "every second turn is the light tenant's"


async def test_a_burst_before_a_real_process_is_paced_and_in_order(tmp_path: Path) -> None:
    run = await paced(COUNT, RATE, tmp_path)
    assert run.served == run.asked
    assert run.in_order
    assert run.took >= (COUNT - 1) / RATE
    assert run.ahead_of_light < COUNT / 4, "it did not wait behind the heavy tenant's queue"
