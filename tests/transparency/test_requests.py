"""What the upstream sees of a request is what the caller sent, byte for byte."""

from __future__ import annotations

import pytest

from tests.support.wire import Side, caller, headgate, upstream
from tests.transparency.compare import LAST, LAST_REPLY, assert_same

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

TARGETS = {
    "plain": b"/",
    "percent-encoded": b"/a%20b%C3%A9%41",
    "lower-case-escapes": b"/a%c3%a9",
    "encoded-slash": b"/a%2Fb/%2f",
    "encoded-dots": b"/a/%2e%2e/b",
    "dot-segments": b"/a/./b/../c",
    "doubled-slashes": b"/a//b///c",
    "leading-slashes": b"//a",
    "empty-query": b"/a?",
    "query-of-marks": b"/a?b?c=/../d&&e==%00#"[:-1],
    "semicolons": b"/a;v=1/b;x",
    "backslash": b"/a\\b",
    "odd-characters": b"/a[b]{c}|\"'<>^`~!$&()*+,=:@",
    "long": b"/" + b"x" * 8000,
    "looks-absolute": b"/http://other/",
    "trailing-percent": b"/50%",
}

HEADERS = {
    "case-and-order": b"x-b: 2\r\nX-A: 1\r\naCCept: */*\r\nX-a: 3\r\n",
    "repeats": b"Cookie: a=1\r\nX: y\r\nCookie: b=2\r\nCookie: a=1\r\n",
    "empty-value": b"X-Empty:\r\nX-Blank:   \r\n",
    "spaces-around": b"X-Left:    a\r\nX-None:b\r\nX-Right: c   \r\nX-Tab:\td\t\r\n",
    "obs-text": b"X-Name: caf\xe9 \xf0\x9f\x98\x80\r\n",
    "odd-names": b"!#$%&'*+-.^_`|~9aZ: v\r\n",
    "forwarding": b"X-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nVia: 1.0 fred\r\n",
    "trace": b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ntracestate: a=b\r\n",
    "credentials": b"Authorization: Bearer x\r\nX-API-Key: e2b_1\r\nProxy-Authorization: Basic eDp5\r\n",
    "conditional": b'If-None-Match: W/"a", "b"\r\nRange: bytes=0-1,5-\r\n',
    "host-last": b"",
    "many": b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(90)),
}

METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "MKCOL", "REPORT", "PURGE", "M-SEARCH"]

CHUNKED = b"Transfer-Encoding: chunked\r\n"
BODIES = {
    "length": (b"Content-Length: 11\r\n", b"hello\0world"),
    "length-zero": (b"Content-Length: 0\r\n", b""),
    "length-with-zeros": (b"content-length: 0005\r\n", b"12345"),
    "looks-like-a-request": (b"Content-Length: 27\r\n", b"GET /evil HTTP/1.1\r\nHost: e"),
    "chunked": (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"),
    "chunked-odd-case": (b"transfer-ENCODING: Chunked\r\n", b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
    "chunk-extensions": (CHUNKED, b'5;a=b;c="d;e \\" f";f\r\nhello\r\n0;last\r\n\r\n'),
    "chunk-leading-zeros": (CHUNKED, b"0005\r\nhello\r\n00\r\n\r\n"),
    "trailers": (CHUNKED + b"Trailer: X-Sum\r\n", b"5\r\nhello\r\n0\r\nX-Sum: abc\r\nx-sum:  d\r\n\r\n"),
    "chunked-empty": (CHUNKED, b"0\r\n\r\n"),
    "many-chunks": (CHUNKED, b"".join(b"1\r\n%c\r\n" % (65 + n % 26) for n in range(500)) + b"0\r\n\r\n"),
    "big": (b"Content-Length: 300000\r\n", bytes(range(256)) * 1171 + b"x" * 224),
}


async def same(line: bytes, fields: bytes, body: bytes = b"", *, host_last: bool = False) -> None:
    """One request, then another on the same connection."""

    async def script(side: Side) -> None:
        await side.head()
        await side.exactly(len(body))
        side.send(OK)
        await side.head()
        side.send(LAST_REPLY)
        await side.rest()

    async def talk(side: Side, authority: bytes) -> None:
        host = b"hOsT:  " + authority + b"\r\n" if host_last else b"Host: " + authority + b"\r\n"
        side.send(line + b"\r\n" + (fields + host if host_last else host + fields) + b"\r\n" + body)
        await side.head()
        await side.exactly(2)
        side.send(LAST % authority)
        await side.head()

    await assert_same(script, talk, replies=2)


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
async def test_targets(target: bytes) -> None:
    await same(b"GET %b HTTP/1.1" % target, b"")


@pytest.mark.parametrize("fields", HEADERS.values(), ids=HEADERS)
async def test_headers(fields: bytes) -> None:
    await same(b"GET /h HTTP/1.1", fields)


@pytest.mark.parametrize("method", METHODS)
async def test_methods(method: str) -> None:
    await same(b"%b /m HTTP/1.1" % method.encode(), b"Content-Length: 3\r\n", b"abc")


@pytest.mark.parametrize(("fields", "body"), BODIES.values(), ids=BODIES)
async def test_bodies(fields: bytes, body: bytes) -> None:
    await same(b"POST /b HTTP/1.1", fields, body)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
async def test_bodies_in_pieces(size: int) -> None:
    body = b'5;a="b"\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 1\r\n\r\n'
    head = b"POST /p HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def script(side: Side) -> None:
        await side.head()
        await side.exactly(len(body))
        side.send(OK)
        await side.rest()

    async def talk(side: Side, authority: bytes) -> None:
        whole = head % authority + body
        for at in range(0, len(whole), size):
            side.send(whole[at : at + size])
            await side.drain()
        await side.head()
        await side.exactly(2)

    await assert_same(script, talk)


async def test_hop_by_hop_fields_stay_behind() -> None:
    async def script(side: Side) -> None:
        await side.head()
        side.send(OK)
        await side.rest()

    async with upstream(script) as up, headgate(up.port) as proxy, caller(proxy.port) as side:
        side.send(
            b"GET / HTTP/1.1\r\nX-First: 1\r\nConnection: keep-alive, X-Hop\r\nhost: a.example\r\nX-Hop: 1\r\n"
            b"Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nTE: trailers, gzip\r\nUpgrade: foo\r\n"
            b"Headgate-Patience: 5s\r\nheadgate-unknown: 1\r\nX-Last: 2\r\n\r\n"
        )
        await side.head()
        expected = b"GET / HTTP/1.1\r\nX-First: 1\r\nhost: 127.0.0.1:%d\r\nTE: trailers\r\nX-Last: 2\r\n\r\n"
        assert up.saw == expected % up.port
