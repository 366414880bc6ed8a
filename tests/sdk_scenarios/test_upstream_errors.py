"""Every way in which the control plane fails, through Headgate: the proper class in each SDK, and no create sent twice
that may have worked. Directly, newer Python SDKs raise ``JSONDecodeError`` and ``KeyError`` on half of these, and send
four creates (``tests/sdk/test_direct.py``).
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from aiohttp import web

from proxy.fakes import E2BConfig, FakeE2B
from proxy.fakes.e2b_faults import ANSWERS, parse
from proxy.fakes.server import FakeServer, Reply
from tests.sdk.environments import Sdk
from tests.sdk.test_direct import common
from tests.sdk_scenarios.remote import Remote, remote
from tests.sdk_scenarios.serving import serving
from tests.support.proxies import Proxy, running

MORE: Final = {
    **{f"empty-{status}": Reply(status) for status in (429, 500, 502, 504, 404)},
    **{
        f"page-{status}": Reply(status, "<p>no</p>", content_type="text/html")
        for status in (400, 401, 403, 404, 409, 500)
    },
    "429-without-code": Reply(429, {"message": "slow down"}),
    "429-of-another-shape": Reply(429, ["slow down"]),
}
"""Answers beside the fake's own: empty ones, pages of something in front, JSON that the SDKs cannot read."""
BROKEN: Final = ("reset", "close")
ALL: Final = (*ANSWERS, *MORE, *BROKEN)
USUAL: Final = {"401": "Authentication", "429": "RateLimit", "503": "ServiceBusy"}
SAFE: Final = {"429", "429-concurrency", "edge-429", "empty-429", "429-without-code", "429-of-another-shape", "503"}
"""What says that nothing was made."""


def status_of(what: str) -> str:
    """The status the SDK gets."""
    return "504" if what in BROKEN else next(part for part in what.split("-") if part.isdigit())


def expected(sdk: Sdk, what: str) -> str:
    """The class without its language's suffix."""
    status = status_of(what)
    return "Sandbox" if status == "503" and sdk.version in ("2.30.0", "2.10.2") else USUAL.get(status, "Sandbox")


def tries(sdk: Sdk, what: str) -> int:
    """How often the SDK may send the create: again only where that is safe, and its version would."""
    if sdk.version == "2.63.0":
        return 4 if what in SAFE else 1
    return 4 if sdk.version == "2.51.0" and what == "429" else 1


@asynccontextmanager
async def failing(done: str = "undone", retry: str = "") -> AsyncIterator[tuple[Proxy, dict[str, FakeE2B]]]:
    """A proxy with an upstream for each kind of failure, which befalls every create there."""
    async with AsyncExitStack() as stack:
        fakes = {}
        for what in ALL:
            config = E2BConfig(faults=(parse(f"create:1-99:{done}:{what}"),))
            fakes[what] = await stack.enter_async_context(FakeE2B(config))
        upstreams = "".join(f'  u-{w}: {{url: "{f.url}", dialect: e2b, prefix: /{w}}}\n' for w, f in fakes.items())
        routes = (
            "".join(f"  - {{name: r-{w}, match: {{upstream: u-{w}}}, {retry}}}\n" for w in fakes) if retry else " []"
        )
        proxy = await stack.enter_async_context(running(f"version: 1\nupstreams:\n{upstreams}routes:\n{routes}"))
        yield proxy, fakes


async def create_at_each(client: Remote, proxy: Proxy) -> dict[str, dict[str, Any]]:
    """A create at every upstream, all at once; how each ended."""
    calls = {what: client.call("create", what, api_url=f"{proxy.url}/{what}") for what in ALL}
    return {what: await call for what, call in calls.items()}


@pytest.fixture(autouse=True)
def _more_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, reply in MORE.items():
        monkeypatch.setitem(ANSWERS, name, reply)


async def test_creates_that_the_upstream_refuses(sdk: Sdk) -> None:
    async with failing() as (proxy, fakes), remote(sdk) as client:
        told = await create_at_each(client, proxy)
        assert {what: common(one["class"]) for what, one in told.items()} == {what: expected(sdk, what) for what in ALL}
        assert {
            what: one["status"] for what, one in told.items() if one["status"] not in (None, int(status_of(what)))
        } == {}
        assert {what: len(fakes[what].seen.creates) for what in ALL} == {what: tries(sdk, what) for what in ALL}


async def test_a_create_that_worked_is_never_sent_again(both_newest: Sdk) -> None:
    ambiguous = [what for what in ALL if status_of(what) in ("502", "503", "504") and what not in SAFE]
    retry = "retry: {attempts: 5, backoff: 10ms..20ms}"
    async with failing("done", retry) as (proxy, fakes), remote(both_newest) as client:
        calls = [client.call("create", what, api_url=f"{proxy.url}/{what}") for what in ambiguous]
        assert [common((await call)["class"]) for call in calls] == [expected(both_newest, what) for what in ambiguous]
        assert {what: len(fakes[what].live()) for what in ambiguous} == dict.fromkeys(ambiguous, 1)


@pytest.mark.parametrize("what", ["429", "429-concurrency", "edge-429", "503"])
async def test_the_shipped_policy_waits_out_what_passes(what: str, newest: Sdk, tmp_path: Any) -> None:
    config = E2BConfig(faults=(parse(f"create:1-2:undone:{what}"),))
    async with FakeE2B(config) as fake, serving(fake, tmp_path, E2B_CREATE_RATE="1000/s") as headgate:
        async with remote(newest) as client:
            await client.done("create", "one", api_url=f"{headgate.url}/e2b", retries=0)
        assert len(fake.seen.creates) == 3
        assert len(fake.live()) == 1


COMPRESSED: Final = {
    "json": (b'{"code": 429, "message": "said in gzip"}', "application/json"),
    "page": (b"<html>said in gzip</html>", "text/html"),
}


@pytest.mark.parametrize("kind", COMPRESSED)
async def test_a_compressed_error(kind: str, sdk: Sdk) -> None:
    body, content_type = COMPRESSED[kind]

    async def answer(_: web.Request) -> web.Response:
        headers = {"Content-Type": content_type, "Content-Encoding": "gzip"}
        return web.Response(status=429, body=gzip.compress(body), headers=headers)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    async with AsyncExitStack() as stack:
        upstream = FakeServer()
        stack.push_async_callback(upstream.close)
        url = await upstream.serve(app)
        proxy = await stack.enter_async_context(
            running(f'{{version: 1, upstreams: {{e2b: {{url: "{url}", dialect: e2b}}}}}}')
        )
        client = await stack.enter_async_context(remote(sdk))
        told = await client.call("create", "one", api_url=proxy.url)
        assert common(told["class"]) == "RateLimit"
        assert "said in gzip" in told["message"]
