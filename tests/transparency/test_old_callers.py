"""Callers of HTTP/1.0: what they may not be sent, and when their connection goes on."""

from __future__ import annotations

import pytest

from tests.support.wire import Side, caller, headgate, replies, upstream
from tests.transparency.compare import timeless

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n2;a=b\r\nok\r\n3\r\nay!\r\n0\r\nX-Sum: 1\r\n\r\n"
)
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nto the end"


async def test_without_keep_alive_the_connection_ends() -> None:
    async with upstream(replies(LENGTH)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.0\r\n\r\n")
        reply, _ = timeless(await side.rest())
        assert reply == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
        assert up.saw == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % up.port


async def test_with_keep_alive_it_goes_on() -> None:
    async with upstream(replies(LENGTH)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        for _ in range(2):
            side.send(b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            head, _ = timeless(await side.head())
            assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\n"
            assert await side.exactly(2) == b"ok"
        assert len(up.connections) == 1


async def test_our_own_replies_keep_it_open_too() -> None:
    policy = 'version: 1\nupstreams: {api: {url: "http://127.0.0.1:%(port)d", prefix: /api}}\n'
    async with headgate(1, policy) as proxy, caller(proxy.port) as side:
        for _ in range(2):
            side.send(b"GET /nowhere HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            head = await side.head()
            assert head.startswith(b"HTTP/1.1 404 Not Found\r\n") and b"\r\nConnection: keep-alive\r\n" in head
            await side.until(b"}")


@pytest.mark.parametrize("keep", [b"", b"Connection: keep-alive\r\n"], ids=["close", "keep-alive"])
async def test_chunks_are_unwrapped(keep: bytes) -> None:
    async with upstream(replies(CHUNKED)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.0\r\n" + keep + b"\r\n")
        reply, _ = timeless(await side.rest())
        assert reply == b"HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nokay!"
        assert not side.reset


async def test_chunks_cut_short_end_in_a_reset() -> None:
    """The end of the connection is the end of the body here: a mere end would look complete."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(CHUNKED[:-30])
        await side.drain()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.0\r\n\r\n")
        await side.rest()
        assert side.reset


async def test_interim_replies_are_not_for_them() -> None:
    script = replies(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH)
    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        assert (await side.rest()).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_an_old_upstream_does_not_end_the_callers_connection() -> None:
    script = replies(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", close=True)
    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        for _ in range(2):
            side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await side.exactly(2) == b"ok"
        assert len(up.connections) == 2


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
async def test_a_reply_without_length_ends_with_the_connection(version: bytes) -> None:
    script = replies(UNTIL_CLOSE.replace(b"1.1", version), close=True)
    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        reply, _ = timeless(await side.rest())
        assert reply == b"HTTP/1.1 200 OK\r\nX: y\r\nConnection: close\r\n\r\nto the end"
        assert not side.reset


async def test_a_reply_without_length_that_is_reset_is_reset() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(UNTIL_CLOSE)
        await side.until(b"never")

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await side.until(b"to the end")
        theirs = await up.connection()
        theirs.cut(reset=True)
        await side.rest()
        assert side.reset


async def test_a_caller_without_host_gets_the_upstreams() -> None:
    policy = 'version: 1\nupstreams: {api: {url: "http://127.0.0.1:%(port)d", host: caller}}\n'
    async with upstream(replies(LENGTH)) as up, headgate(up.port, policy) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.0\r\n\r\n")
        await side.rest()
        assert up.saw == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % up.port
