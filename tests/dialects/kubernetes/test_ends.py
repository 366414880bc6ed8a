"""Where JSON values end, and what waits for their ends."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.ends import BROKEN, TRUNCATED, Held, end_of, is_value
from proxy.dialects.translation import LONGEST_WHOLE

DEEP = b"[" * 100_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'{"a":1},', "JSON is malformed: trailing characters (byte 8)"),
        (b'{"a":1} \n {', "JSON is malformed: trailing characters (byte 11)"),
        (b'{"a":', "Input data was truncated"),
        (b"[-", "JSON is malformed: invalid character (byte 2)"),
        (b"[-1.5e", "JSON is malformed: invalid number (byte 6)"),
        (b'{"a" 1', "JSON is malformed: expected ':' (byte 5)"),
    ],
)
def test_the_words_of_msgspec_on_which_all_rests(data: bytes, words: str) -> None:
    with pytest.raises(msgspec.DecodeError) as caught:
        msgspec.json.Decoder(msgspec.Raw).decode(memoryview(data))
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"{}", 2),
        (b"{},", 2),
        (b"{} \r\n\t", 2),
        (b'{"a":"}{"}{"b"', 10),
        (b'{"a":"\\"}"}]', 11),
        (b'["x"]}', 5),
        (b'"x",', 3),
        (b"12 ", 2),
        (b"12]", 2),
        (b"null}", 4),
        (b"12", TRUNCATED),
        (b"null", TRUNCATED),
        (b'"x', TRUNCATED),
        (b'{"a":"\\', TRUNCATED),
        (b"{", TRUNCATED),
        (b"[1,", TRUNCATED),
        (b"[-", TRUNCATED),
        (b'{"a":-0.5E-', TRUNCATED),
        (b"[-x", BROKEN),
        (b"[1.x", BROKEN),
        (b"}", BROKEN),
        (b'{"a" 1}', BROKEN),
        (b'{"a":"\n"}', BROKEN),
        (b"\x80", BROKEN),
        (DEEP, BROKEN),
    ],
)
def test_the_end_of_a_value(data: bytes, end: int) -> None:
    assert end_of(data, 0) == end
    assert end_of(b"}, " + data, 3) == (end + 3 if end > 0 else end)


@given(JSON, st.sampled_from([None, 1]), st.sampled_from(["", " ", "\n"]), st.sampled_from(["", ",", "]", "}", "{"]))
def test_the_end_is_what_json_says(value: object, indent: int | None, space: str, behind: str) -> None:
    text = json.dumps(value, indent=indent).encode()
    data = text + space.encode() + behind.encode()
    goes_on = not space and not behind and text[-1:] not in b'}]"'
    assert end_of(data, 0) == (TRUNCATED if goes_on else len(text))
    if text[:1] in b'{["':
        assert all(end_of(data[:length], 0) == TRUNCATED for length in range(1, len(text)))


@pytest.mark.parametrize(
    ("data", "whole"),
    [(b"{}", True), (b" {} ", True), (b"{}{}", False), (b"{", False), (b"", False), (b"x", False), (DEEP, False)],
)
def test_exactly_one_value(data: bytes, whole: bool) -> None:
    assert is_value(data) is whole


def test_small_things_are_looked_at_with_every_piece() -> None:
    held = Held()
    assert held.with_more(b"{") == b"{"
    assert held.keep(b"{")
    assert held.with_more(b"x") == b"{x"
    assert held.keep(b"{x") and held.size == 2
    assert held.all() == b"{x" and held.size == 0 and held.all() == b""


def test_big_things_wait_until_it_pays_or_a_value_may_have_ended() -> None:
    big = b"{" + b" " * 800_000
    for piece, seen in ((b"x", False), (b"x\nx", True), (b"x}", True), (b"x" * 101_000, True), (b"x" * 99_000, False)):
        held = Held()
        assert held.keep(big)
        assert (held.with_more(piece) is not None) is seen
        assert held.all() == (b"" if seen else big + piece)


def test_nothing_waits_beyond_what_may() -> None:
    held = Held()
    assert held.keep(b" " * LONGEST_WHOLE)
    assert held.with_more(b"x") is not None
    assert not held.keep(b" " * (LONGEST_WHOLE + 1))
    assert held.all() == b""


def test_many_small_pieces_of_a_big_value_are_seldom_looked_at() -> None:
    held, looks = Held(), 0
    for _ in range(100_000):
        data = held.with_more(b"xxxxxxxxxx")
        if data is not None:
            looks += 1
            held.keep(data)
    assert held.all() == b"x" * 1_000_000
    assert looks < 6_700  # 6,554 up to 64 kB, and then 24 for the rest
