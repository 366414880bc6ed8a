"""Streams of values: each changes when it is whole, however the bytes were cut; the others keep their bytes."""

from __future__ import annotations

import json
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.values import Values
from proxy.dialects.translation import LONGEST_WHOLE
from tests.dialects.kubernetes.cutting import every_cut, pieces, through
from tests.support.witnesses import Remembering

CALM: Final = b'{"type":"MODIFIED","object":{"a":"}\\n{","b":[{}]}}'
LOUD: Final = b'{"type":"MODIFIED","object":{"!":[{},"{"]}}'
GONE: Final = b'{"type":"ADDED","object":{"!":"away"}}'
TOLD: Final = b'{"told":1}'
PRETTY: Final = json.dumps(json.loads(LOUD), indent=2).encode()
CALM_PRETTY: Final = json.dumps(json.loads(CALM), indent=2).encode()
VALUES: Final = st.sampled_from([CALM, LOUD, GONE, PRETTY, CALM_PRETTY, b"{}"])


def each(value: bytes) -> bytes:
    """What is loud is told in other words, or not at all."""
    if b'"!"' not in json.dumps(json.loads(value)).encode():
        return value
    return b"" if b"away" in value else TOLD


def stream(witness: Remembering | None = None) -> Values:
    return Values(each, lambda data: b"!" not in data, witness or Remembering())


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (CALM + b"\n" + LOUD + b"\n" + CALM + b"\n", CALM + b"\n" + TOLD + b"\n" + CALM + b"\n"),
        (CALM + b"\n" + GONE + b"\n" + CALM + b"\n", CALM + b"\n" + CALM + b"\n"),
        (GONE + b"\n" + GONE + b"\n", b""),
        (LOUD, TOLD + b"\n"),
        (CALM, CALM),
        (CALM + LOUD + b"\n" + CALM, CALM + b"\n" + TOLD + b"\n" + CALM),
        (LOUD + b"\n\n" + CALM, TOLD + b"\n" + CALM),
        (b'{"a":[{}\n,{"!":1}]}\n', TOLD + b"\n"),
        (b'{"a":[\n{"!":1}]}\n', TOLD + b"\n"),
        (b'{"!":[{}\n,{}\n]}\n' + CALM + b"\n", TOLD + b"\n" + CALM + b"\n"),
        (CALM + LOUD + CALM, CALM + b"\n" + TOLD + b"\n" + CALM),
        (CALM + CALM + b"\n", CALM + CALM + b"\n"),
        (LOUD + LOUD + GONE + LOUD, (TOLD + b"\n") * 3),
        (PRETTY + b"\n" + CALM_PRETTY + b"\n" + PRETTY, TOLD + b"\n" + CALM_PRETTY + b"\n" + TOLD + b"\n"),
        (CALM + b"\r\n" + LOUD + b"\r\n", CALM + b"\r\n" + TOLD + b"\n"),
        (b"\n\n " + CALM + b" \n\t\n" + LOUD + b" \n\n" + CALM, b"\n\n " + CALM + b" \n\t\n" + TOLD + b"\n" + CALM),
        (b"", b""),
        (b" \n ", b" \n "),
    ],
)
def test_every_cut_gives_the_same(sent: bytes, received: bytes) -> None:
    for cut in every_cut(sent):
        witness = Remembering()
        assert through(stream(witness), cut) == received
        assert witness.why == []


@given(st.lists(st.tuples(VALUES, st.sampled_from([b"\n", b"", b"\r\n", b" ", b"\n\n"])), max_size=8), st.data())
@example([(GONE, b"\n"), (CALM, b"\n"), (LOUD, b"")], None)
def test_any_stream_cut_anywhere(values: list[tuple[bytes, bytes]], data: st.DataObject | None) -> None:
    sent = b"".join(value + space for value, space in values)
    places = [] if data is None else data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    received = through(stream(), pieces(sent, places))
    assert received == through(stream(), [sent])
    said = [TOLD if told is not value else value for value, _ in values if (told := each(value))]
    assert json.dumps(decoded(received)) == json.dumps([json.loads(value) for value in said])
    for line in received.split(b"\n"):
        assert line.strip() == TOLD or TOLD not in line


def decoded(data: bytes) -> list[object]:
    """Values one after the other, as client-go reads them."""
    found, text, decoder = [], data.decode(), json.JSONDecoder()
    at = len(text) - len(text.lstrip())
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        found.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def test_lines_without_a_change_are_the_same_object() -> None:
    lines = (CALM + b"\n") * 3
    values = stream()
    assert values.feed(lines) is lines
    assert values.feed(lines) is lines


