"""Where bodies end, however their bytes are cut. Sans I/O."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import BadRequest
from proxy.domain.messages import RequestHead, ResponseHead
from proxy.wire.bodies import ChunkedBody, Framing, LengthBody, UntilClose, reply_framing, request_framing

BEHIND = st.binary(max_size=30)
DATA = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
NAME = st.text(alphabet="abc09!#$%&'*+-.^_`|~", min_size=1, max_size=4).map(str.encode)
QUOTED = st.text(alphabet='a;= ,\t"\\\xe9', max_size=4).map(
    lambda text: b'"%b"' % re.sub(r'(["\\])', r"\\\1", text).encode("latin-1")
)
EXTENSION = st.lists(
    st.one_of(NAME, st.tuples(NAME, NAME | QUOTED).map(b"=".join)).map(lambda one: b";" + one), max_size=3
).map(b"".join)
TRAILERS = st.lists(st.sampled_from([b"X-Sum: 1\r\n", b"a:b\r\n", b"Empty:\r\n"]), max_size=3).map(b"".join)
CUTS = st.lists(st.integers(min_value=0, max_value=400), max_size=12)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes in pieces, empty ones too."""
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def feed(framing: Framing, parts: list[bytes]) -> tuple[bytes, bytes | None]:
    """Everything that may go on, and what follows the body (None while it goes on)."""
    out = b""
    for number, part in enumerate(parts):
        body, rest = framing.feed(part)
        out += body
        if rest is not None:
            return out, rest + b"".join(parts[number + 1 :])
    return out, None


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A chunked body, and its data."""
    data = draw(DATA)
    wire = b""
    for part in data:
        size = b"%x" % len(part) if draw(st.booleans()) else b"00%X" % len(part)
        wire += size + draw(EXTENSION) + b"\r\n" + part + b"\r\n"
    return wire + b"0" + draw(EXTENSION) + b"\r\n" + draw(TRAILERS) + b"\r\n", b"".join(data)


@given(body=chunked(), behind=BEHIND, cuts=CUTS)
def test_chunks_pass_unchanged_however_they_are_cut(body: tuple[bytes, bytes], behind: bytes, cuts: list[int]) -> None:
    assert feed(ChunkedBody(), pieces(body[0] + behind, cuts)) == (body[0], behind)


@given(body=chunked(), behind=BEHIND, cuts=CUTS)
def test_chunks_are_unwrapped_however_they_are_cut(body: tuple[bytes, bytes], behind: bytes, cuts: list[int]) -> None:
    assert feed(ChunkedBody(unwrap=True), pieces(body[0] + behind, cuts)) == (body[1], behind)


@given(body=chunked(), at=st.integers(min_value=0), cuts=CUTS)
def test_half_a_body_goes_on_and_gives_nothing_made_up(body: tuple[bytes, bytes], at: int, cuts: list[int]) -> None:
    half = body[0][: at % len(body[0])]
    out, rest = feed(ChunkedBody(), pieces(half, cuts))
    assert rest is None and half.startswith(out)


@given(data=st.binary(max_size=60), length=st.integers(min_value=1, max_value=40), cuts=CUTS)
def test_a_length_is_kept(data: bytes, length: int, cuts: list[int]) -> None:
    out, rest = feed(LengthBody(length), pieces(data, cuts))
    assert out == data[:length]
    assert rest == (data[length:] if len(data) >= length else None)


@given(
    wire=st.binary(max_size=80) | st.text(alphabet="0123456789abcf;\r\n \t-+x_=", max_size=60).map(str.encode),
    cuts=CUTS,
)
def test_any_bytes_cut_anyhow_get_one_verdict(wire: bytes, cuts: list[int]) -> None:
    """Whole or in pieces: refused or not, what went on before is the beginning of the same bytes."""

    def verdict(parts: list[bytes]) -> tuple[bytes, bytes | None] | None:
        try:
            return feed(ChunkedBody(), parts)
        except BadRequest:
            return None

    whole, cut = verdict([wire]), verdict(pieces(wire, cuts))
    assert cut == whole


MALFORMED = {
    "no-size": b"\r\nx\r\n0\r\n\r\n",
    "hex-prefix": b"0x5\r\nhello\r\n0\r\n\r\n",
    "plus": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "space-behind": b"5 \r\nhello\r\n0\r\n\r\n",
    "space-before": b" 5\r\nhello\r\n0\r\n\r\n",
    "seventeen-digits": b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    "beyond-63-bits": b"8000000000000000\r\nx",
    "bare-lf": b"5\nhello\r\n0\r\n\r\n",
    "bare-cr": b"5\rhello\r\n0\r\n\r\n",
    "cr-in-extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "nul-in-extension": b"5;a\0\r\nhello\r\n0\r\n\r\n",
    "empty-extension": b"5;\r\nhello\r\n0\r\n\r\n",
    "comma-in-extension": b"5;a=b,\r\nhello\r\n0\r\n\r\n",
    "space-before-extension": b"5 ;a\r\nhello\r\n0\r\n\r\n",
    "space-in-extension": b"5;a =b\r\nhello\r\n0\r\n\r\n",
    "open-quote": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "behind-a-quote": b'5;a="b"c\r\nhello\r\n0\r\n\r\n',
    "longer-than-its-size": b"5\r\nhello!\r\n0\r\n\r\n",
    "shorter-than-its-size": b"6\r\nhello\r\n0\r\n\r\n",
    "lf-behind-data": b"5\r\nhello\n0\r\n\r\n",
    "cr-x-behind-data": b"5\r\nhello\rx0\r\n\r\n",
    "extension-too-long": b"5;" + b"a" * 256 + b"\r\nhello\r\n0\r\n\r\n",
    "endless-extension": b"5;" + b"a" * 400,
    "trailer-without-colon": b"0\r\nX\r\n\r\n",
    "trailer-folded": b"0\r\nX: a\r\n b\r\n\r\n",
    "trailer-content-length": b"0\r\nContent-Length: 5\r\n\r\n",
    "trailer-transfer-encoding": b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    "trailer-host": b"0\r\nHOST: evil\r\n\r\n",
    "trailer-authorization": b"0\r\nAuthorization: x\r\n\r\n",
    "trailer-underscore": b"0\r\nContent_Length: 5\r\n\r\n",
    "trailers-too-long": b"0\r\n" + b"X: y\r\n" * 2000,
}


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
def test_malformed_chunks_are_refused_and_not_passed_on(wire: bytes) -> None:
    framing, out = ChunkedBody(), b""

    def drip() -> None:
        nonlocal out
        for at in range(len(wire)):
            out += framing.feed(wire[at : at + 1])[0]

    with pytest.raises(BadRequest):
        drip()
    assert not out.endswith(b"\r\n0\r\n\r\n") and len(out) < 20
    with pytest.raises(BadRequest):
        ChunkedBody().feed(wire)


def test_extensions_have_a_budget_that_data_earns() -> None:
    with pytest.raises(BadRequest, match="too much besides data"):
        ChunkedBody().feed((b"1;" + b"a" * 200 + b"\r\nx\r\n") * 200)
    generous = ChunkedBody()
    for _ in range(200):
        generous.feed(b"80;" + b"a" * 200 + b"\r\n" + b"x" * 128 + b"\r\n")


def test_tenants_headers_are_no_trailers() -> None:
    head = RequestHead("POST", b"/", 1, b"Transfer-Encoding: chunked\r\n")
    framing = request_framing(head, frozenset({b"x-tenant"}))
    assert framing is not None
    with pytest.raises(BadRequest):
        framing.feed(b"0\r\nX_Tenant: evil\r\n\r\n")


def reply(fields: bytes, status: int = 200, minor: int = 1) -> ResponseHead:
    return ResponseHead(status, b"HTTP/1.1 200 OK", minor, fields)


def test_framings_of_replies() -> None:
    assert reply_framing(reply(b"Content-Length: 5\r\n"), "HEAD", unwrap=False) is None
    for status in (101, 204, 304):
        assert reply_framing(reply(b"Content-Length: 5\r\n", status), "GET", unwrap=False) is None
    assert reply_framing(reply(b"Content-Length: 0\r\n"), "GET", unwrap=False) is None
    assert isinstance(reply_framing(reply(b"Content-Length: 5\r\n"), "GET", unwrap=False), LengthBody)
    assert isinstance(reply_framing(reply(b"Transfer-Encoding: Chunked\r\n"), "GET", unwrap=False), ChunkedBody)
    assert isinstance(reply_framing(reply(b""), "GET", unwrap=False), UntilClose)


TWO_WAYS = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: 5\r\nContent-Length: 5\r\n",
    b"Content-Length: 5, 5\r\n",
    b"Content-Length: +5\r\n",
    b"Content-Length:\r\n",
    b"Content-Length: 9223372036854775808\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
]


@pytest.mark.parametrize("fields", TWO_WAYS)
def test_replies_framed_two_ways_are_not_believed(fields: bytes) -> None:
    with pytest.raises(BadRequest):
        reply_framing(reply(fields), "GET", unwrap=False)


def test_an_old_reply_has_no_chunks() -> None:
    with pytest.raises(BadRequest):
        reply_framing(reply(b"Transfer-Encoding: chunked\r\n", minor=0), "GET", unwrap=False)
