"""What a caller has sent and nobody has read yet: a head in pieces, or requests behind the one under way. Sans I/O."""

from __future__ import annotations

from typing import Final

from proxy.domain.messages import USUAL_HEAD, HeadBounds, RequestHead
from proxy.wire.heads import find_end, parse_request

KEPT: Final = 64 * 1024
"""Bytes of later requests that are kept while one is under way; then the caller's socket is not read."""


class Ahead:
    """Bytes in the order they came. True while there are any."""

    __slots__ = ("_bounds", "_data", "_searched")

    def __init__(self, bounds: HeadBounds) -> None:
        self._bounds = bounds
        self._data: bytes | bytearray = b""
        """Most heads come in one piece; one that does not is gathered in one bytearray."""
        self._searched = 0
        """How many bytes of a head in pieces hold no end."""

    def __bool__(self) -> bool:
        return bool(self._data)

    @property
    def full(self) -> bool:
        """Whether it is more than is kept while a request is under way."""
        return len(self._data) > KEPT

    @property
    def long(self) -> bool:
        """Whether it is more than a head usually has, where :meth:`next_head` has found none."""
        return len(self._data) > USUAL_HEAD.whole

    def add(self, data: bytes) -> None:
        """More came."""
        if self._data:
            self._data += data
        else:
            self._data = data

    def take(self) -> bytes:
        """All of it."""
        data, self._data, self._searched = self._data, b"", 0
        return bytes(data)

    def next_head(self) -> RequestHead | None:
        """The next request's head, which is taken; None while it is not complete. BadRequest where it is none."""
        data = self._data
        if data[:2] == b"\r\n":
            data = data[2:]  # one empty line before a request is forgiven (RFC 9112 §2.2)
        most = self._bounds.whole if len(data) <= self._bounds.whole else self._bounds.most(data)
        end = find_end(data, most, self._searched)
        if not end:
            self._searched = len(data)
            self._data = bytearray(data) if data and isinstance(data, bytes) else data
            return None
        self._searched = 0
        self._data = bytes(data[end:])
        return parse_request(bytes(data[:end]), self._bounds)
