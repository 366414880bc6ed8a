"""Replies that change on their way: whole ones keep a length, streams keep coming, and what stays the same stays so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from proxy.dialects.translation import LONGEST_WHOLE, Transform
from tests.support.translating import ByLine, Passing, Shouting, Silent, by_line, translating
from tests.support.waiting import turns
from tests.support.wire import (
    Running,
    Script,
    Side,
    Upstream,
    caller,
    counting_caller,
    happens,
    replies,
    upstream,
)
from tests.transparency.compare import TIMING

GET = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
OLD = b"GET /x HTTP/1.0\r\n\r\n"
KEEPING = b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
TEXT = b"one\ntwo\nthree\n\nand four"

LENGTH = b"HTTP/1.1 200 Fine\r\nX-Before: 1\r\nCONTENT-length: %d\r\nX-After: 2\r\n\r\n%b" % (len(TEXT), TEXT)
CHUNKED = (
    b"HTTP/1.1 200 Fine\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
    b"3;a=b\r\none\r\n0B\r\n\ntwo\nthree\n\r\n009\r\n\nand four\r\n0\r\nX-Sum: 1\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 Fine\r\nX: y\r\n\r\n" + TEXT
FRAMED = {"length": LENGTH, "chunked": CHUNKED, "until-close": UNTIL_CLOSE}


def says(reply: bytes) -> Script:
    """Answers every request so; one without an end of its own ends with the connection."""
    return replies(reply, close=reply is UNTIL_CLOSE)


@asynccontextmanager
async def talking(script: Script, passing: Passing) -> AsyncIterator[tuple[Side, Running, Upstream]]:
    """A caller, the proxy with this passage, the upstream."""
    async with upstream(script) as up, translating(up.port, passing) as proxy, caller(proxy.port) as side:
        yield side, proxy, up


def unchunked(body: bytes) -> bytes:
    """The data of a body in chunks, which must end where it ends."""
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        assert body[length : length + 2] == b"\r\n"
        out += body[:length]
        body = body[length + 2 :]
        if not length:
            assert body == b""
            return out


async def told(side: Side) -> tuple[bytes, bytes]:
    """A reply's head without the time, and its body; the connection must be fit for another where it is kept."""
    head = TIMING.sub(b"", await side.head())
    if b"Transfer-Encoding: chunked" in head:
        return head, unchunked(await side.until(b"0\r\n\r\n"))
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    if b"content-length" in fields:
        return head, await side.exactly(int(fields[b"content-length"]))
    return head, await side.rest()


# -- whole -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("reply", FRAMED.values(), ids=FRAMED)
async def test_what_the_transform_leaves_alone_goes_as_it_came(reply: bytes) -> None:
    async with talking(says(reply), Passing(Silent)) as (side, _, up):
        side.send(GET)
        if reply is UNTIL_CLOSE:
            got = TIMING.sub(b"", await side.rest())
            assert got == reply.replace(b"X: y\r\n", b"X: y\r\nConnection: close\r\n")
            return
        for _ in range(2):
            got = TIMING.sub(b"", await side.until(reply[-8:]))
            assert got == reply
            side.send(GET)
        assert len(up.connections) == 1


CHANGED = {
    "length": b"HTTP/1.1 200 Fine\r\nX-Before: 1\r\nCONTENT-length: %d\r\nX-After: 2\r\n\r\n",
    "chunked": b"HTTP/1.1 200 Fine\r\nContent-Length: %d\r\nX: y\r\n\r\n",
    "until-close": b"HTTP/1.1 200 Fine\r\nX: y\r\nContent-Length: %d\r\n\r\n",
}