def test_a_value_goes_on_as_soon_as_it_is_whole() -> None:
    for value, told in ((CALM, CALM), (LOUD, TOLD + b"\n"), (PRETTY, TOLD + b"\n")):
        values = stream()
        assert values.feed(value[:-1]) == b""
        assert values.feed(value[-1:]) == told
        assert values.feed(b"\n" + value + value[:9]) == (told + b"\n" + told if told is CALM else told).removeprefix(
            told if told is CALM else b""
        )


@pytest.mark.parametrize(
    ("cut", "received"),
    [
        ([LOUD, CALM + b"\n", b"\n"], TOLD + b"\n" + CALM + b"\n\n"),
        ([CALM, CALM + b"\n", LOUD + b"\n"], CALM + CALM + b"\n" + TOLD + b"\n"),
        ([CALM, LOUD + b"\n" + LOUD + b"\n"], CALM + b"\n" + TOLD + b"\n" + TOLD + b"\n"),
        ([LOUD, LOUD + b"\n", b"\n" + CALM], TOLD + b"\n" + TOLD + b"\n" + CALM),
    ],
)
def test_values_that_no_newline_parts_stay_on_their_lines(cut: list[bytes], received: bytes) -> None:
    assert through(stream(), cut) == received == through(stream(), [b"".join(cut)])


def test_a_blank_line_as_a_sign_of_life_passes_at_once() -> None:
    values = stream()
    assert values.feed(b"\n") == b"\n"
    assert values.feed(CALM + b"\n\n") == CALM + b"\n\n"


@pytest.mark.parametrize(
    "broken", [b"HTTP/1.1 500\n{}", b"[1]\n{}", b"}", b'{"a" 1}', b'{"a":\n}', b"12{}", b'"!"}', b"\x00\n\n {}"]
)
def test_what_is_no_json_passes_up_to_the_next_line_behind_a_value(broken: bytes) -> None:
    sent = LOUD + b"\n" + broken + b"\n" + LOUD + b"\n"
    for cut in every_cut(sent):
        witness = Remembering()
        assert through(stream(witness), cut) == TOLD + b"\n" + broken + b"\n" + TOLD + b"\n"
        assert set(witness.why) <= {"broken"}


def test_what_is_no_json_is_counted_once() -> None:
    witness = Remembering()
    assert through(stream(witness), [b"HTTP/1.1 500\n", LOUD, b"}\n", CALM]) == b"HTTP/1.1 500\n" + LOUD + b"}\n" + CALM
    assert witness.why == ["broken"]


def test_a_value_without_an_end_passes_at_the_end() -> None:
    witness = Remembering()
    assert through(stream(witness), [LOUD + b"\n" + LOUD[:-1]]) == TOLD + b"\n" + LOUD[:-1]
    assert witness.why == ["broken"]


NOISE: Final = st.sampled_from(
    [CALM, LOUD, GONE, LOUD[:-1], LOUD[1:], b"{", b"}", b"\n", b" ", b'"', b"[", b"]", b"\\", b",", b"1", b"-", b"x"]
)


@given(st.lists(NOISE | st.binary(max_size=4)), st.data())
def test_any_bytes_cut_anywhere_give_the_same(parts: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(parts)
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    received = through(stream(), pieces(sent, places))
    assert received == through(stream(), [sent])
    assert b"!" in sent or received == sent


BIG: Final = b'{"!":"' + b"x" * LONGEST_WHOLE + b'"}'
BIG_PRETTY: Final = b'{\n "!": [\n  {},\n  "' + b"x" * LONGEST_WHOLE + b'"\n ]\n}'


@pytest.mark.parametrize("big", [BIG, BIG_PRETTY])
@pytest.mark.parametrize("size", [100_000, 1 << 20, 1 << 30])
def test_a_value_that_is_too_big_passes_to_its_end_and_the_next_is_told(big: bytes, size: int) -> None:
    witness = Remembering()
    sent = LOUD + b"\n" + big + b"\n" + LOUD + b"\n" + CALM + b"\n"
    cut = [sent[at : at + size] for at in range(0, len(sent), size)]
    assert through(stream(witness), cut) == TOLD + b"\n" + big + b"\n" + TOLD + b"\n" + CALM + b"\n"
    assert witness.why == ["too-big"]


def test_the_end_of_a_value_that_is_too_big_may_be_cut_anywhere() -> None:
    tail = b'"}' + b" \n\n " + LOUD + b"\n"
    for cut in every_cut(tail):
        values = stream()
        values.feed(BIG[:-2])
        assert through(values, cut) == b'"} \n\n ' + TOLD + b"\n"


def test_never_more_is_held_back_than_may_be() -> None:
    values, fed, out = stream(), 0, 0
    for _ in range(80):
        out += len(values.feed(b'{"!":"' if not fed else b"x" * 65_536))
        fed += 65_536
        assert fed - out <= LONGEST_WHOLE + 2 * 65_536
    assert out > LONGEST_WHOLE
