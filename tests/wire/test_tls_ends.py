"""TLS on either side: tunnels and ends. Whoever ends, every byte that was sent before arrives."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from proxy.wire import tunnel
from proxy.wire.sockets import peer_ended
from tests.support.abrupt import call_once, serve_once
from tests.support.tls_chain import BOTH, Chain, Place, legs
from tests.support.tls_listener import secured, tls_caller
from tests.support.waiting import turns
from tests.support.wire import Counting, Side, Upstream, happens

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
UPGRADE = b"GET /exec HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: SPDY/3.1\r\nConnection: Upgrade\r\n\r\n"
MIB = 1 << 20
SOME = bytes(range(256)) * 400
"""100 KiB: less than TLS would read ahead."""

REPLIES = {
    "tunnel": (UPGRADE, SWITCH),
    "reply": (GET, b"HTTP/1.1 200 OK\r\n\r\n"),
    "length": (GET, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(SOME)),
}


@pytest.mark.parametrize("first", ["tls", "plain"])
@pytest.mark.parametrize(("request_head", "head"), REPLIES.values(), ids=REPLIES)
async def test_what_came_while_nothing_was_read(place: Place, first: str, request_head: bytes, head: bytes) -> None:
    """The upstream sends all, tells its end and closes while the proxy must not read (its caller is slow)."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with secured(port, place.folder, ca=place.authority.file, policy=BOTH) as proxy:
            chain = Chain(proxy, Upstream(lambda side: side.drain()), first == "tls")
            go = threading.Event()
            serving = asyncio.ensure_future(asyncio.to_thread(serve_once, listener, place.theirs, go, head + SOME))
            async with chain.caller() as side:
                side.send(request_head)
                await happens(lambda: proxy.app.connections.open == 1)
                (connection,) = proxy.app.connections._open
                connection.transport.pause_reading()
                go.set()
                await serving
                await happens(lambda: peer_ended(connection.transport))
                await turns(10)
                connection.transport.resume_reading()
                await side.head()
                assert await side.exactly(len(SOME)) == SOME
                if head != REPLIES["length"][1]:
                    assert await side.rest() == b"" and not side.reset
            await happens(chain.gone)


@pytest.mark.parametrize("second", ["tls", "plain"])
async def test_what_a_caller_sent_while_nothing_was_read(place: Place, second: str) -> None:
    """The other way: a caller over TLS sends all, tells its end and closes; the upstream is slow."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH)
        assert await side.rest() == SOME

    async with place.chain(f"tls-{second}", script) as chain:
        go, context = threading.Event(), chain.proxy.trust
        calling = asyncio.ensure_future(asyncio.to_thread(call_once, chain.proxy.port, context, go, UPGRADE, SOME))
        await happens(lambda: any(c._tunnel is not None for c in chain.proxy.app.front._connections))
        (connection,) = chain.proxy.app.front._connections
        connection.transport.pause_reading()
        go.set()
        await calling
        await happens(lambda: peer_ended(connection.transport))
        await turns(10)
        connection.transport.resume_reading()
        await happens(chain.gone)
        await (await chain.up.connection()).rest()


@legs
async def test_a_caller_that_talks_on_gets_all_the_same(place: Place, legs: str) -> None:
    """The upstream has ended, much is still on its way to the caller, and that one sends a ping: no reset."""
    size = 3 * MIB

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH + bytes(size))
        ended.set()
        if legs.endswith("plain"):  # who closes with bytes unread resets, and that would be its own loss
            side.half_close()
            await side.rest()

    ended = asyncio.Event()
    async with place.chain(legs, script) as chain, chain.caller() as side:
        side.stop_reading()
        side.send(UPGRADE)
        await ended.wait()
        if legs.endswith("tls"):
            await happens(lambda: chain.proxy.app.connections.open == 0)
        for _ in range(5):
            side.send(b"ping")
            await side.drain()
            await turns(20)
        side.read_on()
        await side.head()
        assert await side.exactly(size) == bytes(size)
        assert await side.rest() == b"" and not side.reset
        side.cut()
        await happens(chain.gone)


@legs
@pytest.mark.parametrize("who", ["caller", "upstream"])
async def test_an_end_crosses_at_once(place: Place, legs: str, who: str) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH)
        if who == "upstream":
            side.send(b"bye")
            return
        assert await side.rest() == b"bye"

    async with place.chain(legs, script) as chain:
        async with chain.caller() as side:
            side.send(UPGRADE)
            await side.head()
            if who == "upstream":
                assert await side.rest() == b"bye"
            else:
                side.send(b"bye")
                side.writer.close()
                theirs = await chain.up.connection()
                await theirs.ended.wait()
                assert theirs.received.endswith(b"\r\n\r\nbye")
        await happens(chain.gone)


@legs
@pytest.mark.parametrize("who", ["caller", "upstream"])
async def test_a_lost_side_takes_the_other_along(place: Place, legs: str, who: str) -> None:
    lose = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH)
        if who == "upstream":
            await lose.wait()
            side.cut(reset=True)
        else:
            await side.rest()

    async with place.chain(legs, script) as chain, chain.caller() as side:
        side.send(UPGRADE)
        await side.head()
        if who == "caller":
            side.cut(reset=True)
        lose.set()
        await happens(chain.gone)
        await side.rest()


@legs
async def test_a_tunnel_that_may_last_no_longer(place: Place, legs: str) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH)
        await side.rest()

    async with place.chain(legs, script, "{total: 300ms}") as chain, chain.caller() as side:
        side.send(UPGRADE)
        await side.head()
        await side.rest()
        await happens(chain.gone)


@pytest.mark.parametrize("legs", ["tls-tls", "plain-tls"])
@pytest.mark.parametrize("reads", [True, False])
async def test_who_never_ends_is_not_waited_for_for_ever(
    place: Place, legs: str, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The upstream has ended. The caller has all of it and does not end, or takes nothing of it."""
    monkeypatch.setattr(tunnel, "_LOOK", 0.05)
    monkeypatch.setattr(tunnel, "_STALL", 0.2)

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH + bytes(1000 if reads else MIB))

    async with place.chain(legs, script) as chain, chain.caller() as side:
        if not reads:
            side.stop_reading()
        side.send(UPGRADE)
        await chain.up.connection()
        await happens(chain.gone)


async def test_twenty_megabytes_through_an_exec(place: Place) -> None:
    """Both legs TLS, a caller that reads in its own time, an upstream that closes behind its last byte."""
    size = 20_000_000

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH)
        for _ in range(size // 20_000):
            side.send(bytes(20_000))
            await side.drain()

    async with place.chain("tls-tls", script) as chain:
        for _ in range(5):
            async with tls_caller(chain.proxy.port, chain.proxy.trust, Counting) as side:
                assert isinstance(side, Counting)
                side.send(UPGRADE)
                head = len(await side.head())
                while not side.ended.is_set():
                    side.stop_reading()
                    await turns(3)
                    side.read_on()
                    await turns(3)
                assert side.size - head == size and not side.reset
        await happens(chain.gone)
