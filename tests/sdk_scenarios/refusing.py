"""A proxy in which every refusal of Headgate's own can be met, each at an upstream of its own. Not a test.

The upstreams of one world are fakes whose clock stands still, so that whoever holds a seat holds it for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass

import aiohttp

from proxy.admission.view import TicketState, TicketView
from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from proxy.fakes.e2b_faults import parse
from tests.sdk_scenarios.serving import until
from tests.support.proxies import Proxy, running

KEY = "e2b_00c0ffee"
_POLICY = """
version: 1
tenants: {{identify: [{{path: true, trusted: [10.0.0.0/8]}}, credential]}}
upstreams:
  full: {{url: "{held}", dialect: e2b, prefix: /full}}
  late: {{url: "{held}", dialect: e2b, prefix: /late}}
  early: {{url: "{held}", dialect: e2b, prefix: /early}}
  evicted: {{url: "{held}", dialect: e2b, prefix: /evicted}}
  superseded: {{url: "{held}", dialect: e2b, prefix: /superseded}}
  big: {{url: "{big}", dialect: e2b, prefix: /big}}
  unreachable: {{url: "{nobody}", dialect: e2b, prefix: /unreachable}}
  closed: {{url: "{closed}", dialect: e2b, prefix: /closed}}
  reset: {{url: "{reset}", dialect: e2b, prefix: /reset}}
limits:
  seat: {{seats: 1, per: upstream}}
  four: {{seats: 4, per: upstream}}
routes:
  - {{name: full, match: {{upstream: full}}, limits: [seat], queue: {{waiting: {{per_tenant: 1, total: 1}}}}}}
  - {{name: late, match: {{upstream: late}}, limits: [seat], queue: {{patience: 100ms}}}}
  - {{name: early, match: {{upstream: early}}, limits: [seat], queue: {{patience: 0, linger: 0, refuse_early: true}}}}
  - {{name: evicted, match: {{upstream: evicted}}, limits: [seat]}}
  - {{name: superseded, match: {{upstream: superseded}}, limits: [seat]}}
  - {{name: big, match: {{upstream: big}}, limits: [four]}}
"""
_COUNT = re.compile(r'^headgate_requests_total\{[^}]*upstream="([^"]*)"[^}]*\} ([0-9.]+)$', re.MULTILINE)


def counts(proxy: Proxy) -> dict[str, int]:
    """Requests that are over, by upstream."""
    told: dict[str, int] = {}
    for upstream, number in _COUNT.findall(proxy.app.metrics.text()[0].decode()):
        told[upstream] = told.get(upstream, 0) + int(float(number))
    return told


@dataclass(frozen=True, slots=True)
class World:
    """A proxy whose seats are taken, and its upstreams by name."""

    proxy: Proxy
    fakes: Mapping[str, FakeE2B]
    session: aiohttp.ClientSession

    def post(self, upstream: str, **headers: str) -> asyncio.Task[aiohttp.ClientResponse]:
        """A create of somebody else's, under way."""
        url = f"{self.proxy.url}/{upstream}/v2/sandboxes"
        said = {"X-API-Key": KEY} | {name.replace("_", "-"): value for name, value in headers.items()}
        return asyncio.ensure_future(self.session.post(url, json={"templateID": "other"}, headers=said))

    def waiting(self, route: str) -> list[TicketView]:
        """The tickets that wait there."""
        tickets = self.proxy.app.store.view().tickets
        return [t for t in tickets if t.route == route and t.state is TicketState.WAITING]


@contextlib.contextmanager
def nobody_there() -> Iterator[str]:
    """The URL of a port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.asynccontextmanager
async def refusing() -> AsyncIterator[World]:
    """The world, with one seat of every queue taken and one more caller waiting at ``full``."""
    async with contextlib.AsyncExitStack() as stack:
        held = await stack.enter_async_context(FakeE2B(E2BConfig(create_seconds=60), clock=ManualClock()))
        fakes = {"held": held, "big": await stack.enter_async_context(FakeE2B())}
        for kind in ("closed", "reset"):
            what = {"closed": "close", "reset": "reset"}[kind]
            config = E2BConfig(faults=(parse(f"create:1-99:done:{what}"),))
            fakes[kind] = await stack.enter_async_context(FakeE2B(config))
        urls = {name: fake.url for name, fake in fakes.items()}
        nobody = stack.enter_context(nobody_there())
        proxy = await stack.enter_async_context(running(_POLICY.format(nobody=nobody, **urls)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        world = World(proxy, fakes, session)
        tasks = [world.post(name) for name in ("full", "late", "early", "evicted", "superseded")]
        stack.push_async_callback(_cancel, tasks)
        await until(lambda: proxy.held() == 5, "every seat is taken")
        tasks.append(world.post("full"))
        await until(lambda: len(world.waiting("full")) == 1, "one waits at the full queue")
        yield world


async def _cancel(tasks: list[asyncio.Task[aiohttp.ClientResponse]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