@pytest.mark.parametrize("framing", FRAMED)
async def test_a_changed_reply_has_its_new_length(framing: str) -> None:
    changed = by_line(TEXT)
    async with talking(says(FRAMED[framing]), Passing(ByLine)) as (side, _, _):
        for _ in range(2):
            side.send(GET)
            assert await told(side) == (CHANGED[framing] % len(changed), changed)


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("framing", FRAMED)
async def test_cut_anywhere_it_reads_the_same(framing: str, streams: bool) -> None:
    reply = FRAMED[framing]
    body_at = reply.index(b"\r\n\r\n") + 4
    cuts = iter(range(body_at - 2, len(reply)))

    async def script(side: Side) -> None:
        while True:
            await side.head()
            cut = next(cuts)
            side.send(reply[:cut])
            await turns(6)
            side.send(reply[cut:])
            if reply is UNTIL_CLOSE:
                return

    async with talking(script, Passing(ByLine, streams=streams)) as (side, _, _):
        for _ in range(len(reply) - body_at):
            side.send(GET)
            assert (await told(side))[1] == by_line(TEXT)


@pytest.mark.parametrize("framing", FRAMED)
async def test_an_old_caller_gets_a_length(framing: str) -> None:
    async with upstream(says(FRAMED[framing])) as up, translating(up.port, Passing(ByLine)) as proxy:
        async with caller(proxy.port) as side:
            for _ in range(2):
                side.send(KEEPING)
                head, body = await told(side)
                assert b"\r\nConnection: keep-alive\r\n" in head and b"Transfer-Encoding" not in head
                assert body == by_line(TEXT)
        async with caller(proxy.port) as side:
            side.send(OLD)
            head, body = await told(side)
            assert b"\r\nConnection: close\r\n" in head and body == by_line(TEXT)
            assert await side.rest() == b""


