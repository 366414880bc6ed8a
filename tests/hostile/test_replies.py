"""Upstreams are not believed either: what is no clear reply is 502, reaches no caller, and is never kept."""

from __future__ import annotations

import pytest

from tests.support.wire import Side, caller, headgate, replies, upstream

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
TE = b"Transfer-Encoding: chunked\r\n"

UNCLEAR = {
    "length-and-coding": OK + b"Content-Length: 5\r\n" + TE + b"\r\n0\r\n\r\n",
    "lengths-differ": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "lengths-agree": OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "length-list": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "length-plus": OK + b"Content-Length: +5\r\n\r\nhello",
    "length-huge": OK + b"Content-Length: 99999999999999999999\r\n\r\nhello",
    "coding-twice": OK + TE + TE + b"\r\n0\r\n\r\n",
    "coding-other": OK + b"Transfer-Encoding: gzip\r\n\r\nx",
    "coding-old": b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n0\r\n\r\n",
    "folded": OK + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "space-before-colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "nul": OK + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "cr-in-value": OK + b"X: a\rSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "lf-in-value": OK + b"X: a\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n",
    "bare-lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "no-http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "http-2": b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n",
    "status-low": b"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n",
    "status-word": b"HTTP/1.1 OK 200\r\nContent-Length: 0\r\n\r\n",
    "huge-line": OK + b"X: " + b"a" * 9000 + b"\r\n\r\n",
    "huge-head": OK + b"X: " + b"a" * 40_000,
    "many-fields": OK + b"X: y\r\n" * 101 + b"\r\n",
    "interim-flood": b"HTTP/1.1 102 Processing\r\n\r\n" * 33 + OK + b"Content-Length: 0\r\n\r\n",
    "interim-coding": b"HTTP/1.1 100 Continue\r\n" + TE + b"\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "interim-length": b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
    "bodyless-lengths": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "bodyless-codings": b"HTTP/1.1 204 No Content\r\n" + TE + TE + b"\r\n",
    "switches-unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx",
    "chunk-size": OK + TE + b"\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "chunk-length": OK + TE + b"\r\n5\r\nhello!\r\n0\r\n\r\n",
    "chunk-trailer": OK + TE + b"\r\n0\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("reply", UNCLEAR.values(), ids=UNCLEAR)
async def test_an_unclear_reply_is_a_502(reply: bytes) -> None:
    async with upstream(replies(reply)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        while (head := await side.head()).startswith(b"HTTP/1.1 102 "):
            pass
        assert head.startswith(b"HTTP/1.1 502 ")
        await side.until(b"}")
        await (await up.connection()).rest()
        assert proxy.app.connections.open == 0 and side.waiting == b""


@pytest.mark.parametrize(
    "bad", [b"0x5\r\nhello\r\n", b"5\r\nhello!", b"5\n", b"0\r\nHost: x\r\n\r\n", b"-1\r\n", b"x" * 400]
)
async def test_a_bad_chunk_in_a_reply_under_way_ends_it_short(bad: bytes) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(OK + TE + b"\r\n4\r\ngood\r\n")
        await side.head()
        side.send(bad)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        await side.until(b"good\r\n")
        theirs = await up.connection()
        theirs.received += b"\r\n\r\n"  # the script's cue: the caller has the first chunk
        theirs._more.set()
        rest = await side.rest()
        assert b"0\r\n\r\n" not in rest and b"Host" not in rest
        assert proxy.app.connections.open == 0


BODYLESS = {
    "204": (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
    "304": (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    "head": (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
}


@pytest.mark.parametrize(("method", "reply"), BODYLESS.values(), ids=BODYLESS)
async def test_a_body_where_there_is_none_reaches_nobody(method: bytes, reply: bytes) -> None:
    """HAProxy http_bodyless_response."""
    request = method + b" / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with upstream(replies(reply + b"hello", reply)) as up, headgate(up.port) as proxy:
        async with caller(proxy.port) as side:
            for _ in range(2):
                side.send(request)
                assert (await side.head()).startswith(reply[:12])
        assert len(up.connections) == 2 and b"hello" not in side.received


async def test_a_post_is_not_sent_again_after_an_unclear_reply() -> None:
    async with upstream(replies(UNCLEAR["no-http"])) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
        assert (await side.head()).startswith(b"HTTP/1.1 504 ")
        assert len(up.connections) == 1


async def test_text_of_the_upstream_cannot_inject_into_our_reply() -> None:
    bad = b'HTTP/1.1 200 OK\r\nX"\\\xe9: y\r\n\r\n'
    async with upstream(replies(bad)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET)
        head = await side.head()
        assert head.isascii() and head.count(b"\n") == head.count(b"\r\n")
