"""Those who take their time, and those who take too much: they get their end, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.memory import resident
from tests.support.wire import Running, Side, caller, happens, headgate, upstream

POLICY = """
version: 1
upstreams: {api: {url: "http://127.0.0.1:%(port)d"}}
timeouts: {header: 400ms, body_stall: 400ms, write_stall: 600ms, idle: 400ms}
"""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def answers(side: Side) -> None:
    while True:
        head = await side.head()
        if b"POST /wait" in head:
            await side.rest()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n" if b"GET /big" in head else OK)
        while b"GET /big" in head:
            side.send(bytes(1 << 20))
            await side.drain()


async def is_served(port: int) -> None:
    """Somebody else comes and is answered."""
    async with caller(port) as other:
        other.send(GET)
        assert (await other.head()).startswith(b"HTTP/1.1 200 OK\r\n")


@asynccontextmanager
async def running(policy: str = POLICY) -> AsyncIterator[Running]:
    async with upstream(answers) as up, headgate(up.port, policy) as proxy:
        yield proxy


async def drip(side: Side, data: bytes) -> None:
    """One byte each twentieth of a second, until the connection ends."""
    for at in range(len(data)):
        if side.ended.is_set() or side.writer.is_closing():
            return
        side.send(data[at : at + 1])
        await asyncio.wait([asyncio.ensure_future(side.ended.wait())], timeout=0.05)


async def test_a_head_that_drips() -> None:
    async with running() as proxy, caller(proxy.port) as side:
        dripping = asyncio.create_task(drip(side, b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100))
        await is_served(proxy.port)
        assert (await side.rest()).startswith(b"HTTP/1.1 408 ")
        await dripping


async def test_a_connection_without_a_word() -> None:
    async with running() as proxy, caller(proxy.port) as side:
        assert await side.rest() == b""
        await happens(lambda: proxy.app.front.connected == 0)


async def test_a_kept_connection_without_a_further_request() -> None:
    async with running() as proxy, caller(proxy.port) as side:
        side.send(GET)
        assert (await side.rest()).endswith(b"\r\n\r\nok")


@pytest.mark.parametrize("gone_on", [False, True], ids=["whole-head", "after-the-head-went-on"])
async def test_a_body_that_stalls(gone_on: bool) -> None:
    async with upstream(answers) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.send(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
        await (await up.connection()).sees(b"\r\n\r\n")
        if gone_on:
            side.send(b"half")
        await is_served(proxy.port)
        assert (await side.rest()).startswith(b"HTTP/1.1 408 ")
        theirs = await up.connection()
        await theirs.rest()
        assert theirs.received.endswith(b"half" if gone_on else b"\r\n\r\n")


async def test_a_body_that_drips_but_never_stalls_is_borne() -> None:
    async with upstream(answers) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.send(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n")
        await drip(side, b"x" * 30)
        theirs = await up.connection()
        await theirs.sees(b"x" * 30)
        assert side.received == b""


async def test_a_reader_that_takes_nothing() -> None:
    async with running() as proxy, caller(proxy.port) as side:
        side.stop_reading()
        side.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await is_served(proxy.port)
        await happens(lambda: proxy.app.front.connected == 0)
        assert proxy.app.connections.open <= 1


async def test_a_reader_that_takes_little_but_often() -> None:
    """Longer than the stall, but never without a byte taken."""
    async with running() as proxy, caller(proxy.port) as side:
        side.stop_reading()
        side.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            side.read_on()
            had = len(side.received)
            await happens(lambda had=had: len(side.received) > had or side.ended.is_set())  # type: ignore[misc]
            side.stop_reading()
            await asyncio.wait([asyncio.ensure_future(side.ended.wait())], timeout=0.2)
        assert not side.ended.is_set()


async def test_a_reader_that_takes_nothing_of_the_last_reply() -> None:
    """The reply is complete and the connection is to end: it ends although nobody takes the bytes."""
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n" + bytes(6_000_000)

    async def script(side: Side) -> None:
        await side.head()
        side.send(big)
        await side.rest()

    async with upstream(script) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.stop_reading()
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        await happens(lambda: proxy.app.front.connected == 0)


# -- too much -----------------------------------------------------------------------------------------
async def test_ten_thousand_pipelined_requests_in_bounded_memory() -> None:
    count = 10_000
    async with running() as proxy, caller(proxy.port) as side:
        before = resident()
        side.send(GET * count)
        for _ in range(10):
            await is_served(proxy.port)
        for _ in range(count):
            await side.until(b"\r\n\r\nok")
        assert resident() - before < 16 << 20  # what this test itself keeps is 3 MB


async def test_pipelined_requests_whose_replies_nobody_reads() -> None:
    """A thousand replies of 1 MB: no further request is begun while the last reply is not taken."""
    begun = 0

    async def script(side: Side) -> None:
        nonlocal begun
        while True:
            await side.head()
            begun += 1
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))

    async with upstream(script) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.stop_reading()
        side.send(GET * 1000)
        await happens(lambda: proxy.app.front.connected == 0)  # it took nothing for long enough
        assert begun < 20


async def test_a_flood_behind_a_request_under_way_is_not_taken_in() -> None:
    go_on = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        await go_on.wait()
        while True:
            side.send(OK)
            await side.head()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        await (await up.connection()).sees(b"\r\n\r\n")
        before = resident()
        flood = GET * 1000
        taken = 0
        try:
            while taken < 64 << 20:
                side.send(flood)
                taken += len(flood)
                async with asyncio.timeout(0.5):
                    await side.drain()
        except TimeoutError:
            pass
        assert taken < 64 << 20, "it was all taken in"
        assert resident() - before < 24 << 20  # the kernel's buffers are not ours; ours are 64 KiB, plus one read
        go_on.set()
        await happens(lambda: side.received.count(b"\r\n\r\nok") > 3000)
        assert resident() - before < 24 << 20


async def test_header_bombs_at_once() -> None:
    bomb = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 300) for n in range(99))

    async with running(POLICY.replace("header: 400ms", "header: 5s")) as proxy:
        before = resident()
        sides = [Side(*await asyncio.open_connection("127.0.0.1", proxy.port)) for _ in range(200)]
        for side in sides:
            side.send(bomb)
        await is_served(proxy.port)
        assert resident() - before < 32 << 20  # 200 heads of 31 kB, and both ends of 200 connections
        for side in sides:
            side.send(b"X: y\r\nX: y\r\nX: y\r\n" + b"Z: " + b"a" * 4000 + b"\r\n\r\n")
        assert {(await side.rest())[:12] for side in sides} == {b"HTTP/1.1 431"}
        for side in sides:
            await side.close()


async def test_a_flood_of_chunk_extensions() -> None:
    async with upstream(answers) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"POST /wait HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            side.send(b"1;" + b"a" * 200 + b"\r\nx\r\n")
        assert (await side.rest()).startswith(b"HTTP/1.1 400 ")
        await is_served(proxy.port)
        assert b"\r\n0\r\n" not in up.saw


async def test_two_thousand_idle_connections() -> None:
    """They cost little, and everybody else is served."""
    async with running(POLICY.replace("header: 400ms", "header: 1m")) as proxy:
        before = resident()
        connect = asyncio.get_running_loop().create_connection
        transports = [(await connect(asyncio.Protocol, "127.0.0.1", proxy.port))[0] for _ in range(2000)]
        await happens(lambda: proxy.app.front.connected == 2000)
        assert (resident() - before) / 2000 < 16 * 1024  # both ends of each live here
        await is_served(proxy.port)
        for transport in transports:
            transport.abort()
        await happens(lambda: proxy.app.front.connected == 0)
