"""One request between its caller's connection and whoever answers it.

The body waits here until it is wanted: a small one is gathered before the request queues, a big one stays in
the caller's socket. Once an upstream takes it, bytes go straight through, and a full socket on either side
stops the reading on the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from proxy.domain.ids import UpstreamName
from proxy.domain.messages import Reply, RequestHead
from proxy.wire.bodies import ChunkedBody, Framing, LengthBody, request_framing
from proxy.wire.tunnel import Tunnel

if TYPE_CHECKING:
    from proxy.wire.caller import CallerConnection
    from proxy.wire.upstream import UpstreamConnection

HELD: Final = 64 * 1024
"""Bytes of a body kept before anybody wants it; beyond, the caller's socket is not read."""
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """One request and its reply, on one caller connection (see :class:`proxy.ports.Exchange`)."""

    __slots__ = (
        "_connection",
        "_framing",
        "_held",
        "_held_size",
        "_most",
        "_waiter",
        "departing",
        "ended",
        "expects",
        "gone",
        "head",
        "listener",
        "peer",
        "received",
        "shielded",
        "sink",
        "source",
        "started",
        "task",
    )

    def __init__(self, connection: CallerConnection, head: RequestHead, protected: frozenset[bytes]) -> None:
        self._connection = connection
        self._framing: Framing | None = request_framing(head, protected)
        self._held: list[bytes] = []
        self._held_size = 0
        self._most = HELD
        """Bytes kept here at most, before the caller's socket is not read."""
        self._waiter: asyncio.Future[None] | None = None
        self.head = head
        self.peer: str = connection.peer
        self.listener: UpstreamName | None = connection.listener.upstream
        self.received = self._framing is None
        """Whether the whole request is here."""
        self.expects = not self.received and b"expect" in head and head.minor >= 1
        """Whether the caller waits for a 100 before it sends its body."""
        self.started = False
        self.ended = False
        """Whether the whole reply was handed to the transport."""
        self.gone = False
        self.shielded = False
        self.departing: Callable[[], None] | None = None
        self.sink: UpstreamConnection | None = None
        """Who takes the body."""
        self.source: UpstreamConnection | None = None
        """Who gives the reply."""
        self.task: asyncio.Task[None] | None = None

    # -- the caller's body ------------------------------------------------------------------------
    def feed(self, data: bytes) -> bytes:
        """Body bytes from the caller; returns what follows the body. BadRequest where it is malformed."""
        assert self._framing is not None
        self.expects = False
        body, rest = self._framing.feed(data)
        if rest is not None:
            self.received = True
        if self.sink is not None:
            self.sink.write(body)
            if self.received:
                self.sink.body_sent()
        elif body:
            self._held.append(body)
            self._held_size += len(body)
            if self._held_size >= self._most:
                self._connection.pause(self)
        if self._waiter is not None and not self._waiter.done() and (self.received or self._held_size >= self._most):
            self._waiter.set_result(None)
        return rest or b""

    @property
    def bodyless(self) -> bool:
        """Whether the request has no body at all."""
        return self._framing is None

    async def small_body(self, limit: int) -> bytes | None:
        """The whole body, without its frames, if it is at most ``limit`` bytes (itself at most HELD), else None.

        It stays here as it came, to be sent on.
        """
        framing = self._framing
        if framing is None:
            return b""
        if b"expect" in self.head or (isinstance(framing, LengthBody) and framing.left + self._held_size > limit):
            return None
        await self._gather(min(limit, HELD))
        if not self.received or self._held_size > limit:
            return None
        return self._unframed()

    async def whole_body(self, limit: int) -> bytes | None:
        """The whole body, without its frames; None where it is longer than ``limit`` bytes.

        A caller that waits for a 100 gets it now. What was read stays here as it came, to be sent on.
        """
        framing = self._framing
        if framing is None:
            return b""
        if isinstance(framing, LengthBody) and framing.left + self._held_size > limit:
            return None
        if not self.received:
            self._most = 2 * limit + HELD  # bodies in tiny chunks are more frame than body
            if self.expects:
                self.expects = False
                self._connection.write(_CONTINUE)
            self._connection.resume(self)
            await self._gather(self._most)
            if not self.received:
                return None
        body = self._unframed()
        return body if len(body) <= limit else None

    async def _gather(self, enough: int) -> None:
        """Wait until the request or so many bytes of it are here; at most :attr:`_most`."""
        while not self.received and self._held_size < enough:
            self._waiter = self._connection.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _unframed(self) -> bytes:
        held = self._held[0] if len(self._held) == 1 else b"".join(self._held)
        return ChunkedBody(unwrap=True).feed(held)[0] if isinstance(self._framing, ChunkedBody) else held

    @property
    def repeatable(self) -> bool:
        """Whether the request could be sent again: its whole body is here."""
        return self.received and self._held_size <= self._most

    def send_body_to(self, sink: UpstreamConnection) -> bytes:
        """From now on the body goes there; returns what is here already, to be sent with the head.

        A body that is here in full is kept, so that the request can be sent again.
        """
        held = b"".join(self._held) if self._held else b""
        if not self.received:
            self._held.clear()
            self.sink = sink
            self._held_size = self._most + 1  # what is gone cannot be sent again
            self._connection.resume(self)
        return held

    def stop_body(self) -> None:
        """Nobody takes the body any more."""
        self.sink = None

    # -- the reply ----------------------------------------------------------------------------------
    def interim(self, head: bytes) -> None:
        """Pass a 1xx reply on; HTTP/1.0 callers do not know them."""
        if self.head.minor >= 1:
            self._connection.write(head)
            if self.expects and head[9:12] == b"100":
                self.expects = False
                self._connection.resume(self)

    def write(self, data: bytes) -> None:
        """Bytes of the final reply."""
        self.started = True
        self._connection.write(data)

    def respond(self, reply: Reply, *, close: bool) -> None:
        """Send a whole reply of our own making. Nothing is sent where one has begun: the connection is closed."""
        if self.started:
            self.abort()
            return
        body = b"" if self.head.method == "HEAD" else reply.body
        lines = [f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Error')}"]
        lines += [f"{name}: {value}" for name, value in reply.fields]
        lines.append(f"Content-Length: {len(reply.body)}")
        close = close or not self.keeps_open
        if close:
            lines.append("Connection: close")
        elif self.head.minor == 0:
            lines.append("Connection: keep-alive")
        self.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        self.finish(close=close)

    @property
    def keeps_open(self) -> bool:
        """Whether the caller's connection can serve another request after this one."""
        return self.received and self._connection.keeps_open(self.head)

    def manners(self, *, close: bool) -> bytes:
        """What the caller is told of its connection, where that is not what its version means by itself."""
        if close:
            return b"Connection: close\r\n"
        return b"Connection: keep-alive\r\n" if self.head.minor == 0 else b""

    def finish(self, *, close: bool) -> None:
        """The reply is complete."""
        self.ended = True
        self._connection.finished(self, close=close)

    def abort(self, *, reset: bool = False) -> None:
        """End the connection so that the caller sees the reply is not whole.

        ``reset`` where the reply has no other end than the connection's.
        """
        self.ended = True
        self._connection.abort(reset=reset)

    # -- flow control -----------------------------------------------------------------------------
    @property
    def full(self) -> bool:
        """Whether the caller reads slowly just now."""
        return self._connection.full

    def reply_full(self, full: bool) -> None:
        """The caller reads slowly (or again)."""
        if self.source is not None:
            self.source.pause(full)

    def body_full(self, full: bool) -> None:
        """The upstream takes the body slowly (or again)."""
        if full:
            self._connection.pause(self)
        else:
            self._connection.resume(self)

    # -- the end ------------------------------------------------------------------------------------
    def left(self) -> None:
        """The caller has gone: the journey ends, unless the work must be finished. Said again: nothing more."""
        if self.gone:
            return
        self.gone = True
        if self.task is not None and not self.shielded and not self.ended:
            self.task.cancel()

    @property
    def transport(self) -> asyncio.Transport:
        """The caller's transport, for a tunnel."""
        return self._connection.transport

    def enter_tunnel(self, tunnel: Tunnel) -> None:
        """The caller's connection leaves HTTP."""
        self._connection.tunnel(tunnel)


_REASONS: Final = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    417: "Expectation Failed",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}
