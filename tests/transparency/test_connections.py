"""Whose connection ends when, and what the other side sees of it."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.wire import Side, caller, happens, headgate, replies, upstream

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
E2B = 'version: 1\nupstreams: {api: {url: "http://127.0.0.1:%(port)d", dialect: e2b}}\n'


async def test_pipelined_requests_are_answered_in_order_one_at_a_time() -> None:
    async def script(side: Side) -> None:
        for number in range(20):
            head = await side.head()
            assert head.startswith(b"GET /%d " % number)
            await asyncio.sleep(0)
            assert side.waiting == b"", "the next request came before this one was answered"
            side.send(b"HTTP/1.1 200 OK\r\nX: %d\r\nContent-Length: 1\r\n\r\nx" % number)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"".join(GET % number for number in range(20)))
        for number in range(20):
            assert b"X: %d\r\n" % number in await side.head()
            await side.exactly(1)
        assert len(up.connections) == 1


async def test_pipelined_bodies_keep_their_requests() -> None:
    async def script(side: Side) -> None:
        for body in (b"abc", b"1\r\nZ\r\n0\r\n\r\n", b""):
            await side.head()
            assert await side.exactly(len(body)) == body
            side.send(OK)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(
            b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nZ\r\n0\r\n\r\n" + GET % 3
        )
        for _ in range(3):
            await side.head()
            assert await side.exactly(2) == b"ok"


async def test_the_caller_asks_for_the_end() -> None:
    async with upstream(replies(OK)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        reply = await side.rest()
        assert b"\r\nConnection: close\r\n" in reply and reply.endswith(b"ok")
        assert b"onnection" not in up.saw
        await happens(lambda: proxy.app.connections.idle == 1)


async def test_the_upstream_asks_for_the_end() -> None:
    script = replies(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), close=True)
    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        for number in range(3):
            side.send(GET % number)
            assert b"onnection" not in await side.head()
            assert await side.exactly(2) == b"ok"
        assert len(up.connections) == 3


async def test_connection_close_in_the_middle_of_a_body() -> None:
    """A close that was announced is no excuse for ending early: the caller sees that something is missing."""
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 100\r\n\r\n"
    async with upstream(replies(head + b"half", close=True)) as up, headgate(up.port) as proxy:
        async with caller(proxy.port) as side:
            side.send(GET % 0)
            reply = await side.rest()
            assert b"Content-Length: 100\r\n" in reply and reply.endswith(b"\r\n\r\nhalf")
        assert proxy.app.connections.idle == 0


BROKEN = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    "in-a-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf",
    "in-trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX: y\r\n",
}


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
async def test_an_upstream_that_dies_in_a_body_ends_the_reply_short(reply: bytes, how: str) -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(reply)
        await side.drain()
        await seen.wait()
        if how == "reset":
            side.cut(reset=True)

    seen = asyncio.Event()
    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET % 0)
        await side.until(b"half")
        seen.set()
        rest = await side.rest()
        assert b"0\r\n\r\n" not in rest and b"X: y" not in rest
        assert len(up.connections) == 1


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["nothing", "half-a-head"])
@pytest.mark.parametrize(("method", "status"), [(b"GET", b"502"), (b"POST", b"504")])
async def test_an_upstream_that_dies_before_its_reply(half: bytes, method: bytes, status: bytes) -> None:
    async with upstream(replies(half, close=True)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert (await side.head()).startswith(b"HTTP/1.1 " + status)
        assert len(up.connections) == 1, "it was new: nothing says that it was not processed"


async def test_a_reply_that_is_all_there_when_the_upstream_has_gone() -> None:
    """Head, body and end of file in one: nothing more will come to wake anybody."""
    whole = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    async with upstream(replies(whole, close=True)) as up, headgate(up.port) as proxy:
        for _ in range(30):
            async with caller(proxy.port) as side:
                side.send(GET % 0)
                assert (await side.rest()).endswith(b"\r\n\r\nall of it")


async def test_a_stale_connection_is_replaced_for_a_request_that_may_be_repeated() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(OK)
        await side.head()  # and goes without a word

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        for number in (1, 2):
            side.send(GET % number)
            assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
            await side.exactly(2)
        assert [bytes(one.received).count(b"GET /2") for one in up.connections] == [1, 1]


async def test_a_stale_connection_is_not_replaced_for_one_that_may_not() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(OK)
        await side.head()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET % 1)
        await side.head()
        await side.exactly(2)
        side.send(b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert (await side.head()).startswith(b"HTTP/1.1 504 ")
        assert up.saw.count(b"POST /2") == 1


async def test_a_big_upload_does_not_trust_an_old_connection() -> None:
    """Repeatable by its method, but its body is not kept: were the connection stale, it could not be sent again."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(OK)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET % 1)
        await side.until(b"\r\n\r\nok")
        for stack in proxy.app.connections._idle.values():
            for kept in stack:
                kept.idle_since -= 10
        side.send(b"PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"PUT" not in up.connections[0].received


async def test_a_reply_that_was_looked_into_is_passed_on_when_the_upstream_has_gone() -> None:
    """Judging it took its whole body, and with that the end of the connection."""
    policy = """
version: 1
upstreams: {api: {url: "http://127.0.0.1:%(port)d"}}
routes: [{name: all, match: {upstream: api}, retry: {also: [{status: 409, body: other}]}}]
"""
    script = replies(b"HTTP/1.1 409 Conflict\r\n\r\nthis conflict", close=True)
    async with upstream(script) as up, headgate(up.port, policy) as proxy, caller(proxy.port) as side:
        side.send(GET % 1)
        reply = await side.rest()
        assert reply.startswith(b"HTTP/1.1 409 Conflict\r\n") and reply.endswith(b"\r\n\r\nthis conflict")


async def test_an_upstream_that_closes_an_idle_connection_is_believed() -> None:
    close = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(OK)
        await close.wait()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET % 1)
        await side.head()
        await side.exactly(2)
        close.set()
        await happens(lambda: proxy.app.connections.open == 0)
        side.send(b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert len(up.connections) == 2


@pytest.mark.parametrize("extra", [b"x", b"HTTP/1.1 200 EVIL\r\nContent-Length: 0\r\n\r\n"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_bytes_after_a_reply_reach_nobody(extra: bytes, method: bytes) -> None:
    reply = OK if method == b"GET" else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    async with upstream(replies(reply + extra, reply)) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        for number in (1, 2):
            side.send(method + b" /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
            if method == b"GET":
                await side.exactly(2)
        assert side.waiting == b"" and len(up.connections) == 2


async def test_bytes_from_an_idle_upstream_reach_nobody() -> None:
    say = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        side.send(OK)
        await say.wait()
        side.send(b"HTTP/1.1 200 EVIL\r\nContent-Length: 0\r\n\r\n")
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(GET % 1)
        await side.head()
        await side.exactly(2)
        say.set()
        await happens(lambda: proxy.app.connections.open == 0)
        side.send(GET % 2)
        assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")


# -- the caller goes away -----------------------------------------------------------------------------
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
LEAVING = {
    "before-a-reply": (GET % 0, b""),
    "in-a-quiet-stream": (GET % 0, STREAM),
    "in-its-own-body": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf", b""),
    "with-more-requests-sent": (GET % 0 + GET % 1, STREAM),
}


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize(("request_bytes", "reply"), LEAVING.values(), ids=LEAVING)
async def test_a_caller_that_leaves_ends_its_request_within_a_second(
    request_bytes: bytes, reply: bytes, how: str
) -> None:
    async def script(side: Side) -> None:
        side.send(reply)
        await side.head()
        await side.until(b"never")

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(request_bytes)
        theirs = await up.connection()
        await theirs.sees(b"\r\n\r\n")
        if reply:
            await side.until(b"x\r\n")
        left = time.monotonic()
        side.cut(reset=how == "reset")
        await happens(lambda: proxy.app.connections.open == 0)
        assert time.monotonic() - left < 2  # half a second at most, of the sweep; the rest is for a busy machine
        await theirs.rest()
        assert len(up.connections) == 1
        await happens(lambda: proxy.app.front.connected == 0)


QUEUE = """
version: 1
upstreams: {api: {url: "http://127.0.0.1:%(port)d"}}
limits: {one: {seats: 1}}
routes: [{name: all, match: {upstream: api}, limits: [one]}]
"""


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_a_caller_that_leaves_a_queue_with_its_body_unread_is_noticed(how: str) -> None:
    """Nothing is read of a big body that waits, not even its end: the sweep looks."""

    async def script(side: Side) -> None:
        await side.rest()

    async with upstream(script) as up, headgate(up.port, QUEUE) as proxy, caller(proxy.port) as first:
        first.send(GET % 0)
        await (await up.connection()).sees(b"\r\n\r\n")
        async with caller(proxy.port) as side:
            side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(100_000))
            await happens(lambda: len(proxy.app.store.view().tickets) == 2)
            await happens(lambda: any(one._paused for one in proxy.app.front._connections))
            left = time.monotonic()
            side.cut(reset=how == "reset")
            await happens(lambda: proxy.app.front.connected == 1)
            assert time.monotonic() - left < 2
        await happens(lambda: len(proxy.app.store.view().tickets) == 1)
        assert len(up.connections) == 1


async def test_a_create_is_finished_although_its_caller_left() -> None:
    go_on = asyncio.Event()

    async def script(side: Side) -> None:
        await side.head()
        await go_on.wait()
        side.send(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")
        await side.rest()

    async with upstream(script) as up, headgate(up.port, E2B) as proxy:
        async with caller(proxy.port) as side:
            side.send(b"POST /sandboxes HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
            await (await up.connection()).sees(b"{}")
        await happens(lambda: proxy.app.front.connected == 0)
        assert proxy.app.connections.open == 1
        go_on.set()
        await happens(lambda: proxy.app.connections.idle == 1)
        assert up.saw.count(b"POST /sandboxes") == 1


# -- early replies ------------------------------------------------------------------------------------
async def test_a_reply_is_seen_while_the_caller_still_sends() -> None:
    early = b"HTTP/1.1 413 Too Much\r\nContent-Length: 4\r\n\r\nstop"

    async def script(side: Side) -> None:
        await side.head()
        side.send(early)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + bytes(100_000))
        reply = await side.until(b"stop")
        assert reply.startswith(b"HTTP/1.1 413 Too Much\r\n") and b"\r\nConnection: close\r\n" in reply
        for _ in range(50):  # it has not looked yet
            side.send(bytes(100_000))
        assert await side.rest() == b"" and not side.reset
        await happens(lambda: proxy.app.connections.open == 0)


async def test_a_reply_may_come_with_the_body_and_outlast_it() -> None:
    """Both directions at once, as an echo over HTTP does."""

    async def script(side: Side) -> None:
        await side.head()
        side.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            side.send(await side.exactly(6))
        await side.exactly(5)
        side.send(b"1\r\n!\r\n0\r\n\r\n")
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        await side.head()
        for number in range(5):
            side.send(b"1\r\n%d\r\n" % number)
            assert await side.exactly(6) == b"1\r\n%d\r\n" % number
        side.send(b"0\r\n\r\n")
        assert await side.rest() == b"1\r\n!\r\n0\r\n\r\n"
