"""Every hostile request gets its verdict, and no upstream sees more than it may."""

from __future__ import annotations

import re

import pytest

from tests.hostile.cases import CHUNK_SIZES, HEADS, TE, Case, get, post
from tests.support.wire import Side, caller, headgate, upstream

POLICY = """
version: 1
upstreams: {api: {url: "http://127.0.0.1:%(port)d"}}
tenants: {identify: [{header: X-Tenant-Id}]}
"""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ALL_HEADS = [pytest.param(case, id=f"{row}-{case.name}") for row, cases in HEADS.items() for case in cases]
BODIES = [pytest.param(case, id=case.name) for case in CHUNK_SIZES]


async def answers(side: Side) -> None:
    """Answers whatever looks like the end of a head."""
    while True:
        await side.head()
        side.send(OK)


async def waits(side: Side) -> None:
    """Answers nothing."""
    await side.rest()


def assert_refused(reply: bytes, status: int) -> None:
    """One reply, ours, with this status, that says that the connection ends."""
    assert reply.startswith(b"HTTP/1.1 %d " % status), reply[:200]
    assert len(re.findall(rb"HTTP/1\.1 \d\d\d ", reply)) == 1
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"\r\nConnection: close" in head and b"Proxy-Status: headgate; error=http_request_error" in head
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"


@pytest.mark.parametrize("case", ALL_HEADS + BODIES)
async def test_refused_and_nothing_sent(case: Case) -> None:
    async with upstream(answers) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.send(case.data)
        assert_refused(await side.rest(), case.status)
        assert up.connections == []


@pytest.mark.parametrize("case", ALL_HEADS)
async def test_refused_behind_a_good_request(case: Case) -> None:
    """Pipelined: the good one is answered, and is all that the upstream sees."""
    async with upstream(answers) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.send(get() + case.data)
        assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        await side.exactly(2)
        assert_refused(await side.rest(), case.status)
        assert up.saw == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % up.port


@pytest.mark.parametrize("case", BODIES)
async def test_refused_in_a_body_whose_head_went_on(case: Case) -> None:
    """The upstream never sees the end of such a body: its connection is closed."""
    at = case.data.index(b"\r\n\r\n") + 4
    async with upstream(waits) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.send(case.data[:at])
        theirs = await up.connection()
        await theirs.sees(b"\r\n\r\n")
        side.send(case.data[at:])
        assert_refused(await side.rest(), case.status)
        await theirs.rest()
        body = bytes(theirs.received).partition(b"\r\n\r\n")[2]
        assert case.data[at:].startswith(body) and b"\n0" not in body.partition(b"hello")[2] and body[:1] != b"0"
        assert len(up.connections) == 1


PASS = {
    "one-empty-line-before": (b"\r\n" + get(), b"GET / HTTP/1.1", b""),
    "absolute-form": (get(line=b"GET http://a/x?y HTTP/1.1"), b"GET /x?y HTTP/1.1", b""),
    "absolute-form-port": (get(line=b"GET HTTP://A:80/x HTTP/1.1"), b"GET /x HTTP/1.1", b""),
    "absolute-form-no-path": (get(line=b"GET http://a HTTP/1.1"), b"GET / HTTP/1.1", b""),
    "empty-host": (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", b"GET / HTTP/1.1", b""),
    "ipv6-host": (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", b"GET / HTTP/1.1", b""),
    "tenant-twins-are-dropped": (
        get(b"X_Tenant_Id: t\r\nx-tenant_ID: u\r\nX-TENANT-ID: v\r\nX: y\r\n"),
        b"GET / HTTP/1.1",
        b"X: y\r\n",
    ),
    "double-encoding-is-left": (get(line=b"GET /%252e%252e/ HTTP/1.1"), b"GET /%252e%252e/ HTTP/1.1", b""),
    "overlong-utf8-is-left": (get(line=b"GET /%c0%ae%c0%ae/ HTTP/1.1"), b"GET /%c0%ae%c0%ae/ HTTP/1.1", b""),
    "length-zeros": (post(b"Content-Length: 000\r\n"), b"POST / HTTP/1.1", b"Content-Length: 000\r\n"),
    "value-tabs": (get(b"X:\ty\tz\t\r\n"), b"GET / HTTP/1.1", b"X:\ty\tz\t\r\n"),
    "length-spaces": (post(b"Content-Length:  0 \r\n"), b"POST / HTTP/1.1", b"Content-Length:  0 \r\n"),
    "settings-without-upgrade": (get(b"HTTP2-Settings: AA\r\n"), b"GET / HTTP/1.1", b"HTTP2-Settings: AA\r\n"),
    "coding-in-capitals": (
        post(b"TRANSFER-encoding: CHUNKED\r\n", b"0\r\n\r\n"),
        b"POST / HTTP/1.1",
        b"TRANSFER-encoding: CHUNKED\r\n",
    ),
}
"""What is sent, and the line and the fields behind Host that the upstream sees."""


@pytest.mark.parametrize(("data", "line", "fields"), PASS.values(), ids=PASS)
async def test_odd_but_allowed_is_one_request(data: bytes, line: bytes, fields: bytes) -> None:
    body = b"0\r\n\r\n" if b"CHUNKED" in fields else b""
    expected = b""

    async def script(side: Side) -> None:
        await side.exactly(len(expected))
        side.send(OK)
        await side.rest()

    async with upstream(script) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        expected = b"%b\r\nHost: 127.0.0.1:%d\r\n%b\r\n%b" % (line, up.port, fields, body)
        side.send(data)
        assert (await side.head()).startswith(b"HTTP/1.1 200 OK\r\n")
        assert up.saw == expected


async def test_a_body_cut_short_is_no_request() -> None:
    """gunicorn rfc9112_chunked_missing_final_crlf_01: the caller ends instead of the last CRLF."""
    async with upstream(waits) as up, headgate(up.port, POLICY) as proxy:
        async with caller(proxy.port) as side:
            side.send(post(TE, b"5\r\nhello\r\n"))
            await (await up.connection()).sees(b"hello\r\n")
            side.send(b"0\r\n")
            side.half_close()
            assert await side.rest() == b""
        theirs = await up.connection()
        await theirs.rest()
        assert theirs.received.endswith(b"5\r\nhello\r\n0\r\n") or theirs.received.endswith(b"5\r\nhello\r\n")


async def test_a_head_cut_short_is_no_request() -> None:
    """gunicorn 001."""
    async with upstream(waits) as up, headgate(up.port, POLICY) as proxy, caller(proxy.port) as side:
        side.send(b"GET /foo/bar HTTP/1.0\r\nbaz")
        side.half_close()
        assert await side.rest() == b""
        assert up.connections == []
