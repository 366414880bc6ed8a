"""Queries as the API server reads them, and one parameter changed among bytes that stay."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.query import first, flag, parameters, text, with_value

PIECES = st.lists(st.sampled_from([b"a", b"b", b"=", b"&", b"%41", b"%", b"%zz", b"+", b";", b"%3D", b"%26"]))


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
    assert [(found.name, found.value) for found in parameters(query)] == pairs


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
    others = [(found.name, found.value) for found in parameters(query) if found.name != "a"]
    changed = with_value(query, "a", b"V")
    assert text(changed, "a") == "V"
    assert [(found.name, found.value) for found in parameters(changed) if found.name != "a"] == others
    found = first(changed, "a")
    assert found is not None and changed[found.at : found.end] == b"V"