BODYLESS = {
    "head": (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    "no-content": (b"GET", b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
    "not-modified": (b"GET", b"HTTP/1.1 304 Not Modified\r\nETag: a\r\nContent-Length: 7\r\n\r\n"),
    "empty": (b"GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
}


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("method", "reply"), BODYLESS.values(), ids=BODYLESS)
async def test_a_reply_without_a_body_stays_one(method: bytes, reply: bytes, streams: bool) -> None:
    passing = Passing(ByLine, streams=streams)
    async with talking(replies(reply), passing) as (side, _, _):
        for _ in range(2):
            side.send(GET.replace(b"GET", method))
            assert TIMING.sub(b"", await side.head()) == reply
        assert side.waiting == b""


async def test_no_transform_no_change() -> None:
    async with talking(replies(CHUNKED), Passing(lambda: None)) as (side, _, _):
        side.send(GET)
        assert TIMING.sub(b"", await side.until(CHUNKED[-8:])) == CHUNKED


def long_reply(size: int, *, chunked: bool) -> tuple[bytes, bytes]:
    """A reply of that many bytes, and its body."""
    body = (b"abcdefgh" * (size // 8 + 1))[:size]
    if not chunked:
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (size, body), body
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [body[at : at + 100_000] for at in range(0, size, 100_000)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n", body


@pytest.mark.parametrize("chunked", [False, True])
async def test_the_longest_whole_reply_keeps_a_length_and_a_longer_one_streams(chunked: bool) -> None:
    frames = 400 if chunked else 0  # more than 32 chunks take
    for size, streams in ((LONGEST_WHOLE - frames, False), (LONGEST_WHOLE + 1, True)):
        reply, body = long_reply(size, chunked=chunked)
        async with talking(replies(reply), Passing(Shouting)) as (side, _, _):
            side.send(GET)
            head, got = await told(side)
            assert (b"Content-Length" in head) is not streams
            assert (b"Transfer-Encoding: chunked" in head) is streams
            assert got == body.upper()


# -- as it comes ---------------------------------------------------------------------------------------
STREAMED = {
    "length": b"HTTP/1.1 200 Fine\r\nX-Before: 1\r\nX-After: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
    "chunked": b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n",
    "until-close": b"HTTP/1.1 200 Fine\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("transform", [ByLine, Silent])
@pytest.mark.parametrize("framing", FRAMED)
async def test_a_stream_comes_in_chunks(framing: str, transform: Callable[[], Transform]) -> None:
    expected = by_line(TEXT) if transform is ByLine else TEXT
    passing = Passing(transform, streams=True)
    async with talking(says(FRAMED[framing]), passing) as (side, _, _):
        for _ in range(2):
            side.send(GET)
            assert await told(side) == (STREAMED[framing], expected)


@pytest.mark.parametrize("framing", FRAMED)
async def test_an_old_caller_gets_a_stream_until_the_end(framing: str) -> None:
    async with talking(says(FRAMED[framing]), Passing(ByLine, streams=True)) as (side, _, _):
        side.send(KEEPING)
        head = await side.head()
        assert b"\r\nConnection: close\r\n" in head
        assert b"Transfer-Encoding" not in head and b"ength" not in head
        assert await side.rest() == by_line(TEXT)
        assert not side.reset


async def test_every_event_is_there_before_the_next() -> None:
    """A watch: its head before any event, each event as soon as its line is whole, and nothing invented."""
    heard = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(20):
            await heard.wait()
            heard.clear()
            side.send(b"7\r\nevent%d\n\r\n" % (number % 10))
        await side.rest()

    async with talking(script, Passing(ByLine, streams=True)) as (side, proxy, _):
        side.send(GET)
        await side.head()
        for number in range(20):
            heard.set()
            assert await side.exactly(14) == b"9\r\n6:EVENT%d\n\r\n" % (number % 10)
        side.cut()
        await happens(lambda: proxy.app.connections.open == 0)


async def test_what_is_known_to_be_too_long_begins_at_once() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nfirst\n" % (LONGEST_WHOLE + 1))
        await side.rest()

    async with talking(script, Passing(ByLine)) as (side, _, _):
        side.send(GET)
        await side.head()
        assert await side.exactly(13) == b"8\r\n5:FIRST\n\r\n"


async def test_a_slow_reader_slows_the_upstream() -> None:
    """What the caller does not take is not gathered here, changed or not."""
    size = 48 << 20
    sent = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            side.send(b"a" * (1 << 20))
            await side.drain()
        sent.set()
        await side.rest()

    passing = Passing(Shouting, streams=True)
    async with upstream(script) as up, translating(up.port, passing) as proxy, counting_caller(proxy.port) as side:
        side.stop_reading()
        side.send(GET)
        await up.connection()
        await happens(lambda: any(c.full for c in proxy.app.front._connections))
        assert not sent.is_set()
        side.read_on()
        await side.counted(size)
        assert sent.is_set()
        await happens(lambda: proxy.app.connections.idle == 1)


# -- when it breaks -----------------------------------------------------------------------------------
async def test_a_whole_reply_that_breaks_is_an_error_and_not_half_a_reply() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(LENGTH[:-4])

    async with talking(script, Passing(ByLine)) as (side, _, _):
        side.send(GET)
        head = await side.head()
        assert head.startswith(b"HTTP/1.1 502 ") and b"Proxy-Status: headgate" in head


@pytest.mark.parametrize("request_head", [GET, OLD], ids=["new", "old"])
async def test_a_stream_that_breaks_ends_visibly(request_head: bytes) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(CHUNKED[:-14])
        await heard.wait()
        side.cut()

    heard = asyncio.Event()
    async with upstream(script) as up, translating(up.port, Passing(ByLine, streams=True)) as proxy:
        async with caller(proxy.port) as side:
            side.send(request_head)
            await side.until(b"3:TWO\n")
            heard.set()
            assert b"0\r\n\r\n" not in await side.rest()
            assert side.reset is (request_head is OLD), "a mere end would look like the reply's"
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0)


async def test_a_malformed_chunk_breaks_it_too() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(CHUNKED.replace(b"0B", b"xy"))
        await side.rest()

    async with talking(script, Passing(ByLine)) as (side, proxy, _):
        side.send(GET)
        assert (await side.head()).startswith(b"HTTP/1.1 502 ")
        await happens(lambda: proxy.app.connections.open == 0)


async def test_a_caller_that_leaves_ends_the_watch() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na\n\r\n")
        await side.rest()

    async with upstream(script) as up, translating(up.port, Passing(ByLine, streams=True)) as proxy:
        async with caller(proxy.port) as side:
            side.send(GET)
            await side.until(b"1:A\n")
        await (await up.connection()).ended.wait()
        await happens(lambda: proxy.app.connections.open == proxy.app.front.connected == 0)
