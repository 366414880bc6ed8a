"""``Expect: 100-continue``: the upstream decides, and the body goes when the caller sends it."""

from __future__ import annotations

import asyncio

from tests.support.wire import Side, caller, happens, headgate, upstream
from tests.transparency.compare import assert_same

HEAD = b"POST /u HTTP/1.1\r\nHost: %b\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
DONE = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"

LIMITED = """
version: 1
upstreams:
  api: {url: "http://127.0.0.1:%(port)d"}
tenants: {identify: [path], default: all}
limits: {one: {seats: 1}}
routes: [{name: all, match: {upstream: api}, limits: [one]}]
timeouts: {body_stall: 1s}
"""


async def test_the_upstream_says_go_on() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(CONTINUE)
        await side.exactly(5)
        side.send(DONE)
        await side.rest()

    async def talk(side: Side, authority: bytes) -> None:
        side.send(HEAD % authority)
        assert await side.head() == CONTINUE
        side.send(b"hello")
        await side.head()

    await assert_same(script, talk)


async def test_the_upstream_says_nothing_and_the_caller_goes_on() -> None:
    async def script(side: Side) -> None:
        await side.head()
        await side.exactly(5)
        side.send(DONE)
        await side.rest()

    async def talk(side: Side, authority: bytes) -> None:
        side.send(HEAD % authority)
        side.send(b"hello")
        await side.head()

    await assert_same(script, talk)


async def test_the_upstream_says_no() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n")
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(HEAD % b"a")
        assert (await side.head()).startswith(b"HTTP/1.1 417 Expectation Failed\r\n")
        await side.rest()
        assert up.saw.endswith(b"\r\n\r\n")


async def test_a_queued_caller_hears_100_only_after_admission() -> None:
    """Also when it waits longer than a body may stall: it owes no byte before it was told to go on."""
    go_on = asyncio.Event()

    async def script(side: Side) -> None:
        while True:
            if b"/first" in await side.head():
                await go_on.wait()
            else:
                side.send(CONTINUE)
                await side.exactly(5)
            side.send(DONE)

    async with (
        upstream(script) as up,
        headgate(up.port, LIMITED) as proxy,
        caller(proxy.port) as first,
        caller(proxy.port) as second,
    ):
        first.send(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n")
        await (await up.connection()).sees(b"\r\n\r\n")
        second.send(HEAD % b"a")
        await happens(lambda: len(proxy.app.store.view().tickets) == 2)
        clock = asyncio.get_running_loop().time
        late = clock() + 1.7  # the stall, a sweep, and some
        await happens(lambda: clock() > late)
        assert up.saw.count(b"HTTP/1.1") == 1 and second.received == b""
        go_on.set()
        assert await second.head() == CONTINUE
        second.send(b"hello")
        assert (await second.head()).startswith(b"HTTP/1.1 201 Created\r\n")
