"""Upgrades: what leaves HTTP passes both ways as it comes, from the first byte to each side's own end."""

from __future__ import annotations

import asyncio

import pytest

from proxy.wire.sips import SIP
from tests.support.wire import Side, caller, happens, headgate, upstream
from tests.transparency.compare import TIMING, timeless

WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nHost: %b\r\nX-Before: 1\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SPDY = b"POST /exec?x HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nContent-Length: 0\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: %b\r\nConnection: Upgrade\r\nX-After: 1\r\n\r\n"
FRAME = b"\x82\x7e\x01\x00" + bytes(range(256))


async def test_a_websocket() -> None:
    async def script(side: Side) -> None:
        head = await side.head()
        assert b"\r\nUpgrade: websocket\r\n" in head and b"\r\nConnection: Upgrade\r\n" in head
        assert head.startswith(b"GET /ws HTTP/1.1\r\nHost: ") and b"\r\nX-Before: 1\r\n" in head
        side.send(SWITCH % b"websocket" + FRAME)
        while True:
            side.send(await side.exactly(1))

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(WEBSOCKET % b"a" + FRAME)
        head, added = timeless(await side.head())
        assert head == SWITCH % b"websocket" and added == 1
        assert await side.exactly(2 * len(FRAME)) == FRAME + FRAME, "what came along with either head"
        side.send(FRAME * 100)
        assert await side.exactly(100 * len(FRAME)) == FRAME * 100


async def test_a_spdy_exec() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH % b"SPDY/3.1")
        assert await side.exactly(len(FRAME)) == FRAME
        side.send(FRAME[::-1])

    async with upstream(script) as up, headgate(up.port) as proxy:
        async with caller(proxy.port) as side:
            side.send(SPDY % b"a")
            await side.head()
            side.send(FRAME)
            assert await side.rest() == FRAME[::-1]
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0)


@pytest.mark.parametrize("who", ["caller", "upstream"])
async def test_each_direction_has_its_own_end(who: str) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH % b"x")
        if who == "upstream":
            side.send(b"bye")
            side.half_close()
        assert await side.rest() == b"from the caller"
        if who == "caller":
            side.send(b"bye")

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(WEBSOCKET % b"a")
        await side.head()
        if who == "caller":
            side.send(b"from the caller")
            side.half_close()
        assert await side.rest() == b"bye"
        if who == "upstream":
            side.send(b"from the caller")
            side.half_close()
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0)
        assert (await up.connection()).received.endswith(b"from the caller")


async def test_an_upstream_that_says_101_and_all_and_ends() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH % b"x" + b"hello and bye")

    async with upstream(script) as up, headgate(up.port) as proxy:
        for _ in range(30):
            async with caller(proxy.port) as side:
                side.send(WEBSOCKET % b"a")
                await side.head()
                assert await side.rest() == b"hello and bye"
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0)


@pytest.mark.parametrize("who", ["caller", "upstream"])
async def test_a_side_that_is_lost_takes_the_other_along(who: str) -> None:
    lose = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH % b"x")
        if who == "upstream":
            await lose.wait()
            side.cut(reset=True)
        else:
            await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(WEBSOCKET % b"a")
        await side.head()
        if who == "caller":
            side.cut(reset=True)
        lose.set()
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0, 1.5)
        await side.rest()


REFUSALS = {
    "forbidden": b"HTTP/1.1 403 Forbidden\r\nX: y\r\nContent-Length: 2\r\n\r\nno",
    "answered-anyway": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_upgrade_is_an_ordinary_reply(refusal: bytes) -> None:
    async def script(side: Side) -> None:
        while True:
            await side.head()
            side.send(refusal)

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        for _ in range(2):
            side.send(WEBSOCKET % b"a")
            reply, _ = timeless(await side.until(b"\r\n\r\nno"))
            assert reply == refusal
        assert len(up.connections) == 1


async def test_a_426_says_what_would_be_accepted() -> None:
    refusal = b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.0\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n"

    async def script(side: Side) -> None:
        await side.head()
        side.send(refusal)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = TIMING.sub(b"", await side.head())
        assert sorted(reply.split(b"\r\n")) == sorted(refusal.split(b"\r\n"))


async def test_what_follows_a_refused_upgrade_is_no_request() -> None:
    """aiohttp GHSA-mfx4-hv73-q22v: bytes that were meant for the other protocol must not be parsed."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(REFUSALS["forbidden"])
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(WEBSOCKET % b"a" + b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = await side.rest()
        assert reply.count(b"HTTP/1.1 ") == 1 and b"\r\nConnection: close\r\n" in reply
        assert b"smuggled" not in up.saw


async def test_a_slow_side_stalls_only_its_own_direction() -> None:
    """What one side does not read is not gathered here: the other side has to wait."""
    size = 32 << 20
    sent = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH % b"x")
        side.send(bytes(size))
        await side.drain()
        sent.set()
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.stop_reading()
        side.send(WEBSOCKET % b"a")
        theirs = await up.connection()
        await theirs.sees(b"\r\n\r\n")
        side.send(b"the other direction")
        await theirs.sees(b"the other direction")
        assert not sent.is_set()
        (slow,), (quick,) = proxy.app.front._connections, proxy.app.connections._open
        await happens(lambda: not quick.transport.is_reading())
        assert slow.transport.get_write_buffer_size() <= SIP, "what is in hand is one sip at most"
        side.read_on()
        await side.head()
        assert len(await side.exactly(size)) == size


async def test_two_hundred_tunnels_at_once() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(SWITCH % b"x")
        while True:
            side.send(await side.exactly(len(FRAME)))

    async def tunnel(port: int, number: int) -> None:
        async with caller(port) as side:
            side.send(WEBSOCKET % b"a")
            await side.head()
            everyone.append(number)
            await happens(lambda: len(everyone) == 200)
            mine = bytes([number]) * len(FRAME)
            for _ in range(5):
                side.send(mine)
                assert await side.exactly(len(FRAME)) == mine

    everyone: list[int] = []
    async with upstream(script) as up, headgate(up.port) as proxy:
        await asyncio.gather(*(tunnel(proxy.port, number) for number in range(200)))
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0)
