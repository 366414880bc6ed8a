"""What changes of a head on its way, and that nothing else does. Sans I/O."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.registry import OPERATIONS
from proxy.pipeline.snapshot import Snapshot
from proxy.policy.compile import load_policy
from proxy.ports import Destination, Edits
from proxy.wire.heads import parse_request, parse_response
from proxy.wire.rewrite import edited, forwarded_reply, forwarded_request, with_length

POLICY = b"""
version: 1
upstreams: {api: {url: "http://up.example:81"}}
tenants: {identify: [{header: X-Tenant-Id}]}
"""


@pytest.fixture(scope="module")
def towards() -> Destination:
    snapshot = Snapshot(load_policy([("test.yaml", POLICY)], {}, OPERATIONS))
    head = parse_request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    return next(iter(snapshot.servings.values())).towards(head)


def sent(towards: Destination, fields: bytes, version: bytes = b"1.1") -> bytes:
    """The fields as the upstream gets them."""
    head = parse_request(b"GET /a HTTP/%b\r\n%b\r\n" % (version, fields))
    out = forwarded_request(head, towards, b"/b%2F")
    assert out.startswith(b"GET /b%2F HTTP/1.1\r\n") and out.endswith(b"\r\n\r\n")
    return out[len(b"GET /b%2F HTTP/1.1\r\n") : -2]


UP = b"Host: up.example:81\r\n"
REQUESTS = {
    "host-first": (b"Host: a\r\nX: y\r\n", UP + b"X: y\r\n"),
    "host-last": (b"X: y\r\nHost: a\r\n", b"X: y\r\n" + UP),
    "host-keeps-its-case": (b"hOST:a\r\n", b"hOST: up.example:81\r\n"),
    "close": (b"Host: a\r\nConnection: close\r\nX: y\r\n", UP + b"X: y\r\n"),
    "named": (b"Host: a\r\nX-Hop: 1\r\nConnection: x-hop , keep-alive\r\nx-HOP: 2\r\n", UP),
    "named-in-two-lines": (b"Host: a\r\nA: 1\r\nConnection: a\r\nB: 2\r\nConnection: b\r\n", UP),
    "proxy-connection": (b"Host: a\r\nProxy-Connection: keep-alive\r\nKeep-Alive: 5\r\n", UP),
    "te-trailers": (b"Host: a\r\nTE: gzip, trailers\r\n", UP + b"TE: trailers\r\n"),
    "te-other": (b"Host: a\r\nTE: gzip\r\n", UP),
    "upgrade": (
        b"Host: a\r\nUpgrade: WebSocket\r\nconnection: UPGRADE, keep-alive\r\nX: y\r\n",
        UP + b"Upgrade: WebSocket\r\nX: y\r\nConnection: Upgrade\r\n",
    ),
    "upgrade-twice": (
        b"Host: a\r\nUpgrade: a\r\nUpgrade: b/2\r\nConnection: upgrade\r\n",
        UP + b"Upgrade: a\r\nUpgrade: b/2\r\nConnection: Upgrade\r\n",
    ),
    "upgrade-not-asked-for": (b"Host: a\r\nUpgrade: websocket\r\nX: y\r\n", UP + b"X: y\r\n"),
    "ours": (b"Host: a\r\nHeadgate-Ticket: x\r\nHEADGATE-New: 1\r\nX-Headgate-A: 2\r\n", UP + b"X-Headgate-A: 2\r\n"),
    "tenant": (b"Host: a\r\nX-Tenant-Id: t\r\nX-TENANT-ID: u\r\n", UP),
    "tenant-underscored": (b"Host: a\r\nX_Tenant_Id: t\r\nx_tenant-id: u\r\nX-Tenant_ID: v\r\n", UP),
    "other-underscores": (b"Host: a\r\nX_Tenant: t\r\n_: u\r\n", UP + b"X_Tenant: t\r\n_: u\r\n"),
    "key": (b"Host: a\r\nIdempotency-Key: k\r\n", UP),
    "framing": (
        b"Host: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n",
        UP + b"Transfer-Encoding: chunked\r\nTrailer: X\r\n",
    ),
}


@pytest.mark.parametrize(("fields", "expected"), REQUESTS.values(), ids=REQUESTS)
def test_requests(towards: Destination, fields: bytes, expected: bytes) -> None:
    assert sent(towards, fields) == expected


def test_an_old_request_gets_a_host(towards: Destination) -> None:
    assert sent(towards, b"X: y\r\n", b"1.0") == UP + b"X: y\r\n"
    assert sent(replace(towards, authority=None), b"X: y\r\n", b"1.0") == UP + b"X: y\r\n"


def test_the_callers_host_can_stay(towards: Destination) -> None:
    keeping = replace(towards, authority=None)
    assert sent(keeping, b"X: y\r\nhost:  A.b:1 \r\n") == b"X: y\r\nhost:  A.b:1 \r\n"
    assert sent(keeping, b"host:  A.b:1 \r\nTE: x\r\n") == b"host:  A.b:1 \r\n"


def test_what_is_added_comes_last(towards: Destination) -> None:
    via = replace(towards, added=b"Via: 1.1 headgate\r\n")
    for fields in (b"Host: a\r\nX: y\r\n", b"X: y\r\nHost: a\r\n", b"Host: a\r\nTE: b\r\nX: y\r\n"):
        assert sent(via, fields).endswith(b"\r\nVia: 1.1 headgate\r\n")


NAME = st.text(alphabet="abXY9-!#", min_size=1, max_size=10).map(lambda name: b"z" + name.encode())
FIELDS = st.lists(st.tuples(NAME, st.binary(max_size=20)), max_size=8)


def lines(fields: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [name + b":" + bytes(b for b in value if b == 9 or (b >= 32 and b != 127)) for name, value in fields]


@given(fields=FIELDS, at=st.integers(min_value=0, max_value=8), hop=st.booleans())
def test_every_other_line_passes_as_it_came(
    towards: Destination, fields: list[tuple[bytes, bytes]], at: int, hop: bool
) -> None:
    own = lines(fields)
    at = min(at, len(own))
    raw = [*own[:at], b"Host: a", *([b"Connection: keep-alive"] if hop else []), *own[at:]]
    assert sent(towards, b"".join(line + b"\r\n" for line in raw)) == b"".join(
        line + b"\r\n" for line in [*own[:at], UP[:-2], *own[at:]]
    )


@given(fields=FIELDS, hop=st.sampled_from([b"", b"Connection: close\r\n", b"Keep-Alive: 5\r\nConnection: x, y\r\n"]))
def test_replies_pass_as_they_came(fields: list[tuple[bytes, bytes]], hop: bytes) -> None:
    own = b"".join(line + b"\r\n" for line in lines(fields))
    head = parse_response(b"HTTP/1.1 200 A  b\r\n" + hop + own + b"\r\n")
    assert forwarded_reply(head, b"Added: 1\r\n") == b"HTTP/1.1 200 A  b\r\n" + own + b"Added: 1\r\n\r\n"


REPLIES = {
    "old": (b"HTTP/1.0 200 OK\r\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"),
    "named": (b"HTTP/1.1 200 OK\r\nX-Hop: 1\r\nConnection: x-hop\r\nX: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"),
    "close-twice": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nX: y\r\nconnection: CLOSE\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n",
    ),
    "framing-named": (
        b"HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
    ),
    "switching": (
        b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    ),
    "upgrade-offered": (b"HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
    "upgrade-required": (
        b"HTTP/1.1 426 Up\r\nUpgrade: x\r\nConnection: Upgrade, close\r\n\r\n",
        b"HTTP/1.1 426 Up\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    ),
}


@pytest.mark.parametrize(("reply", "expected"), REPLIES.values(), ids=REPLIES)
def test_replies(reply: bytes, expected: bytes) -> None:
    assert forwarded_reply(parse_response(reply), b"") == expected


def test_an_unwrapped_reply_does_not_say_that_it_is_chunked() -> None:
    head = parse_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n")
    out = forwarded_reply(head, b"", without=frozenset({b"transfer-encoding"}))
    assert out == b"HTTP/1.1 200 OK\r\nX: y\r\n\r\n"


EDITS = {
    "nothing": ({}, None, b"A: 1\r\nHost: a\r\nb:2\r\nContent-length: 3\r\n"),
    "a value": ({b"b": b"x, y"}, None, b"A: 1\r\nHost: a\r\nb: x, y\r\nContent-length: 3\r\n"),
    "dropped": ({b"a": None, b"b": None}, None, b"Host: a\r\nContent-length: 3\r\n"),
    "not there": ({b"c": b"1", b"d": None}, None, b"A: 1\r\nHost: a\r\nb:2\r\nContent-length: 3\r\n"),
    "a body": ({}, b"12345", b"A: 1\r\nHost: a\r\nb:2\r\nContent-length: 5\r\n"),
    "an empty body": ({b"a": None}, b"", b"Host: a\r\nb:2\r\nContent-length: 0\r\n"),
}


@pytest.mark.parametrize(("fields", "body", "expected"), EDITS.values(), ids=EDITS)
def test_a_dialects_edits(fields: dict[bytes, bytes | None], body: bytes | None, expected: bytes) -> None:
    head = parse_request(b"PUT /x HTTP/1.1\r\nA: 1\r\nHost: a\r\nb:2\r\nContent-length: 3\r\n\r\n")
    changed = edited(head, Edits(fields, body))
    assert changed.raw == expected
    assert (changed.method, changed.target, changed.minor) == ("PUT", b"/x", 1)


def test_a_reply_with_another_length() -> None:
    for raw, expected in (
        (b"X: 1\r\nCONTENT-LENGTH:7\r\nY: 2\r\n", b"X: 1\r\nCONTENT-LENGTH: 9\r\nY: 2\r\n"),
        (b"Trailer: T\r\nTransfer-Encoding: chunked\r\nY: 2\r\n", b"Content-Length: 9\r\nY: 2\r\n"),
        (b"X: 1\r\n", b"X: 1\r\nContent-Length: 9\r\n"),
    ):
        head = parse_response(b"HTTP/1.1 200 OK\r\n" + raw + b"\r\n")
        assert with_length(head, 9).raw == expected
