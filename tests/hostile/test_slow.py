"""Those who take their time, and those who take too much: they get their end, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import socket
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
    policy = POLICY.replace("body_stall: 400ms", "body_stall: 1s")
    async with upstream(answers) as up, headgate(up.port, policy) as proxy, caller(proxy.port) as side:
        side.send(b"POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
        await drip(side, b"x" * 50)
        theirs = await up.connection()
        await theirs.sees(b"x" * 50)
        assert side.received == b""


async def test_a_reader_that_takes_nothing() -> None:
    async with running() as proxy, caller(proxy.port) as side:
        side.stop_reading()
        side.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        await is_served(proxy.port)
        await happens(lambda: proxy.app.front.connected == 0)
        await happens(lambda: proxy.app.connections.open == proxy.app.connections.idle <= 1)


def narrow(port: int) -> socket.socket:
    """A caller whose kernel holds little, so that what it does not read stays with the proxy."""
    own = socket.socket()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
    own.connect(("127.0.0.1", port))
    own.setblocking(False)
    return own


async def test_a_reader_that_takes_little_but_often() -> None:
    """Slower than our kernel's buffer drains within the stall, but it takes something all the time."""
    policy = POLICY.replace("write_stall: 600ms", "write_stall: 1s")
    loop = asyncio.get_running_loop()
    async with running(policy) as proxy:
        with narrow(proxy.port) as own:
            await loop.sock_sendall(own, b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            end = time.monotonic() + 3.0
            taken = 0
            while time.monotonic() < end:
                data = await loop.sock_recv(own, 2 * 1024)
                assert data, f"cut off after {taken} bytes"
                taken += len(data)
                await asyncio.wait([loop.create_future()], timeout=0.03)
            assert proxy.app.front.connected == 1, "what it read lately came from the kernel"
        assert taken < 1 << 20, "it was no slow reader"


async def test_a_reader_that_takes_nothing_of_a_last_reply() -> None:
    """The reply is complete, the connection is to end: it does, although nobody takes the bytes.

    Of so many sizes some leave less in our buffer than would count as a slow reader, and nothing in the upstream's.
    """
    loop = asyncio.get_running_loop()
    sizes = [n * 32 * 1024 for n in range(1, 140)]

    async def script(side: Side) -> None:
        while True:
            size = int((await side.head()).split(b" ")[1][1:])
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))

    async with upstream(script) as up, headgate(up.port, POLICY) as proxy:
        callers = [narrow(proxy.port) for _ in sizes]
        for own, size in zip(callers, sizes, strict=True):
            await loop.sock_sendall(own, b"GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % size)
        await happens(lambda: up.saw.count(b"GET /") == len(sizes))
        await happens(lambda: proxy.app.front.connected == 0)
        for own in callers:
            own.close()


# -- too much -----------------------------------------------------------------------------------------
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
        await happens(lambda: begun > 0)
        await happens(lambda: proxy.app.front.connected == 0)  # it took nothing for long enough
        assert begun < 20


async def test_a_flood_of_requests_is_taken_in_only_as_it_is_answered() -> None:
    """256 MB of requests, sent as fast as they are taken: memory stays, and what is taken is what was answered."""
    go_on = asyncio.Event()
    flood = GET * 1000
    taken = 0

    async def script(side: Side) -> None:
        await side.head()
        await go_on.wait()
        while True:
            side.send(OK)
            await side.head()

    async def pour(side: Side) -> None:
        nonlocal taken
        while taken < 256 << 20:
            side.send(flood)
            await side.drain()
            taken += len(flood)

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        await (await up.connection()).sees(b"\r\n\r\n")
        before = resident()
        pouring = asyncio.create_task(pour(side))
        for _ in range(50):
            await is_served_directly(up.port)
        queued = taken
        go_on.set()
        for _ in range(2000):
            await side.until(b"\r\n\r\nok")
        assert taken - queued < 8 << 20
        assert resident() - before < 24 << 20  # with what this test keeps, and the kernel's accounts
        pouring.cancel()


async def is_served_directly(port: int) -> None:
    """Time for everything else to go on, without a clock."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()
    await reader.read()


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
