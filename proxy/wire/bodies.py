"""Where a body ends: by length, by chunks, by the end of the connection, or nowhere. Sans I/O.

A framing is fed the bytes as they come and says which of them may go on. Bytes pass unchanged (chunk sizes,
extensions and trailers too), but never before they were held against the grammar: an incomplete chunk-size line
is kept back until it is whole, so an upstream never sees the start of something malformed. For HTTP/1.0 callers
a chunked reply can be unwrapped instead.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from proxy.domain.errors import BadRequest
from proxy.domain.messages import RequestHead, ResponseHead
from proxy.wire import guard

_MAX_EXTENSION: Final = 256
_MAX_TRAILERS: Final = 8 * 1024
_EXCESS: Final = 16 * 1024
"""Bytes of chunk overhead beyond what the data earns (the rule of Go's net/http: 16 + 2 per byte of data)."""
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)")


class Framing(Protocol):
    """Tells a body's bytes from what follows it."""

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """What may go on, and what stands after the body's end (None while it goes on). BadRequest if malformed."""

    def ends_with_connection(self) -> bool:
        """Whether an end of file completes the body rather than breaking it."""


class LengthBody:
    """Exactly so many bytes."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        size = len(data)
        if size < self.left:
            self.left -= size
            return data, None
        body, rest = (data, b"") if size == self.left else (data[: self.left], data[self.left :])
        self.left = 0
        return body, rest

    def ends_with_connection(self) -> bool:
        return False


class UntilClose:
    """Everything until the upstream ends the connection (replies only)."""

    __slots__ = ()

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        return data, None

    def ends_with_connection(self) -> bool:
        return True


class ChunkedBody:
    """Chunks until the empty one and its trailers. ``unwrap`` gives the data without its frames.

    States: size line -> data -> the CRLF after it -> size line …; after size 0: trailers -> end.
    """

    __slots__ = ("_excess", "_kept", "_left", "_protected", "_state", "_unwrap")

    def __init__(self, protected: frozenset[bytes] = guard.FORBIDDEN_TRAILERS, *, unwrap: bool = False) -> None:
        self._protected = protected
        self._unwrap = unwrap
        self._kept = b""
        self._left = 0
        self._excess = 0
        self._state = self._size

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        if self._kept:
            data, self._kept = self._kept + data, b""
        out: list[bytes] = []
        at = 0
        while True:
            after, piece = self._state(data, at)
            if after == at:  # more is needed: keep the incomplete line back
                self._kept = data[at:]
                break
            out.append(piece if self._unwrap else data[at:after])
            at = after
            if self._left < 0:
                return b"".join(out), data[at:]
            if at == len(data):
                break
        if not self._unwrap and not self._kept:
            return data, None
        return b"".join(out), None

    def ends_with_connection(self) -> bool:
        return False

    def _size(self, data: bytes, at: int) -> tuple[int, bytes]:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > _MAX_EXTENSION + 24 or b"\n" in data[at:]:
                raise BadRequest("a malformed or overlong chunk size")
            return at, b""
        found = _SIZE_LINE.fullmatch(data, at, end)
        if found is None or len(found[2]) > _MAX_EXTENSION:
            raise BadRequest("a malformed chunk size")
        self._left = int(found[1], 16)
        if self._left > guard.MAX_LENGTH:
            raise BadRequest("a chunk is too large")
        self._excess = max(0, self._excess + (end + 2 - at) - 16 - 2 * self._left)
        if self._excess > _EXCESS:
            raise BadRequest("too much besides data in the chunks")
        self._state = self._data if self._left else self._trailers
        return end + 2, b""

    def _data(self, data: bytes, at: int) -> tuple[int, bytes]:
        end = min(len(data), at + self._left)
        self._left -= end - at
        if not self._left:
            self._state = self._data_end
        return end, data[at:end] if self._unwrap else b""

    def _data_end(self, data: bytes, at: int) -> tuple[int, bytes]:
        if not data.startswith(b"\r\n"[: len(data) - at], at):
            raise BadRequest("a chunk is longer than its size")
        if len(data) - at < 2:
            return at, b""
        self._state = self._size
        return at + 2, b""

    def _trailers(self, data: bytes, at: int) -> tuple[int, bytes]:
        if data.startswith(b"\r\n", at):
            self._left = -1
            return at + 2, b""
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            if len(data) - at > _MAX_TRAILERS:
                raise BadRequest("the trailers are too long", 431)
            return at, b""
        guard.check_trailers(data[at : end + 2], self._protected)
        self._left = -1
        return end + 4, b""


def request_framing(head: RequestHead, protected: frozenset[bytes] = frozenset()) -> Framing | None:
    """How a request's body ends; None where it has none."""
    if b"transfer-encoding" in head:
        return ChunkedBody(guard.FORBIDDEN_TRAILERS | protected)
    length = head.get(b"content-length")
    if length is None or int(length) == 0:
        return None
    return LengthBody(int(length))


def reply_framing(head: ResponseHead, method: str, *, unwrap: bool) -> Framing | None:
    """How a reply's body ends; None where it has none. BadRequest where the upstream frames it two ways."""
    if method == "HEAD" or head.status in (204, 304) or 100 <= head.status < 200:
        return None
    codings = head.get_all(b"transfer-encoding")
    length = guard.reply_length(head)
    if codings:
        if length is not None:
            raise BadRequest("the reply has both Content-Length and Transfer-Encoding")
        if head.minor == 0 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadRequest("the reply's Transfer-Encoding is not exactly chunked")
        return ChunkedBody(unwrap=unwrap)
    if length is None:
        return UntilClose()
    return LengthBody(length) if length else None
