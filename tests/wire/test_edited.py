"""Requests that change on their way: target, fields, and a body that is read whole first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from proxy.domain.errors import BadRequest
from proxy.domain.messages import RequestHead
from proxy.wire.heads import parse_request
from tests.support.translating import Passing, put, translating
from tests.support.wire import Running, Side, Upstream, caller, happens, headgate, upstream

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BODY = b'{"kind":"Pod","status":{"phase":"Failed"}}'
MEND = (b"Failed", b"Running")
MENDED = BODY.replace(*MEND)


def mending(**more: object) -> Passing:
    """Takes bodies of a mebibyte at most, and changes a word in them."""

    def mend(body: bytes) -> bytes:
        changed = body.replace(*MEND)
        return body if changed == body else changed

    return Passing(longest_body=1 << 20, mend=mend, **more)  # type: ignore[arg-type]


async def answers(side: Side) -> None:
    """Reads requests with or without a body, as they are framed, and answers each."""
    while True:
        head = await side.head()
        request = parse_request(head)
        if b"transfer-encoding" in request:
            await side.until(b"0\r\n\r\n")
        else:
            await side.exactly(int(request.get(b"content-length") or 0))
        side.send(OK)


@asynccontextmanager
async def talking(passing: Passing) -> AsyncIterator[tuple[Side, Running, Upstream]]:
    async with upstream(answers) as up, translating(up.port, passing) as proxy, caller(proxy.port) as side:
        yield side, proxy, up


def put_request(*fields: bytes, body: bytes = BODY, length: bool = True) -> bytes:
    """A PUT with these header lines."""
    framing = [b"content-LENGTH: %d" % len(body)] if length else []
    return b"\r\n".join([b"PUT /p HTTP/1.1", b"Host: a", *framing, *fields, b"", body])


CHUNKS = b"5;x=y\r\n" + BODY[:5] + b"\r\n%x\r\n" % (len(BODY) - 5) + BODY[5:] + b"\r\n0\r\nX-Sum: 1\r\n\r\n"


async def test_target_and_fields() -> None:
    passing = Passing(target=b"/other?x=%2F", fields={b"accept": b"application/json", b"x-gone": None, b"x-new": b"1"})
    async with talking(passing) as (side, _, up):
        fields = b"X: 1\r\naCCept: a\r\nX-Gone: 1\r\nAccept: b\r\nx-gone: 2\r\nY: 2\r\n"
        side.send(b"GET /p HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
        await side.until(b"ok")
        assert up.saw == (
            b"GET /other?x=%%2F HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX: 1\r\naCCept: application/json\r\nY: 2\r\n\r\n"
            % up.port
        )


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_stays_goes_as_it_came(chunked: bool) -> None:
    """Its frames too, with extensions and trailers, and more than is kept of other bodies."""
    same = BODY.replace(*MEND) + b" " * 300_000
    raw = b"5;x=y\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (same[:5], len(same) - 5, same[5:])
    request = put_request(b"Transfer-Encoding: chunked", body=raw, length=False) if chunked else put_request(body=same)

    async def script(side: Side) -> None:
        for _ in range(2):
            await side.exactly(len(request) - len(b"a") + len(b"127.0.0.1:%d" % up.port))
            side.send(OK)
        await side.rest()

    passing = mending()
    async with upstream(script) as up, translating(up.port, passing) as proxy, caller(proxy.port) as side:
        for _ in range(2):
            side.send(request)
            await side.until(b"ok")
        theirs = request.replace(b"Host: a\r\n", b"Host: 127.0.0.1:%d\r\n" % up.port)
        assert up.saw == theirs * 2
        assert passing.bodies == [same, same]


async def test_a_changed_body_has_its_own_length() -> None:
    async with talking(mending()) as (side, _, up):
        for _ in range(2):
            side.send(put_request(b"X: y"))
            await side.until(b"ok")
        expected = b"PUT /p HTTP/1.1\r\nHost: 127.0.0.1:%d\r\ncontent-LENGTH: %d\r\nX: y\r\n\r\n" % (
            up.port,
            len(MENDED),
        )
        assert up.saw == (expected + MENDED) * 2
        assert len(up.connections) == 1


async def test_a_changed_body_in_chunks_gets_a_length() -> None:
    async with talking(mending()) as (side, _, up):
        request = put_request(b"Transfer-Encoding: chunked", b"Trailer: X-Sum", b"X: y", body=CHUNKS, length=False)
        for at in range(len(request)):
            side.send(request[at : at + 1])
        await side.until(b"ok")
        expected = b"PUT /p HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: %d\r\nX: y\r\n\r\n" % (
            up.port,
            len(MENDED),
        )
        assert up.saw == expected + MENDED


async def test_a_request_without_a_body_is_not_asked_for_one() -> None:
    passing = mending()
    async with talking(passing) as (side, _, up):
        side.send(put_request(body=b""))
        await side.until(b"ok")
        assert passing.bodies == [] and b"content-LENGTH: 0\r\n" in up.saw


async def test_who_waits_for_a_100_gets_it_once() -> None:
    async with talking(mending()) as (side, _, up):
        request = put_request(b"Expect: 100-continue")
        side.send(request[: -len(BODY)])
        assert await side.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert up.saw == b""
        side.send(BODY)
        assert (await side.head()).startswith(b"HTTP/1.1 200 ")
        assert b"Expect" not in up.saw and up.saw.endswith(MENDED)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_long_is_refused(chunked: bool) -> None:
    passing = mending()
    passing.longest_body = 100_000
    async with talking(passing) as (side, _, up):
        if chunked:
            side.send(put_request(b"Transfer-Encoding: chunked", length=False, body=b"186A1\r\n" + b"x" * 100_001))
            side.send(b"\r\n0\r\n\r\n")
        else:
            side.send(put_request(body=b"x" * 100_001))
        head = await side.head()
        assert head.startswith(b"HTTP/1.1 413 ") and b"\r\nConnection: close\r\n" in head
        assert b"longer than 100000 bytes" in await side.rest()
        assert up.saw == b"" and passing.bodies == []


async def test_an_endless_body_is_refused_before_its_end() -> None:
    passing = mending()
    passing.longest_body = 100_000
    async with talking(passing) as (side, _, up):
        side.send(put_request(b"Transfer-Encoding: chunked", length=False, body=b""))
        while not side.waiting:
            side.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            await side.drain()
        assert (await side.head()).startswith(b"HTTP/1.1 413 ")
        assert up.saw == b""


async def test_the_longest_body_passes() -> None:
    passing = mending()
    body = b"Failed" + b"x" * ((1 << 20) - 6)
    async with talking(passing) as (side, _, up):
        side.send(put_request(body=body))
        await side.until(b"ok")
        assert up.saw.endswith(body.replace(*MEND))


async def test_few_long_bodies_are_gathered_at_once_and_short_ones_never_wait_for_them() -> None:
    """A 100 tells whose body is being gathered; a short body without one is kept like that of any request."""
    passing, body = mending(), BODY + b" " * 100_000
    asking = put_request(b"Expect: 100-continue", body=body)
    head, body = asking[: -len(body)], asking[-len(body) :]
    async with AsyncExitStack() as stack:
        up = await stack.enter_async_context(upstream(answers))
        proxy = await stack.enter_async_context(translating(up.port, passing))
        sides = [await stack.enter_async_context(caller(proxy.port)) for _ in range(18)]
        *gathering, waiting, quick = sides
        for side in gathering:
            side.send(head)
            assert await side.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        waiting.send(head)
        quick.send(put_request())
        assert (await quick.head()).startswith(b"HTTP/1.1 200 ")
        assert not waiting.waiting
        gathering[0].send(body)
        assert (await gathering[0].head()).startswith(b"HTTP/1.1 200 ")
        assert await waiting.head() == b"HTTP/1.1 100 Continue\r\n\r\n"


async def test_a_refusal_reaches_the_caller_and_nobody_else() -> None:
    def never(body: bytes) -> bytes:
        raise BadRequest("not this one", 409)

    async with talking(Passing(longest_body=1000, mend=never)) as (side, _, up):
        side.send(put_request())
        assert (await side.head()).startswith(b"HTTP/1.1 409 ")
        assert b"not this one" in await side.rest()
        assert up.saw == b""


async def test_a_request_that_cannot_pass_at_all() -> None:
    def answer(head: RequestHead) -> Passing | None:
        if b"x-bad" in head:
            raise BadRequest("not like this", 415)
        return None

    async with upstream(answers) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        translator = put(proxy, answer)
        side.send(put_request())
        await side.until(b"ok")
        side.send(put_request(b"X-Bad: 1"))
        assert (await side.head()).startswith(b"HTTP/1.1 415 ")
        assert up.saw.count(b"PUT ") == 1
        assert len(translator.witnesses) == 2


async def test_a_changed_body_is_sent_again_after_a_stale_connection() -> None:
    """The kept connection turns out to be closed: the same changed request goes once more, and is asked about once."""

    async def script(side: Side) -> None:
        await side.head()
        await side.exactly(len(MENDED))
        side.send(OK)
        if len(up.connections) == 1:
            await side.head()  # and no reply
            return
        await side.rest()

    passing = mending()
    async with upstream(script) as up, translating(up.port, passing) as proxy, caller(proxy.port) as side:
        for _ in range(2):
            side.send(put_request())
            await side.until(b"ok")
        assert len(up.connections) == 2 and up.saw.count(MENDED) == 3
        assert passing.bodies == [BODY, BODY]


async def test_a_caller_that_leaves_in_its_body_sends_nothing() -> None:
    async with upstream(answers) as up, translating(up.port, mending()) as proxy:
        async with caller(proxy.port) as side:
            side.send(put_request()[:-5])
            await happens(lambda: proxy.app.front.connected == 1)
        await happens(lambda: proxy.app.front.connected == 0)
        assert up.connections == []
