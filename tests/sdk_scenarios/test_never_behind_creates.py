"""kill, set_timeout and list of an SDK process never wait behind the creates of the same process, whatever it holds.

The creates' fake stands still, so what returns here returns while every one of them is held: no clock is read.
The bound that matters is the SDK's own: above 200 (Python) or 100 (JavaScript) connections it would hold its kill back
by itself; the shipped policy refuses before that.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from proxy.fakes.e2b_faults import parse
from tests.sdk.environments import Sdk
from tests.sdk_scenarios.remote import Remote, remote
from tests.sdk_scenarios.serving import ROOT, until
from tests.support.proxies import Proxy, running

SHIPPED = Path(ROOT, "policies", "e2b.yaml").read_text()
HELD_SECONDS = 30.0
"""On the fake's clock."""
IN_FLIGHT, MAY_WAIT = 4, 64
"""The shipped policy's seats and bound."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One SDK process with a sandbox called ``victim``; every later create is held by the upstream."""

    fake: FakeE2B
    clock: ManualClock
    proxy: Proxy
    client: Remote
    victim: str

    def create(self, count: int) -> list[Future[dict[str, Any]]]:
        """Start so many creates at once."""
        return [self.client.call("create", str(number)) for number in range(count)]

    async def use_the_victim(self) -> None:
        """List, extend, look, kill."""
        assert self.victim in await self.client.done("list")
        await self.client.done("set_timeout", "victim", 900)
        assert (await self.client.done("info", "victim")).endswith("running")
        assert await self.client.done("kill", "victim") is True
        assert self.fake.seen.deletes == [self.victim]


@asynccontextmanager
async def scene(sdk: Sdk) -> AsyncIterator[Scene]:
    """The shipped policy, with a rate that is no bound here."""
    clock = ManualClock()
    config = E2BConfig(live_limit=1000, faults=(parse(f"create:2-999:done:answer:{HELD_SECONDS}"),))
    async with FakeE2B(config, clock=clock) as fake:
        settings = {"E2B_UPSTREAM_URL": fake.url, "E2B_CREATE_RATE": "1000/s"}
        async with running(SHIPPED, settings) as proxy, remote(sdk, url=f"{proxy.url}/e2b") as client:
            victim = await client.done("create", "victim")
            yield Scene(fake, clock, proxy, client, victim)


async def test_sixty_creates_held_by_one_process(both_newest: Sdk) -> None:
    async with scene(both_newest) as s:
        creates = s.create(60)
        await until(lambda: s.proxy.waiting() == 60 - IN_FLIGHT, "56 wait in the queue")
        await s.fake.until(lambda: s.fake.seen.in_flight == IN_FLIGHT)
        await s.use_the_victim()
        assert not any(create.done() for create in creates)
        assert s.proxy.waiting() == 60 - IN_FLIGHT
        for _ in range(60 // IN_FLIGHT):
            await s.clock.sleeping(IN_FLIGHT)
            await s.clock.advance(HELD_SECONDS)
        told = [await create for create in creates]
        assert [one["class"] for one in told] == [None] * 60
        assert len({one["value"] for one in told}) == 60
        assert len(s.fake.seen.creates) == 61
        assert s.fake.seen.max_in_flight == IN_FLIGHT


async def test_more_creates_than_the_sdk_has_connections(both_newest: Sdk) -> None:
    """250: the policy refuses what would fill the SDK's pool, so its kill still finds a connection."""
    async with scene(both_newest) as s:
        creates = s.create(250)
        await until(lambda: s.proxy.waiting() == MAY_WAIT, "the queue is full")
        await s.use_the_victim()
        assert sum(not create.done() for create in creates) >= MAY_WAIT + IN_FLIGHT
        assert s.proxy.waiting() == MAY_WAIT
        await s.client.close()  # in the middle of everything
        await until(lambda: s.proxy.waiting() == 0, "who waited has left")
        await s.clock.sleeping(IN_FLIGHT)
        await s.clock.advance(HELD_SECONDS)
        await until(lambda: not s.proxy.app.store.view().tickets, "what was sent is finished, and its seats are free")
        assert len(s.fake.seen.creates) == 1 + IN_FLIGHT
