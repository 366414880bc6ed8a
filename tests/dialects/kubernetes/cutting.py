"""Bodies fed in pieces. Not a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from proxy.dialects.translation import Transform


def through(transform: Transform, pieces: Iterable[bytes]) -> bytes:
    """What comes out of a transform in all."""
    return b"".join([*(transform.feed(piece) for piece in pieces), transform.end()])


def pieces(data: bytes, places: Iterable[int]) -> list[bytes]:
    """The bytes cut at these places; a place twice is an empty piece."""
    cuts = [0, *sorted(min(place, len(data)) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(cuts)]


def every_cut(data: bytes) -> Iterator[list[bytes]]:
    """The bytes in one, in two at every place, and byte by byte."""
    yield [data]
    for place in range(1, len(data)):
        yield [data[:place], data[place:]]
    yield [data[place : place + 1] for place in range(len(data))]
