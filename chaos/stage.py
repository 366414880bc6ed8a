"""The stage of a run: callers, Headgate, the fake E2B and the fake Temper, with toxiproxy before each of the two.

Everything but toxiproxy lives in one event loop, so that what is counted on one side can be compared with what is known
on the other at the same moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from chaos.crowd import Crowd, address
from chaos.faults import CREATE_SECONDS
from chaos.ledger import HeldClock, Ledger, WatchedE2B
from chaos.report import Place
from chaos.toxics import Link, Toxiproxy
from proxy.couriers.carrier import HttpCarrier
from proxy.couriers.recipe import Letter
from proxy.domain.ids import Seconds
from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.temper import FakeTemper
from tests.support.proxies import Proxy, running

TENANT: Final = "acme"

NOT_PROCESSED: Final = "503"
"""What Headgate says of an upstream that cannot be reached; where a request was sent it says 504 instead."""

POLICY = """
version: 1
upstreams: {{e2b: {{url: "{e2b}", dialect: e2b, prefix: /e2b}}}}
limits: {{creates: {{seats: {seats}, per: upstream}}}}
routes:
  - name: create
    match: {{upstream: e2b, operation: create}}
    limits: [creates]
    queue: {{patience: 60s, waiting: {{per_tenant: 1000, total: 1000}}}}
    retry: {{attempts: 4, backoff: 20ms..200ms, budget: 100%}}
    progress: [curation]
progress:
  curation:
    to: "{temper}/tdata/CurationJobs('{{header:x-job-id}}')/Katagami.Curation.RecordProgress"
    headers: {{X-Tenant-Id: acme}}
    body: {{progress_log: "queued {{waited}}s, position {{position}}"}}
    first: 1ms
    every: {every}
"""
"""Retries are allowed generously: what must not be sent twice must not be, however many tries the policy grants."""


@dataclass(slots=True)
class Deliveries:
    """Progress calls as the couriers make them, counted by how they ended."""

    carry: HttpCarrier
    under_way: int = 0
    ended: int = 0
    """Came to an end by themselves: a reply, an error, or the delivery's own timeout; not cut off by a grant."""

    async def __call__(self, letter: Letter, timeout: Seconds) -> int:
        self.under_way += 1
        cut_off = True
        try:
            status = await self.carry.carry(letter, timeout)
            cut_off = False
            return status
        except Exception:
            cut_off = False
            raise
        finally:
            self.under_way -= 1
            self.ended += not cut_off


@dataclass(slots=True)
class Stage:
    """Everything that plays a part."""

    proxy: Proxy
    temper: FakeTemper
    e2b: WatchedE2B
    clock: HeldClock
    ledger: Ledger
    crowd: Crowd
    deliveries: Deliveries
    links: dict[Place, Link]

    async def ask(self, numbers: range) -> None:
        """These callers come, and jobs wait for them at the fake Temper."""
        for number in numbers:
            self.temper.job(TENANT, running=True, id=f"job-{number}")
        await self.crowd.ask(f"{self.proxy.url}/e2b", numbers)

    def present(self) -> int:
        """Callers that have come: they wait at Headgate, or their create has arrived at the upstream."""
        return self.proxy.waiting() + len(self.ledger.arrivals)

    def busy(self) -> int:
        """Headgate's connections to the upstream that are not idle."""
        connections = self.proxy.app.connections
        return connections.open - connections.idle

    def beats(self) -> Counter[str]:
        """Beats so far, by how they ended."""
        counts = self.proxy.app.metrics._beats
        return Counter({result: int(count) for (_, result), count in counts.items() if count})

    def recorded(self) -> int:
        """Beats that the fake Temper has taken."""
        return sum(call.status == 200 for call in self.temper.calls())

    def mixed_up(self) -> list[int]:
        """Callers who hold a sandbox that was not made for them."""
        theirs = {sandbox.id: sandbox.metadata.get("caller") for sandbox in self.e2b.fleet}
        held = ((caller.number, caller.sandbox) for caller in self.crowd.callers.values())
        return sorted(number for number, sandbox in held if sandbox and theirs.get(sandbox) != str(number))

    def denied(self) -> list[int]:
        """Callers who were told that their create was not processed, while the upstream had it."""
        told = (number for number, caller in self.crowd.callers.items() if caller.outcome == NOT_PROCESSED)
        return sorted(number for number in told if self.ledger.arrivals[number] > self.ledger.refused[number])


@asynccontextmanager
async def stage(server: Toxiproxy, *, seats: int, cap: int, every: str) -> AsyncIterator[Stage]:
    """Set it up, with creates held at the fake, and clear it away. ``cap`` is what the ledger allows."""
    crowd, clock = Crowd(), HeldClock()
    ledger = Ledger(cap, crowd.ended)
    config = E2BConfig(create_seconds=CREATE_SECONDS, live_limit=10_000)
    e2b = WatchedE2B(config, clock, ledger)
    async with e2b, FakeTemper() as temper:
        with (
            server.between("upstream", *address(e2b.url)) as up,
            server.between("receiver", *address(temper.url)) as receiver,
        ):
            text = POLICY.format(e2b=_url(up), temper=_url(receiver), seats=seats, every=every)
            async with running(text) as proxy:
                deliveries = Deliveries(proxy.app._carrier)
                proxy.app.couriers._carry = deliveries
                links: dict[Place, Link] = {"upstream": up, "receiver": receiver}
                scene = Stage(proxy, temper, e2b, clock, ledger, crowd, deliveries, links)
                ledger.busy = scene.busy
                try:
                    yield scene
                finally:
                    crowd.leave()


def _url(link: Link) -> str:
    return f"http://{link.host}:{link.port}"
