"""Long bodies: they arrive while they are sent, and nothing of them is gathered on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from tests.support.memory import resident
from tests.support.wire import Counting, Side, caller, counting_caller, happens, headgate, upstream

MIB = 1 << 20
BLOCK = bytes(range(256)) * 256
"""64 KiB."""
GET = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_server_sent_events_arrive_live() -> None:
    """Each event is there before the next is sent; the caller ends the stream."""
    heard = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n")
        for number in range(20):
            side.send(b"data: %d\n\n" % number)
            await heard.wait()
            heard.clear()
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        assert b"\r\nConnection: close\r\n" in await side.head()
        for number in range(20):
            assert await side.until(b"\n\n") == b"data: %d\n\n" % number
            heard.set()
        side.cut()
        await happens(lambda: proxy.app.connections.open == 0)


async def test_an_endless_chunked_stream_arrives_live() -> None:
    """A watch: a chunk for each event, and half a chunk too."""
    heard = asyncio.Event()
    parts = [b"3\r\nab", b"c\r", b"\n5;x=y\r\nhel", b"lo\r\n"] * 5

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for part in parts:
            side.send(part)
            if part not in (b"c\r", b"\n5;x=y\r\nhel"):  # a half line is kept back until it is whole
                await heard.wait()
                heard.clear()
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        await side.head()
        for _ in range(5):
            assert await side.exactly(5) == b"3\r\nab"
            heard.set()
            assert await side.exactly(17) == b"c\r\n5;x=y\r\nhello\r\n"
            heard.set()
        side.cut()
        await happens(lambda: proxy.app.connections.open == 0)


async def test_an_upload_without_end_arrives_live() -> None:
    async def script(side: Side) -> None:
        await side.head()
        for _ in range(10):
            await side.exactly(6)
            side.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            side.send(b"1\r\nx\r\n")
            assert await side.head() == b"HTTP/1.1 102 Processing\r\n\r\n"


FRAMES: dict[str, tuple[Callable[[int], bytes], bytes, bytes]] = {
    "length": (lambda size: b"Content-Length: %d\r\n" % size, BLOCK, b""),
    "chunked": (lambda size: b"Transfer-Encoding: chunked\r\n", b"10000\r\n" + BLOCK + b"\r\n", b"0\r\n\r\n"),
}


async def pour(side: Side, block: bytes, times: int, end: bytes) -> None:
    """Send a block so often, no faster than it is taken."""
    for _ in range(times):
        side.send(block)
        await side.drain()
    side.send(end)
    await side.drain()


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_long_reply_in_flat_memory(frame: str) -> None:
    size = 128 * MIB
    fields, block, end = FRAMES[frame]
    total = len(block) * (size // len(BLOCK)) + len(end)

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\n" + fields(size) + b"\r\n")
        await pour(side, block, size // len(BLOCK), end)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, counting_caller(proxy.port) as side:
        side.send(GET)
        head = await side.head()
        await side.counted(8 * MIB)
        before = resident()
        await side.counted(len(head) + total // 2)
        half = resident()
        await side.counted(len(head) + total)
        assert side.size == len(head) + total
        assert max(half, resident()) - before < 8 * MIB


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_long_request_in_flat_memory(frame: str) -> None:
    size = 128 * MIB
    fields, block, end = FRAMES[frame]
    total = len(block) * (size // len(BLOCK)) + len(end)

    async def script(side: Side) -> None:
        head = await side.head()
        await cast(Counting, side).counted(len(head) + total)
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await side.rest()

    async with upstream(script, kind=Counting) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields(size) + b"\r\n")
        pouring = asyncio.create_task(pour(side, block, size // len(BLOCK), end))
        theirs = cast(Counting, await up.connection())
        await theirs.counted(8 * MIB)
        before = resident()
        await theirs.counted(total // 2)
        half = resident()
        await pouring
        await side.head()
        assert max(half, resident()) - before < 8 * MIB
        assert theirs.size == total + bytes(theirs.received).index(b"\r\n\r\n") + 4


async def test_a_slow_reader_slows_the_upstream_and_nobody_else() -> None:
    size = 64 * MIB
    poured = 0

    async def script(side: Side) -> None:
        nonlocal poured
        while True:
            if b"/stream" not in await side.head():
                side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(BLOCK)):
                side.send(BLOCK)
                await side.drain()
                poured += len(BLOCK)

    async with upstream(script) as up, headgate(up.port) as proxy, counting_caller(proxy.port) as side:
        before = resident()
        side.send(GET)
        await side.head()
        side.stop_reading()
        for _ in range(50):
            async with caller(proxy.port) as other:
                other.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await other.head()).startswith(b"HTTP/1.1 200 ")
        assert poured < size // 2, "the kernel's buffers, and ours, are smaller than that"
        assert resident() - before < 8 * MIB
        side.read_on()
        await side.counted(size)


async def test_a_slow_upstream_slows_its_caller_and_nobody_else() -> None:
    size = 64 * MIB
    sent = 0

    async def script(side: Side) -> None:
        while True:
            if b"POST" not in await side.head():
                side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                continue
            side.stop_reading()
            await cast(Counting, side).counted(size)
            side.send(b"HTTP/1.1 201 Done\r\nContent-Length: 0\r\n\r\n")

    async def upload(side: Side) -> None:
        nonlocal sent
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(BLOCK)):
            side.send(BLOCK)
            await side.drain()
            sent += len(BLOCK)

    async with upstream(script, kind=Counting) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        before = resident()
        uploading = asyncio.create_task(upload(side))
        theirs = await up.connection()
        await theirs.sees(b"\r\n\r\n")
        for _ in range(50):
            async with caller(proxy.port) as other:
                other.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await other.head()).startswith(b"HTTP/1.1 200 ")
        assert sent < size // 2
        assert resident() - before < 8 * MIB
        theirs.read_on()
        await uploading
        assert (await side.head()).startswith(b"HTTP/1.1 201 Done\r\n")
