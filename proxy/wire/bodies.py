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
_QUOTED: Final = rb'"(?:[\t\x20\x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t\x20-\x7e\x80-\xff])*"'
_EXTENSION: Final = rb";%b(?:=(?:%b|%b))?" % (guard.TOKEN, guard.TOKEN, _QUOTED)
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})((?:%b)*)" % _EXTENSION)
"""RFC 9112 §7.1.1 as senders must write it, without its "bad" white space: aiohttp refuses whatever else is there."""


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
        start, last = end + 2, end + 2 + self._left
        if self._left and data.startswith(b"\r\n", last):  # usually all of a chunk is here
            self._left = 0
            return last + 2, data[start:last] if self._unwrap else b""
        self._state = self._data if self._left else self._trailers
        return start, b""

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
    """How a reply's body ends; None where it has none. BadRequest where the upstream frames it two ways.

    Also where there is no body to frame: not every client asks first whether there is one.
    """
    codings = head.get_all(b"transfer-encoding")
    length = guard.reply_length(head)
    if codings:
        if length is not None:
            raise BadRequest("the reply has both Content-Length and Transfer-Encoding")
        if head.minor == 0 or len(codings) > 1 or codings[0].lower() != b"chunked":
            raise BadRequest("the reply's Transfer-Encoding is not exactly chunked")
    if method == "HEAD" or head.status in (204, 304) or head.status < 200:
        return None
    if codings:
        return ChunkedBody(unwrap=unwrap)
    if length is None:
        return UntilClose()
    return LengthBody(length) if length else None


def whole_reply(head: ResponseHead, method: str, data: bytes, *, ended: bool) -> tuple[bytes, bytes] | None:
    """A reply's body without its frames, and what follows it, if ``data`` holds all of it; nothing is kept.

    ``ended``: nothing more will come, by an end of file. BadRequest where it is malformed.
    """
    framing = reply_framing(head, method, unwrap=True)
    if framing is None:
        return b"", data
    body, rest = framing.feed(data)
    if rest is None and ended and framing.ends_with_connection():
        return body, b""
    return None if rest is None else (body, rest)
