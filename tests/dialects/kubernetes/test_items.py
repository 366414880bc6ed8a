"""Lists as they stream: items change or are left out one by one, and everything else keeps its bytes."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.kubernetes.items import Items
from proxy.dialects.translation import LONGEST_WHOLE
from tests.dialects.kubernetes.cutting import every_cut, pieces, through
from tests.support.witnesses import Remembering

HEAD: Final = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},'
CALM: Final = b'{"metadata":{"name":"},{","labels":{"a":"\\"]}"}},"spec":{"containers":[{},{"a":[]}]}}'
LOUD: Final = b'{"!":[{},"{"]}'
GONE: Final = b'{"!":"away"}'
TOLD: Final = b'{"told":1}'


def each(item: bytes) -> bytes | None:
    """What is loud is told in other words, or not at all."""
    if b"!" not in item:
        return item
    if b"nonsense" in item:
        raise ValueError("nonsense")
    return None if b"away" in item else TOLD


def listing(witness: Remembering | None = None) -> Items:
    return Items({b"items": each, b"rows": None}, {b"metadata": lambda value: value.upper()}, witness or Remembering())


def plain(witness: Remembering | None = None) -> Items:
    return Items({b"items": each, b"rows": None}, {}, witness or Remembering())


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        (b"%b", b"%b"),
        (b"[]", b"[]"),
        (b"[%(C)b]", b"[%(C)b]"),
        (b"[%(C)b,%(L)b,%(C)b]", b"[%(C)b,%(T)b,%(C)b]"),
        (b"[%(L)b,%(L)b]", b"[%(T)b,%(T)b]"),
        (b"[%(G)b]", b"[]"),
        (b"[%(G)b,%(G)b]", b"[]"),
        (b"[%(G)b,%(C)b]", b"[%(C)b]"),
        (b"[%(G)b,%(L)b,%(G)b]", b"[%(T)b]"),
        (b"[%(C)b,%(G)b,%(C)b,%(G)b]", b"[%(C)b,%(C)b]"),
        (b"[\n  %(C)b,\n  %(L)b\n ]", b"[\n  %(C)b,\n  %(T)b\n ]"),
        (b"[\n  %(G)b ,\n  %(C)b,\n  %(G)b\n ]", b"[ \n  %(C)b\n ]"),
        (b"null", b"null"),
        (b"7", b"7"),
        (b'{"items":[%(L)b]}', b'{"items":[%(L)b]}'),
        (b'[null,"x",7,true,[%(L)b],%(C)b]', b'[null,"x",7,true,%(T)b,%(C)b]'),
    ],
)
def test_every_cut_gives_the_same(sent: bytes, received: bytes) -> None:
    names = {b"C": CALM, b"L": LOUD, b"G": GONE, b"T": TOLD}
    sent, received = sent.replace(b"%b", b"{}") % names, received.replace(b"%b", b"{}") % names
    for head, tail in ((HEAD + b'"items":', b"}\n"), (b'\n{ "items" :\t', b' , "metadata" : {"continue":"x"} } \n')):
        for cut in every_cut(head + sent + tail):
            witness = Remembering()
            assert through(plain(witness), cut) == head + received + tail
            assert witness.why == []


def test_a_second_array_is_another_one() -> None:
    sent = b'{"items":[%b,%b],"items":[%b,%b]}' % (CALM, CALM, GONE, CALM)
    assert through(plain(), [sent]) == b'{"items":[%b,%b],"items":[%b]}' % (CALM, CALM, CALM)
    sent = b'{"items":[%b,%b],"items":[,%b]}' % (CALM, CALM, CALM)
    assert through(plain(), [sent]) == sent


def test_members_of_the_list_change_wherever_they_stand() -> None:
    for sent, received in (
        (b'{"metadata":{"a":1},"items":[%b]}', b'{"metadata":{"A":1},"items":[%b]}'),
        (b'{"items":[%b],"metadata":{"a":1},"x":{"a":1}}', b'{"items":[%b],"metadata":{"A":1},"x":{"a":1}}'),
        (b'{"x":"a","metadata":"a"}', b'{"x":"a","metadata":"A"}'),
    ):
        for cut in every_cut(sent.replace(b"%b", LOUD)):
            assert through(listing(), cut) == received.replace(b"%b", TOLD)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b" {} \n",
        b'{"kind":"Status","status":"Success"}\n',
        b'{"kind":"Table","columnDefinitions":[{"name":"!"}],"rows":[{"object":%b}],"items":[%b]}',
        b'{"it\\u0065ms":[%b]}',
        b'{"a":{"items":[%b]},"b":[%b]}',
    ],
)
def test_what_is_no_list_passes(body: bytes) -> None:
    for cut in every_cut(body.replace(b"%b", LOUD)):
        witness = Remembering()
        assert through(plain(witness), cut) == body.replace(b"%b", LOUD)
        assert witness.why == []


def test_rows_of_a_table_go_on_as_they_come() -> None:
    table = plain()
    assert table.feed(b'{"kind":"Table","rows":[{"cells":') == b'{"kind":"Table","rows":[{"cells":'
    assert table.feed(b'["!') == b'["!'


def test_items_go_on_as_soon_as_they_are_whole() -> None:
    items = plain()
    assert items.feed(HEAD + b'"items":[' + CALM + b"," + LOUD[:-1]) == HEAD + b'"items":[' + CALM
    assert items.feed(LOUD[-1:]) == b"," + TOLD
    assert items.feed(b"," + CALM) == b"," + CALM


def test_bytes_in_which_nothing_changes_are_the_same_object() -> None:
    items = plain()
    for data in (HEAD + b'"items":[' + CALM, b"," + CALM, b"," + CALM + b"]}\n", b"\n"):
        assert items.feed(data) is data
    assert items.end() == b""


def test_an_item_of_which_nothing_can_be_made_passes() -> None:
    witness = Remembering()
    sent = b'{"items":[{"!":"nonsense"},%b]}'
    assert through(plain(witness), [sent.replace(b"%b", LOUD)]) == sent.replace(b"%b", TOLD)
    assert witness.why == ["broken"]


@pytest.mark.parametrize(
    ("good", "broken"),
    [
        (b"", b"[%b]"),
        (b"", b"HTTP/1.1"),
        (b"", b'"items"'),
        (b"", b'{"items" [%b]}'),
        (b"", b"{ items: [%b]}"),
        (b'{"items":[%b', b" %b]}"),
        (b'{"items":[%b', b",,%b]}"),
        (b'{"items":[%b', b",]}"),
        (b'{"items":[', b",%b]}"),
        (b'{"items":[%b', b"}}"),
        (b'{"items":[%b', b',{"a" 1},%b]}'),
        (b'{"items":[%b]', b"]"),
        (b'{"items":[%b]', b',"metadata":}'),
        (b'{"items":[%b]', b' "metadata":{}}'),
        (b'{"items":[%b]', b',"x":{'),
        (b'{"items":[%b', b',{"!":'),
        (b'{"items":[%b', b""),
        (b'{"items":[%b]', b""),
        (b'{"a"', b""),
    ],
)
def test_what_is_broken_passes_from_there_on(good: bytes, broken: bytes) -> None:
    for cut in every_cut((good + broken).replace(b"%b", LOUD)):
        witness = Remembering()
        assert through(plain(witness), cut) == good.replace(b"%b", TOLD) + broken.replace(b"%b", LOUD)
        assert witness.why == ["broken"]


@given(
    st.lists(
        st.sampled_from([b'{"items":[', HEAD, CALM, LOUD, b",", b"]", b"}", b"{", b'"', b" ", b"[", b"1", b'"items":['])
        | st.binary(max_size=4)
    ),
    st.data(),
)
def test_any_bytes_cut_anywhere_give_the_same(parts: list[bytes], data: st.DataObject) -> None:
    sent = b"".join(parts)
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    received = through(plain(), pieces(sent, places))
    assert received == through(plain(), [sent])
    assert b"!" in sent or received == sent


@pytest.mark.parametrize(
    "broken",
    [b"x", b'{"items":x', b'{"items":[x', b'{"items":[{}x', b'{"items":[]x', b'{"a":1x', b'{"a"' + b" " * 4096],
)
def test_what_is_broken_does_not_wait(broken: bytes) -> None:
    items = plain()
    assert items.feed(broken) == broken
    assert items.feed(b'"x') == b'"x'


ITEM: Final = st.sampled_from([json.loads(CALM), json.loads(LOUD), json.loads(GONE), {}, {"!": "é\u2028"}])


@given(st.lists(ITEM), st.sampled_from([None, 0, 2]), st.permutations(["kind", "items", "metadata", "x"]), st.data())
def test_any_list_cut_anywhere(items: list[Any], indent: int | None, order: list[str], data: st.DataObject) -> None:
    members = {"kind": "PodList", "items": items, "metadata": {"a": 1}, "x": [items]}
    sent = json.dumps({name: members[name] for name in order}, indent=indent, ensure_ascii=False).encode()
    places = data.draw(st.lists(st.integers(0, len(sent)), max_size=6))
    received = json.loads(through(listing(), pieces(sent, places)))
    told = [json.loads(TOLD) if "!" in item else item for item in items if item != json.loads(GONE)]
    assert received == {**members, "items": told, "metadata": {"A": 1}}
    assert list(received) == order


BIG: Final = b'{"!":"' + b"x" * (LONGEST_WHOLE + 200_000) + b'"}'


def test_an_item_that_is_too_big_passes_with_all_behind_it() -> None:
    witness = Remembering()
    sent = b'{"items":[%b,%b,%b]}' % (LOUD, BIG, LOUD)
    cut = [sent[at : at + 100_000] for at in range(0, len(sent), 100_000)]
    assert through(plain(witness), cut) == b'{"items":[%b,%b,%b]}' % (TOLD, BIG, LOUD)
    assert witness.why == ["too-big"]


def test_an_item_that_is_too_big_but_came_whole_passes_alone() -> None:
    witness = Remembering()
    sent = b'{"items":[%b,%b,%b]}' % (LOUD, BIG, LOUD)
    assert through(plain(witness), [sent]) == b'{"items":[%b,%b,%b]}' % (TOLD, BIG, TOLD)
    assert witness.why == ["too-big"]
