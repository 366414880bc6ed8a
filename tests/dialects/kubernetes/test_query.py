"""Queries as the API server reads them, and one parameter changed among bytes that stay."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from types import FrameType
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.query import first, flag, named, text, with_value
from proxy.dialects.kubernetes.routes import operation_of
from proxy.dialects.kubernetes.selectors import without_phase

PIECES = st.lists(st.sampled_from([b"a", b"b", b"=", b"&", b"%41", b"%", b"%zz", b"+", b";", b"%3D", b"%26"]))
LONGER = st.lists(
    st.sampled_from([b"ab", b"%61b", b"a%62", b"%61%62", b"a%6", b"b", b"=", b"&", b";", b"%26", b"+", b"c"])
)
NAMES = ["a", "b", "ab", "A"]


def pairs_of(query: bytes) -> list[tuple[bytes, bytes]]:
    """Go's ``url.ParseQuery``, pair by pair."""
    pairs = []
    for pair in query.split(b"&"):
        if pair and b";" not in pair and not re.search(rb"%(?![0-9A-Fa-f]{2})", pair):
            name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in pair.partition(b"="))
            pairs.append((name, value))
    return pairs


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        (b"", []),
        (b"a=1&b=2", [("a", b"1"), ("b", b"2")]),
        (b"a&&b=", [("a", b""), ("b", b"")]),
        (b"a=b=c&%61=x+y%2B", [("a", b"b=c"), ("a", b"x y+")]),
        (b"a=%zz&b=1;c=2&d=%4&e=1", [("e", b"1")]),
        (b"a=%ff", [("a", b"\xff")]),
    ],
)
def test_the_pairs_that_count(query: bytes, pairs: list[tuple[str, bytes]]) -> None:
    for name in {name for name, _ in pairs} | {"a", "b", "c", "d", "e"}:
        assert [found.value for found in named(query, name)] == [value for other, value in pairs if other == name]
    assert pairs_of(query) == [(name.encode(), value) for name, value in pairs]


@given(PIECES.map(b"".join) | LONGER.map(b"".join))
def test_a_name_is_found_as_by_reading_pair_for_pair(query: bytes) -> None:
    for name in NAMES:
        assert [pair.value for pair in named(query, name)] == [v for n, v in pairs_of(query) if n == name.encode()]


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        (b"", False),
        (b"f=0", False),
        (b"f=false", False),
        (b"f=False", False),
        (b"f=", True),
        (b"f", True),
        (b"f=no", True),
        (b"f=True", True),
        (b"f=0&f=1", False),
        (b"F=1", False),
        (b"f=%zz", False),
    ],
)
def test_booleans_are_the_api_servers(query: bytes, holds: bool) -> None:
    assert flag(query, "f") is holds


@pytest.mark.parametrize(
    ("query", "changed"),
    [
        (b"", b"x=V"),
        (b"a=1", b"a=1&x=V"),
        (b"a=1&x=2&b=%20", b"a=1&x=V&b=%20"),
        (b"x=2&x=3", b"x=V&x=3"),
        (b"%78=2", b"%78=V"),
        (b"x", b"x=V"),
        (b"x=", b"x=V"),
        (b"x=%zz&x=1", b"x=%zz&x=V"),
    ],
)
def test_one_parameter_changes_and_the_rest_stays(query: bytes, changed: bytes) -> None:
    assert with_value(query, "x", b"V") == changed


@given(PIECES.map(b"".join))
def test_a_changed_parameter_is_read_back(query: bytes) -> None:
    others = [pair for pair in pairs_of(query) if pair[0] != b"a"]
    changed = with_value(query, "a", b"V")
    assert text(changed, "a") == "V"
    assert [pair for pair in pairs_of(changed) if pair[0] != b"a"] == others
    found = first(changed, "a")
    assert found is not None and changed[found.at : found.end] == found.raw == b"V"


def calls_of(work: Callable[[], object]) -> int:
    """Calls that Python makes in some work, of functions in C too: what it costs, whatever the machine."""
    calls = 0

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


@pytest.mark.parametrize("pair", [b"", b"a", b"a=b", b"%61", b"a;", b"a=%zz", b"watch=;", b"watch=%zz", b"w%61tch"])
@pytest.mark.parametrize("begin", [b"", b"watch=1&", b"fieldSelector=status.phase%3DRunning%2C"])
def test_pairs_by_the_thousand_cost_no_call_for_each(pair: bytes, begin: bytes) -> None:
    """A request line of 8 KiB holds 4,000 of them; looked at one by one, a watch took 66 ms of the processor."""
    query = begin + b"&".join([pair] * 1000)

    def work() -> None:
        for method in ("GET", "POST"):
            operation_of(method, "/api/v1/namespaces/a/pods", query)
        without_phase(query)
        text(query, "timeout")

    work()  # patterns are compiled once
    assert calls_of(work) < 500


def test_terms_by_the_thousand_cost_one_look_each() -> None:
    query = b"fieldSelector=status.phase%3DRunning%2C" + b"a=b," * 1000
    assert calls_of(lambda: without_phase(query)) < 3 * 1000
