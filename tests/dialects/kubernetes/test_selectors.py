"""Terms on the phase are taken out of a fieldSelector; every other byte of the query stays."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.query import text
from proxy.dialects.kubernetes.selectors import PhaseTest, without_phase

PHASES: Final = ("Pending", "Running", "Succeeded", "Failed", "Unknown", "", "a,b=c\\")


def asks(*equal: str, unequal: tuple[str, ...] = ()) -> PhaseTest:
    return PhaseTest(frozenset(equal), frozenset(unequal))


@pytest.mark.parametrize(
    ("query", "rest", "test"),
    [
        ("fieldSelector=status.phase=Failed", "fieldSelector=", asks("Failed")),
        ("fieldSelector=status.phase%3DFailed", "fieldSelector=", asks("Failed")),
        ("fieldSelector=status.phase==Failed", "fieldSelector=", asks("Failed")),
        ("fieldSelector=status.phase%3D%3dFailed", "fieldSelector=", asks("Failed")),
        ("fieldSelector=status.phase!=Failed", "fieldSelector=", asks(unequal=("Failed",))),
        ("fieldSelector=status.phase%21%3DFailed", "fieldSelector=", asks(unequal=("Failed",))),
        ("fieldSelector=status.phase=a+b%2B", "fieldSelector=", asks("a b+")),
        ("fieldSelector=status.phase=", "fieldSelector=", asks("")),
        ("fieldSelector=%73tatus%2Ephase=Failed", "fieldSelector=", asks("Failed")),
        ("field%53elector=status.phase=Failed", "field%53elector=", asks("Failed")),
        (
            "fieldSelector=status.phase!=Succeeded,status.phase!=Failed,spec.nodeName=n",
            "fieldSelector=spec.nodeName=n",
            asks(unequal=("Succeeded", "Failed")),
        ),
        (
            "limit=5&fieldSelector=metadata.name%3dx%2Cstatus.phase=Failed%2cspec.nodeName!%3Dn&labelSelector=a%3Db",
            "limit=5&fieldSelector=metadata.name%3dx,spec.nodeName!%3Dn&labelSelector=a%3Db",
            asks("Failed"),
        ),
        ("fieldSelector=,status.phase=Failed,,", "fieldSelector=", asks("Failed")),
        ("fieldSelector=status.phase=a\\,b%5C=c%5c%5C", "fieldSelector=", asks("a,b=c\\")),
        (
            "fieldSelector=spec.x=a%5C%2Cstatus.phase%5c=b,status.phase=F",
            "fieldSelector=spec.x=a%5C%2Cstatus.phase%5c=b",
            asks("F"),
        ),
        ("fieldSelector=status.phase=A&fieldSelector=x=y", "fieldSelector=&fieldSelector=x=y", asks("A")),
        ("fieldSelector=%zz&fieldSelector=status.phase=A", "fieldSelector=%zz&fieldSelector=", asks("A")),
    ],
)
def test_the_terms_on_the_phase_are_taken_out(query: str, rest: str, test: PhaseTest) -> None:
    assert without_phase(query.encode()) == (rest.encode(), test)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "limit=500",
        "fieldSelector=",
        "fieldSelector",
        "fieldSelector=metadata.name=status.phase",
        "fieldSelector=xstatus.phase=Failed",
        "fieldSelector=status.phase =Failed",
        "fieldSelector=status.phase+=Failed",
        "labelSelector=status.phase=Failed",
        "fieldSelector=x=y&fieldSelector=status.phase=Failed",
        "fieldSelector=status.phase=Failed;limit=1",
    ],
)
def test_what_does_not_select_by_phase(query: str) -> None:
    assert without_phase(query.encode()) is None


@pytest.mark.parametrize(
    "selector",
    [
        "status.phase",
        "status.phase=Failed,x",
        "status.phase=Failed,x=a=b",
        "status.phase=a\\b",
        "status.phase=a\\",
        "status.phase===a",
        "status.phase!==a",
        "status.phase\\=a",
    ],
)
def test_what_the_api_server_refuses_goes_to_it(selector: str) -> None:
    assert without_phase(f"fieldSelector={quote(selector, safe='')}".encode()) is None


@pytest.mark.parametrize("phase", PHASES)
def test_all_of_a_test_must_hold(phase: str) -> None:
    assert asks().holds(phase)
    assert asks("Failed").holds(phase) == (phase == "Failed")
    assert not asks("Failed", "Running").holds(phase)
    assert asks(unequal=("Failed", "Running")).holds(phase) == (phase not in ("Failed", "Running"))
    assert asks("Failed", unequal=("Running",)).holds(phase) == (phase == "Failed")
    assert not asks("Failed", unequal=("Failed",)).holds(phase)


TERM: Final = st.tuples(
    st.sampled_from(["status.phase", "metadata.name", "spec.nodeName"]),
    st.sampled_from(["=", "==", "!="]),
    st.sampled_from(PHASES),
)


def escaped(value: str) -> str:
    """As Go's ``fields.EscapeValue``."""
    for sign in "\\,=":
        value = value.replace(sign, "\\" + sign)
    return value


@given(st.lists(TERM, max_size=5), st.sampled_from(["", "=,!", "=,!\\."]), st.sampled_from(PHASES))
def test_any_selector_is_split_in_two_that_mean_the_same(
    terms: list[tuple[str, str, str]], safe: str, phase: str
) -> None:
    said = [(key, f"{key}{sign}{escaped(value)}") for key, sign, value in terms]
    selector = quote(",".join(term for _, term in said), safe=safe)
    found = without_phase(f"a=b&fieldSelector={selector}&c".encode())
    mine = [(sign, value) for key, sign, value in terms if key == "status.phase"]
    if not mine:
        assert found is None
        return
    assert found is not None
    rest, test = found
    assert text(rest, "fieldSelector") == ",".join(term for key, term in said if key != "status.phase")
    assert rest.startswith(b"a=b&fieldSelector=") and rest.endswith(b"&c")
    assert test.holds(phase) == all((phase == value) is (sign != "!=") for sign, value in mine)


@given(
    st.lists(st.sampled_from(["status.phase", "=", "!", ",", "\\", "%5C", "%2c", "%", "+", "&", "fieldSelector=", "é"]))
)
def test_any_query_is_read(parts: list[str]) -> None:
    found = without_phase(("fieldSelector=" + "".join(parts)).encode())
    assert found is None or without_phase(found[0]) is None
