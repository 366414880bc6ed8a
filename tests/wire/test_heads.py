"""Heads: what the guard lets in comes out as it went in; what it refuses, and with which status. Sans I/O."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import BadRequest
from proxy.wire.heads import find_end, parse_request, parse_response

TOKEN = st.text(alphabet="!#$%&'*+-.^_`|~0123456789ABCXYZabcxyz", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=30).map(lambda raw: bytes(b for b in raw if b == 9 or (b >= 32 and b != 127)))
SPECIAL = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"}
FIELDS = st.lists(
    st.tuples(TOKEN.filter(lambda name: name.lower().replace(b"_", b"-") not in SPECIAL), VALUE), max_size=8
)


def block(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(name + b":" + value + b"\r\n" for name, value in fields)


@given(
    fields=FIELDS, target=st.text(alphabet="/ab%2F?&=;.~'()[]{}|^`\"\\", max_size=40).map(lambda t: b"/" + t.encode())
)
def test_what_is_well_formed_is_kept_byte_for_byte(fields: list[tuple[bytes, bytes]], target: bytes) -> None:
    raw = b"Host: a\r\n" + block(fields)
    head = parse_request(b"GET %b HTTP/1.1\r\n%b\r\n" % (target, raw))
    assert (head.method, head.target, head.minor, head.raw) == ("GET", target, 1, raw)
    for name, _ in fields:
        values = [value.strip(b" \t") for other, value in fields if other.lower() == name.lower()]
        assert head.get_all(name.lower()) == values


STATUS = st.integers(min_value=100, max_value=999).filter(lambda status: status != 101)  # which must name a protocol


@given(fields=FIELDS, reason=VALUE, status=STATUS)
def test_replies_are_kept_byte_for_byte(fields: list[tuple[bytes, bytes]], reason: bytes, status: int) -> None:
    line = b"HTTP/1.1 %d %b" % (status, reason)
    head = parse_response(line + b"\r\n" + block(fields) + b"\r\n")
    assert (head.status, head.line, head.raw) == (status, line, block(fields))


@given(junk=st.binary(max_size=120), at=st.integers(min_value=0, max_value=60))
def test_any_bytes_are_read_or_refused_and_never_crash(junk: bytes, at: int) -> None:
    statuses: set[int] = set()
    good = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nX: y\r\n\r\n"
    for data in (junk, good[:at] + junk + good[at:], good[:at] + junk):
        try:
            end = find_end(data)
            if end:
                head = parse_request(data[:end])
                assert head.get_all(b"host") and len(head.get_all(b"content-length")) <= 1
        except BadRequest as error:
            statuses.add(error.status)
    assert statuses <= {400, 413, 417, 431, 501, 505}


@given(junk=st.binary(max_size=120), at=st.integers(min_value=0, max_value=50))
def test_any_reply_is_read_or_refused(junk: bytes, at: int) -> None:
    good = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    data = good[:at] + junk + good[at:]
    try:
        end = find_end(data)
        if end:
            assert 100 <= parse_response(data[:end]).status <= 999
    except BadRequest:
        pass


@given(cut=st.integers(min_value=1, max_value=45))
def test_an_end_is_found_only_when_it_is_there(cut: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\nbehind"
    assert find_end(data[: -7 - cut]) == 0
    assert find_end(data) == len(data) - 6


@given(cuts=st.sets(st.integers(min_value=1, max_value=32)))
def test_an_end_in_pieces_is_found_without_reading_again(cuts: set[int]) -> None:
    """So are bare line feeds, which are none of its ends."""
    for data in (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n", b"GET / HTTP/1.1\nHost: a\nX: 1\n\r\n"):
        found, searched = [], 0
        for cut in (*sorted(cuts), len(data)):
            try:
                found.append(find_end(data[:cut], searched=searched))
            except BadRequest:
                found.append(-1)
                break
            searched = cut
        assert found[-1] == (len(data) if b"\r\nHost" in data else -1)


@pytest.mark.parametrize(
    "line",
    [
        b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 099 Low", b"HTTP/2.0 200 OK", b"HTTP/1.2 200 OK", b"200 OK",
        b"HTTP/1.1  200 OK", b"HTTP/1.1 200\tOK", b"HTTP/1.1 200OK", b"HTTP/1.1 200 a\0b", b"HTTP/1.1 200 a\rb", b"",
        b"ICY 200 OK", b"http/1.1 200 OK", b"HTTP/1.1 200 a\x7f",
    ],
)  # fmt: skip
def test_malformed_status_lines(line: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_response(line + b"\r\nContent-Length: 0\r\n\r\n")


def test_a_101_names_its_protocol() -> None:
    assert parse_response(b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").status == 101
    with pytest.raises(BadRequest):
        parse_response(b"HTTP/1.1 101 Go\r\n\r\n")


@pytest.mark.parametrize("field", [b"X : y", b" X: y", b": y", b"X\0: y", b"X: a\0b", b"X: a\rb", b"X", b"caf\xe9: y"])
def test_malformed_fields_of_a_reply(field: bytes) -> None:
    with pytest.raises(BadRequest):
        parse_response(b"HTTP/1.1 200 OK\r\n" + field + b"\r\n\r\n")


LIMITS = {
    "line-fits": (b"X: " + b"a" * (8 * 1024 - 3), None),
    "line-too-long": (b"X: " + b"a" * (8 * 1024 - 2), 431),
    "fields-fit": (b"\r\n".join([b"X: y"] * 99), None),
    "too-many-fields": (b"\r\n".join([b"X: y"] * 100), 431),
}


@pytest.mark.parametrize(("fields", "status"), LIMITS.values(), ids=LIMITS)
def test_limits(fields: bytes, status: int | None) -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n"
    if status is None:
        parse_request(data[: find_end(data)])
        return
    with pytest.raises(BadRequest) as refused:
        parse_request(data[: find_end(data)])
    assert refused.value.status == status


def test_a_head_that_cannot_become_valid_is_refused_before_it_ends() -> None:
    for data, status in ((b"GET / HTTP/1.1\r\nX: " + b"a" * 33_000, 431), (b"GET / HTTP/1.1\nHost: a\n\n", 400)):
        with pytest.raises(BadRequest) as refused:
            find_end(data)
        assert refused.value.status == status
