"""Replies whose bodies change on their way: the bytes go through a transform between upstream and caller.

A reply that is changed whole is gathered first, and what the transform leaves alone goes exactly as it came, frames
too. One that is changed as it comes loses its length and its frames: the caller gets chunks, or the connection's end
(HTTP/1.0). Flow control is the connections' own, as for any reply.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from proxy.dialects.translation import LONGEST_WHOLE, Transform
from proxy.domain.messages import ResponseHead
from proxy.wire.bodies import ChunkedBody
from proxy.wire.exchange import Exchange
from proxy.wire.guard import reply_length
from proxy.wire.rewrite import forwarded_reply, with_length
from proxy.wire.upstream import UpstreamConnection

_LENGTH: Final = frozenset({b"content-length", b"trailer"})
"""What is not known of a body that changes as it comes; its trailers fall with its frames."""
_CODING: Final = frozenset({b"transfer-encoding"})
_A_TURN: Final = 64 * 1024
"""Bytes after which no more is read in this turn of the loop, which would else read a list's 8 MB in one."""
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"


class Outlet(Protocol):
    """Where a reply's bytes go."""

    def write(self, data: bytes) -> None:
        """More of it; nothing at first where the body has not begun."""


class Streamed:
    """Changes a body as it comes. The head goes with the first write, also with an empty one."""

    __slots__ = ("_chunked", "_close", "_connection", "_exchange", "_head", "_transform")

    def __init__(
        self,
        connection: UpstreamConnection,
        exchange: Exchange,
        head: ResponseHead,
        added: bytes,
        transform: Transform,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._transform = transform
        self._chunked = chunked = exchange.head.minor >= 1
        self._close = not (chunked and exchange.keeps_open)
        added += exchange.manners(close=self._close)
        if chunked and b"transfer-encoding" not in head:
            added += _CHUNKED
        self._head = forwarded_reply(head, added, without=_LENGTH if chunked else _LENGTH | _CODING)

    def write(self, data: bytes) -> None:
        out = self._framed(self._transform.feed(data)) if data else b""
        if self._head:
            out, self._head = self._head + out, b""
        if out:
            self._exchange.write(out)
        if len(data) >= _A_TURN:  # that took a while, and others wait
            self._connection.pause(True)
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        self._connection.pause(self._exchange.full)

    def end(self) -> bool:
        """The body is complete: send what is left. Returns whether the caller's connection ends with the reply."""
        out = self._framed(self._transform.end())
        self._exchange.write(out + b"0\r\n\r\n" if self._chunked else out)
        return self._close

    def _framed(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data) if data and self._chunked else data


class Gathered:
    """Keeps a body until all of it is here. One that turns out longer than is changed whole goes on as it comes."""

    __slots__ = ("_added", "_connection", "_exchange", "_head", "_pieces", "_plain", "_size", "_streamed", "_transform")

    def __init__(
        self,
        connection: UpstreamConnection,
        exchange: Exchange,
        head: ResponseHead,
        added: bytes,
        transform: Transform,
    ) -> None:
        self._connection = connection
        self._exchange = exchange
        self._head = head
        self._added = added
        self._transform = transform
        self._pieces: list[bytes] = []
        self._size = 0
        self._plain = ChunkedBody(unwrap=True) if b"transfer-encoding" in head and not connection.unwrap else None
        """Takes the frames off what came; None where it has none."""
        self._streamed: Streamed | None = None

    def write(self, data: bytes) -> None:
        if self._streamed is None:
            self._pieces.append(data)
            self._size += len(data)
            if self._size <= LONGEST_WHOLE:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
            self._streamed = Streamed(self._connection, self._exchange, self._head, self._added, self._transform)
        self._streamed.write(self._unframed(data))

    def end(self) -> bool:
        """The body is complete: change and send it. Returns whether the caller's connection ends with the reply."""
        if self._streamed is not None:
            return self._streamed.end()
        raw = b"".join(self._pieces)
        body = self._unframed(raw)
        out, late = self._transform.feed(body), self._transform.end()
        out = out + late if out and late else out or late
        head, ends_it = self._head, self._connection.until_close
        if out != body or self._connection.unwrap:
            head, raw, ends_it = with_length(head, len(out)), out, False
        close = ends_it or not self._exchange.keeps_open
        self._exchange.write(forwarded_reply(head, self._added + self._exchange.manners(close=close)) + raw)
        return close

    def _unframed(self, data: bytes) -> bytes:
        return data if self._plain is None else self._plain.feed(data)[0]


def outlet_for(
    connection: UpstreamConnection,
    exchange: Exchange,
    head: ResponseHead,
    added: bytes,
    transform: Transform,
    *,
    streams: bool,
) -> Streamed | Gathered:
    """What the body goes through: as it comes where it ``streams`` or is known to be too long to be changed whole."""
    if streams or (reply_length(head) or 0) > LONGEST_WHOLE:
        connection.unwrap_body()
        return Streamed(connection, exchange, head, added, transform)
    return Gathered(connection, exchange, head, added, transform)
