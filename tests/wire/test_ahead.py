"""What came and is not read yet: in whatever pieces, the same requests come out, and no byte is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.errors import BadRequest
from proxy.domain.messages import HeadBounds
from proxy.wire.ahead import KEPT, Ahead

BOUNDS = HeadBounds(line=60, whole=80)
HEADS = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(4)]
STREAM = HEADS[0] + b"\r\n" + HEADS[1] + HEADS[2] + b"\r\n" + HEADS[3]
"""An empty line before a request is forgiven."""


@given(cuts=st.sets(st.integers(min_value=1, max_value=len(STREAM) - 1)))
def test_in_pieces_as_in_one(cuts: set[int]) -> None:
    ahead, targets, at = Ahead(BOUNDS), [], 0
    for cut in (*sorted(cuts), len(STREAM)):
        ahead.add(STREAM[at:cut])
        at = cut
        while (head := ahead.next_head()) is not None:
            targets.append(head.target)
    assert targets == [b"/0", b"/1", b"/2", b"/3"]
    assert not ahead


@given(cut=st.integers(min_value=1, max_value=len(HEADS[0]) - 1), rest=st.binary(max_size=20))
def test_what_follows_a_head_is_kept(cut: int, rest: bytes) -> None:
    ahead = Ahead(BOUNDS)
    ahead.add(HEADS[0][:cut])
    assert ahead.next_head() is None and ahead
    ahead.add(HEADS[0][cut:] + rest)
    assert ahead.next_head() is not None
    assert ahead.take() == rest and not ahead


@pytest.mark.parametrize("pieces", [1, 7, 200])
@pytest.mark.parametrize("data", [b"GET /" + b"a" * 60 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 80])
def test_the_bounds_hold_in_pieces_too(data: bytes, pieces: int) -> None:
    ahead = Ahead(BOUNDS)

    def read_all() -> None:
        for at in range(0, len(data), pieces):
            ahead.add(data[at : at + pieces])
            ahead.next_head()

    with pytest.raises(BadRequest) as refused:
        read_all()
    assert refused.value.status == 431


def test_more_than_is_kept_is_told() -> None:
    ahead = Ahead(BOUNDS)
    ahead.add(bytes(KEPT))
    assert not ahead.full
    ahead.add(b"x")
    assert ahead.full
