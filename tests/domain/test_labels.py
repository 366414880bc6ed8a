"""Label selectors: the API server's grammar, and which labels they match."""

from __future__ import annotations

import contextlib
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.domain.labels import SelectorError, matches, parse_labels
from proxy.domain.pods import LabelTerm, LabelTest


def term(key: str, test: LabelTest, *values: str) -> LabelTerm:
    return LabelTerm(key, test, frozenset(values))


IN, NOT_IN, EXISTS, ABSENT = LabelTest.IN, LabelTest.NOT_IN, LabelTest.EXISTS, LabelTest.ABSENT
READ: Final = {
    "": (),
    "  ": (),
    "a=b": (term("a", IN, "b"),),
    "a==b": (term("a", IN, "b"),),
    " a = b ": (term("a", IN, "b"),),
    "a!=b": (term("a", NOT_IN, "b"),),
    "a=": (term("a", IN, ""),),
    "a=,b": (term("a", IN, ""), term("b", EXISTS)),
    "a!=": (term("a", NOT_IN, ""),),
    "a": (term("a", EXISTS),),
    "!a": (term("a", ABSENT),),
    "! a": (term("a", ABSENT),),
    "a in (x)": (term("a", IN, "x"),),
    "a in(x,y)": (term("a", IN, "x", "y"),),
    "a notin ( x , y )": (term("a", NOT_IN, "x", "y"),),
    "a in ()": (term("a", IN, ""),),
    "a in (x,)": (term("a", IN, "x", ""),),
    "a in (,x)": (term("a", IN, "x", ""),),
    "a in (x,,y)": (term("a", IN, "x", "y", ""),),
    "in in (in,notin)": (term("in", IN, "in", "notin"),),
    "notin": (term("notin", EXISTS),),
    "centaur.ai/managed=true": (term("centaur.ai/managed", IN, "true"),),
    "a=b,c!=d,e in (x,y),!f,g": (
        term("a", IN, "b"),
        term("c", NOT_IN, "d"),
        term("e", IN, "x", "y"),
        term("f", ABSENT),
        term("g", EXISTS),
    ),
}
BAD: Final = {
    ",": "a label's name",
    "a,": "the end stands where a label's name",
    "a,,b": "a label's name",
    "=b": '"=" stands where a label\'s name',
    "!": "a label's name",
    "!a=b": "a comma or the end",
    "a b": "=, ==, !=, in or notin",
    "a>5": '">"',
    "a<5": '"<"',
    "a=b c": "a comma or the end",
    "a=b=c": "a comma or the end",
    "a=(b)": "a label's value",
    "a!b": '"!"',
    "a in x": "brackets",
    "a in": "brackets",
    "a in (x": "a closing bracket",
    "a in (x y)": "a closing bracket",
    "a in (x)(y)": "a comma or the end",
    "a notin (!)": "a label's value",
    "-a=b": "a label's name",
    "a/b/c=d": "a label's name",
    "A.B/c=d": "a label's name",
    "/a": "a label's name",
    "a/": "a label's name",
    "a=-b": "a label's value",
    "a=b/c": "a label's value",
    "a=b*": "a label's value",
    "a=" + "b" * 64: "a label's value",
    "a" * 64: "a label's name",
    "x" * 254 + "/a": "a label's name",
    "a=b)": "a comma or the end",
    "ä=b": "a label's name",
}


@pytest.mark.parametrize("text", READ)
def test_what_is_read(text: str) -> None:
    assert parse_labels(text) == READ[text]


@pytest.mark.parametrize("text", BAD)
def test_what_cannot_be_read_says_why_and_how(text: str) -> None:
    with pytest.raises(SelectorError) as caught:
        parse_labels(text)
    assert BAD[text] in caught.value.problem
    assert "app=agent" in caught.value.hint


def test_the_longest_names_and_values() -> None:
    prefix = ".".join(["x" * 63] * 3 + ["x" * 61])
    assert len(prefix) == 253
    key = f"{prefix}/{'a' * 63}"
    assert parse_labels(f"{key}={'b' * 63}") == (term(key, IN, "b" * 63),)


@settings(deadline=None)
@given(st.text(alphabet="ab=!,()<> in.notin/-\t\n", max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SelectorError):
        assert (parse_labels(text) == ()) == (text.strip() == "")


LABELS: Final = {"a": "1", "empty": ""}
HOLDS: Final = {
    "a=1": True,
    "a=2": False,
    "b=1": False,
    "b=": False,
    "empty=": True,
    "a!=1": False,
    "a!=2": True,
    "b!=1": True,
    "a in (1,2)": True,
    "a in (2,3)": False,
    "a notin (1)": False,
    "b notin (1)": True,
    "a": True,
    "empty": True,
    "b": False,
    "!a": False,
    "!b": True,
    "a=1,!b": True,
    "a=1,b": False,
    "": True,
}


@pytest.mark.parametrize("text", HOLDS)
def test_which_labels_match(text: str) -> None:
    assert matches(parse_labels(text), LABELS) is HOLDS[text]
