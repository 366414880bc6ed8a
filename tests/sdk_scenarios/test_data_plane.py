"""Refusals and failures on the data plane, in the three shapes it speaks: Connect streams, Connect calls, plain files.

E2B does not queue there, and the shipped policy does not either; here a policy does, so that it can be seen. What
matters most: an SDK must never take Headgate's trouble for the sandbox's end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web

from proxy.fakes import FakeE2B
from proxy.fakes.e2b_connect import STREAM, envelope
from proxy.fakes.server import FakeServer, Reply, hang_up
from tests.sdk.environments import Sdk
from tests.sdk.test_direct import common
from tests.sdk_scenarios.refusing import nobody_there
from tests.sdk_scenarios.remote import Remote, remote
from tests.sdk_scenarios.serving import until
from tests.support.proxies import running

CALLS: Final = {"run": "echo hello", "processes": None, "directory": "/", "read": "/x", "write": "/x", "alive": None}
"""A stream, two unary calls, a download, an upload, the health check."""
PLAIN: Final = {"read", "write", "alive"}
_POLICY: Final = """
version: 1
upstreams:
  limited: {{url: "{sandboxes}", dialect: e2b-sandbox, prefix: /limited}}
  unreachable: {{url: "{nobody}", dialect: e2b-sandbox, prefix: /unreachable}}
  closed: {{url: "{closed}", dialect: e2b-sandbox, prefix: /closed}}
  throttled: {{url: "{throttled}", dialect: e2b-sandbox, prefix: /throttled}}
  gone: {{url: "{gone}", dialect: e2b-sandbox, prefix: /gone}}
limits: {{seat: {{seats: 1, per: upstream}}}}
routes: [{{name: limited, match: {{upstream: limited}}, limits: [seat], queue: {{patience: 50ms, linger: 0}}}}]
"""
KINDS: Final = ("limited", "unreachable", "closed", "throttled", "gone")


def expected(sdk: Sdk, kind: str, call: str) -> str:
    """The class, without its language's suffix, of each call at each kind of trouble."""
    if kind in ("limited", "throttled"):
        # 2.10.2 has no such class for plain requests
        return "Sandbox" if sdk.version == "2.10.2" and call in PLAIN else "RateLimit"
    return "Sandbox"


@dataclass(frozen=True, slots=True)
class World:
    """Base URLs of each kind of trouble; the control plane is direct."""

    fake: FakeE2B
    url: str

    async def sandboxes(self, client: Remote, kinds: tuple[str, ...]) -> None:
        """A sandbox for each kind, named after it, with its data plane there."""
        for kind in kinds:
            await client.done("create", kind, api_url=self.fake.url, sandbox_url=f"{self.url}/{kind}")


async def always(stack: AsyncExitStack, reply: Reply | None) -> str:
    """The URL of a server that answers everything so, or hangs up."""

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        return hang_up(request, reset=False) if reply is None else reply.response()

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    server = FakeServer()
    stack.push_async_callback(server.close)
    return await server.serve(app)


@asynccontextmanager
async def troubled() -> AsyncIterator[World]:
    """The world. The one seat of ``limited`` is held by a command that does not end."""
    async with AsyncExitStack() as stack:
        fake = await stack.enter_async_context(FakeE2B())
        gone = Reply(502, {"sandboxId": "x", "message": "The sandbox was not found", "code": 502})
        urls = {
            "sandboxes": fake.sandbox_url,
            "nobody": stack.enter_context(nobody_there()),
            "closed": await always(stack, None),
            "throttled": await always(stack, Reply(429, "Too Many Requests", content_type="text/plain")),
            "gone": await always(stack, gone),
        }
        proxy = await stack.enter_async_context(running(_POLICY.format(**urls)))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        holding = await stack.enter_async_context(await endless(session, fake, f"{proxy.url}/limited"))
        assert holding.status == 200
        await until(lambda: proxy.held() == 1, "the seat is taken")
        yield World(fake, proxy.url)


async def endless(session: aiohttp.ClientSession, fake: FakeE2B, url: str) -> aiohttp.ClientResponse:
    """A command under way, through ``url``."""
    key = {"X-API-Key": "e2b_00c0ffee"}
    async with session.post(f"{fake.url}/v2/sandboxes", json={"templateID": "base"}, headers=key) as reply:
        made: Mapping[str, str] = await reply.json()
    headers = {
        "Content-Type": STREAM,
        "E2b-Sandbox-Id": made["sandboxID"],
        "X-Access-Token": made["envdAccessToken"],
    }
    start = envelope({"process": {"cmd": "/bin/bash", "args": ["-l", "-c", "sleep 3600"]}})
    return await session.post(f"{url}/process.Process/Start", data=start, headers=headers)


async def test_no_trouble_is_taken_for_the_sandboxes_end(sdk: Sdk) -> None:
    kinds = tuple(kind for kind in KINDS if kind != "gone")
    async with troubled() as world, remote(sdk) as client:
        await world.sandboxes(client, kinds)
        calls = {(kind, do): client.call(do, kind, arg) for kind in kinds for do, arg in CALLS.items()}
        told = {at: common((await call)["class"]) for at, call in calls.items()}
        assert told == {(kind, do): expected(sdk, kind, do) for kind in kinds for do in CALLS}


async def test_the_sandboxes_end_is_told_as_without(sdk: Sdk) -> None:
    async with troubled() as world, remote(sdk) as client:
        await world.sandboxes(client, ("gone",))
        await client.done("create", "direct", api_url=world.fake.url, sandbox_url=world.fake.sandbox_url)
        await client.done("kill", "direct")
        calls = [[client.call(do, name, arg) for do, arg in CALLS.items()] for name in ("gone", "direct")]
        through, direct = [[await call for call in row] for row in calls]
        assert [one["class"] for one in through] == [one["class"] for one in direct]
        assert through[-1] == direct[-1] == {"class": None, "value": False}
