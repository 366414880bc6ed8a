"""What the caller sees of a reply is what the upstream sent, byte for byte, but for Server-Timing."""

from __future__ import annotations

import pytest

from tests.support.wire import Side, caller, headgate, replies, upstream
from tests.transparency.compare import LAST, LAST_REPLY, assert_same, timeless

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"

REPLIES = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe\0lo",
    "empty-reason": b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    "no-reason": b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    "odd-reason": b"HTTP/1.1 299 caf\xe9  is\topen \r\nContent-Length: 1\r\n\r\nx",
    "odd-status": b"HTTP/1.1 999 So What\r\nContent-Length: 0\r\n\r\n",
    "fields": b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nSet-Cookie: b\r\nX-E:\r\nx: a \r\ncontent-length: 1\r\n\r\nx",
    "own-timing": b"HTTP/1.1 200 OK\r\nServer-Timing: db;dur=53\r\nContent-Length: 0\r\n\r\n",
    "no-content": b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    "not-modified": b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 1000\r\n\r\n',
    "redirect": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://other/a%2Fb\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
    "chunk-extensions": b"HTTP/1.1 200 OK\r\n" + CHUNKED + b'5;sig="a b"\r\nhello\r\n0;x\r\n\r\n',
    "trailers": b"HTTP/1.1 200 OK\r\nTrailer: Grpc-Status\r\n"
    + CHUNKED
    + b"1\r\nx\r\n0\r\nGrpc-Status: 0\r\nX:y\r\n\r\n",
    "error": b"HTTP/1.1 500 Oh No\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nsad",
    "not-our-retry": b"HTTP/1.1 429 Slow Down\r\nRetry-After: 5\r\nContent-Length: 2\r\n\r\nno",
    "continue": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "processing": b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "early-hints": (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nlink: </b>\r\n\r\n"
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnope"
    ),
    "big": b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"0123456789" * 40000,
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
async def test_replies(reply: bytes) -> None:
    async def talk(side: Side, authority: bytes) -> None:
        side.send(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % authority)
        await side.exactly(len(reply))
        side.send(LAST % authority)
        await side.until(b"The Last\r\n")
        await side.head()

    seen = await assert_same(replies(reply, LAST_REPLY), talk, replies=2)
    assert seen.by_caller == reply + LAST_REPLY


HEADS = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 123456\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "neither": b"HTTP/1.1 404 Nope\r\nX: y\r\n\r\n",
}


@pytest.mark.parametrize("reply", HEADS.values(), ids=HEADS)
async def test_replies_to_head_have_no_body(reply: bytes) -> None:
    async def talk(side: Side, authority: bytes) -> None:
        side.send(b"HEAD / HTTP/1.1\r\nHost: %b\r\n\r\n" % authority)
        await side.exactly(len(reply))
        side.send(LAST % authority)
        await side.until(b"The Last\r\n")
        await side.head()

    await assert_same(replies(reply, LAST_REPLY), talk, replies=2)


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_replies_in_pieces(size: int) -> None:
    reply = b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + REPLIES["trailers"]

    async def script(side: Side) -> None:
        await side.head()
        for at in range(0, len(reply), size):
            side.send(reply[at : at + size])
            await side.drain()
        await side.head()
        side.send(LAST_REPLY)
        await side.rest()

    async def talk(side: Side, authority: bytes) -> None:
        side.send(b"GET / HTTP/1.1\r\nHost: %b\r\n\r\n" % authority)
        await side.exactly(len(reply))
        side.send(LAST % authority)
        await side.until(b"The Last\r\n")
        await side.head()

    await assert_same(script, talk, replies=2)


async def test_hop_by_hop_fields_of_a_reply_stay_behind() -> None:
    reply = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX: 2\r\n"
        b"Upgrade: h2,h2c\r\nContent-Length: 0\r\n\r\n"
    )
    async with upstream(replies(reply)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        head, added = timeless(await side.head())
    assert head == b"HTTP/1.1 200 OK\r\nX: 2\r\nContent-Length: 0\r\n\r\n"
    assert added == 1


async def test_a_connection_field_cannot_take_the_framing_away() -> None:
    reply = b"HTTP/1.1 200 OK\r\nConnection: content-length, x\r\nContent-Length: 2\r\n\r\nok"
    async with upstream(replies(reply)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"Content-Length: 2\r\n" in await side.head()
        assert await side.exactly(2) == b"ok"
