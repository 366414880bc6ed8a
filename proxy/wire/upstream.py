"""A connection to an upstream: one request at a time, its reply relayed as it comes, then kept for the next.

States::

    IDLE --send--> WAITING --1xx--> WAITING --final head--> HEAD --relay--> BODY --last byte--> IDLE or closed
                                                             \\--101--> TUNNEL --> closed

Whatever the upstream says out of turn (bytes while idle, bytes after a reply's end, a malformed head) makes the
connection unfit to be kept: it is closed, and nothing of it reaches a caller as a reply.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from proxy.domain.errors import BadRequest, UpstreamBroke
from proxy.domain.messages import ResponseHead
from proxy.ports import Destination
from proxy.wire.bodies import Framing, LengthBody, UntilClose, reply_framing, whole_reply
from proxy.wire.exchange import Exchange
from proxy.wire.guard import wants_upgrade
from proxy.wire.heads import find_end, parse_response
from proxy.wire.tunnel import Tunnel
from proxy.wire.watchdog import NEVER

if TYPE_CHECKING:
    from proxy.wire.connections import Connections
    from proxy.wire.translated import Outlet

_MAX_INTERIM: Final = 32
"""1xx replies to one request; more are a flood."""
_AHEAD: Final = 256 * 1024
"""Bytes of a reply kept while nobody relays it; beyond, the socket is not read."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to one origin."""

    __slots__ = (
        "_ahead",
        "_clean",
        "_connections",
        "_data_waiter",
        "_exchange",
        "_framing",
        "_head",
        "_head_waiter",
        "_interim",
        "_lost",
        "_outlet",
        "_paused",
        "_relayed",
        "_sent",
        "_tunnel",
        "broken",
        "connect_seconds",
        "deadline",
        "destination",
        "idle_since",
        "reply_complete",
        "reused",
        "transport",
        "unwrap",
    )

    transport: asyncio.Transport

    def __init__(self, connections: Connections, destination: Destination) -> None:
        self._connections = connections
        self.destination = destination
        self.deadline = NEVER
        self.idle_since = 0.0
        self.connect_seconds = 0.0
        self.reused = False
        self._lost = False
        self._paused = False
        self._tunnel: Tunnel | None = None
        self._reset()

    def _reset(self) -> None:
        self._ahead = b""
        self._exchange: Exchange | None = None
        self._framing: Framing | None = None
        self._head: ResponseHead | None = None
        self._head_waiter: asyncio.Future[ResponseHead] | None = None
        self._data_waiter: asyncio.Future[None] | None = None
        self._relayed: asyncio.Future[None] | None = None
        self._outlet: Outlet | None = None
        self._interim = 0
        self._sent = False
        self.unwrap = False
        self.reply_complete = False
        self.broken: str = ""
        self._clean = False

    # -- asyncio.Protocol -------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._connections.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_upstream(data)
        elif self._relayed is not None:
            self._relay(data)
        elif self._exchange is None:
            self.close()  # an idle connection has nothing to say
        else:
            self._ahead = self._ahead + data if self._ahead else data
            if self._head_waiter is not None:
                self._look_for_head()
            elif self._data_waiter is not None and not self._data_waiter.done():
                self._data_waiter.set_result(None)
            elif len(self._ahead) > _AHEAD:
                self.pause(True)

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.upstream_ended()
            return self.transport.can_write_eof()  # TLS has no half-closed state
        self._ended("the upstream ended the connection", clean=True)
        return self._head is not None and self._head.status == 101 and self.transport.can_write_eof()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._connections.closed(self)
        if self._tunnel is not None:
            self._tunnel.upstream_lost(exc)
        else:
            why = f"the connection was lost: {exc}" if exc else "the upstream ended the connection"
            self._ended(why, clean=exc is None)

    def pause_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.upstream_full(True)
        elif self._exchange is not None:
            self._exchange.body_full(True)

    def resume_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.upstream_full(False)
        elif self._exchange is not None:
            self._exchange.body_full(False)

    # -- the request --------------------------------------------------------------------------------
    def send(self, head: bytes, exchange: Exchange, body: bytes | None = None) -> None:
        """Send a request's head and what is here of its body; the rest follows as it comes. Or a ``body`` instead."""
        self._exchange = exchange
        self.transport.write(head + (exchange.send_body_to(self) if body is None else body))
        self._sent = exchange.received

    def write(self, data: bytes) -> None:
        """More of the body."""
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def body_sent(self) -> None:
        """The whole request is on its way."""
        self._sent = True

    # -- the reply's head ---------------------------------------------------------------------------
    def head_arrives(self) -> asyncio.Future[ResponseHead]:
        """The final head, to be awaited once; 1xx pass to the caller. Fails with UpstreamBroke where none comes."""
        waiter = self._head_waiter = self._connections.loop.create_future()
        if self.broken or self._lost:
            waiter.set_exception(self._broke())
        elif self._ahead:
            self._look_for_head()
        return waiter

    def _look_for_head(self) -> None:
        assert self._exchange is not None and self._head_waiter is not None
        if self._head_waiter.done():
            return
        try:
            while end := find_end(self._ahead):
                raw, self._ahead = self._ahead[:end], self._ahead[end:]
                head = parse_response(raw)
                if head.status == 101 and not wants_upgrade(self._exchange.head):
                    raise BadRequest("a 101 nobody asked for")
                if head.status >= 200 or head.status == 101:
                    self._framing = reply_framing(head, self._exchange.head.method, unwrap=self.unwrap)
                    self._head = head
                    self._head_waiter.set_result(head)
                    self._head_waiter = None
                    return
                self._interim += 1
                if self._interim > _MAX_INTERIM:
                    raise BadRequest("a flood of 1xx replies")
                self._exchange.interim(raw)
        except BadRequest as error:
            self._ended(f"a malformed reply: {error.detail}")
            self.close()

    # -- the reply's body ---------------------------------------------------------------------------
    @property
    def until_close(self) -> bool:
        return isinstance(self._framing, UntilClose)

    @property
    def bodyless(self) -> bool:
        return self._framing is None

    def unwrap_body(self) -> None:
        """Relay the body without its chunk frames; said before any of it is relayed."""
        assert self._exchange is not None and self._head is not None
        self._framing = reply_framing(self._head, self._exchange.head.method, unwrap=True)

    def relay_whole(self, head: bytes) -> bool:
        """Pass head and body if all of the reply is here, in one write; else nothing, and False."""
        exchange, framing = self._exchange, self._framing
        assert exchange is not None
        if framing is None:
            exchange.write(head)
            self._complete(self._ahead)
            return True
        if not isinstance(framing, LengthBody) or framing.left > len(self._ahead):
            return False
        body, rest = framing.feed(self._ahead)
        self._ahead = b""
        exchange.write(head + body)
        self._complete(rest or b"")
        return True

    def start_relay(self, head: bytes, outlet: Outlet | None = None) -> asyncio.Future[None]:
        """Pass the head and what is here of the body, then the rest as it comes; done with the last byte.

        Everything goes to the caller, or through ``outlet``. Fails with UpstreamBroke if the upstream ends early.
        """
        exchange = self._exchange
        assert exchange is not None
        exchange.source = self
        self._outlet = outlet = exchange if outlet is None else outlet
        self._relayed = asyncio.get_running_loop().create_future()
        if self._framing is None:
            outlet.write(head)
            self._complete(self._ahead)
            return self._relayed
        try:
            body, rest = self._framing.feed(self._ahead)
        except BadRequest as error:
            self._ended(f"a malformed reply: {error.detail}")
            return self._relayed
        self._ahead = b""
        outlet.write(head + body)
        if rest is not None:
            self._complete(rest)
        elif self.broken:
            self._settle()
        else:
            self.pause(exchange.full)
        return self._relayed

    def _relay(self, data: bytes) -> None:
        assert self._outlet is not None and self._framing is not None
        if self.reply_complete:
            self.close()
            return
        try:
            body, rest = self._framing.feed(data)
        except BadRequest as error:
            self._ended(f"a malformed reply: {error.detail}")
            self.close()
            return
        if body:
            self._outlet.write(body)
        if rest is not None:
            self._complete(rest)

    def _complete(self, rest: bytes) -> None:
        self.reply_complete = True
        if rest:
            self.close()  # bytes beyond the reply: nobody may take them for the next one
        if self._relayed is not None and not self._relayed.done():
            self._relayed.set_result(None)

    async def peek(self, limit: int) -> bytes | None:
        """The whole body without its frames, if it is at most ``limit`` bytes; nothing is consumed.

        None where it is longer. UpstreamBroke where it ends early. Cancelled: ``close`` the connection.
        """
        while True:
            whole = self._whole()
            if whole is not None:
                return whole[0]
            if self.broken:
                raise self._broke()
            if len(self._ahead) > limit:
                return None
            self._data_waiter = asyncio.get_running_loop().create_future()
            try:
                await self._data_waiter
            finally:
                self._data_waiter = None

    def _whole(self) -> tuple[bytes, bytes] | None:
        """Body (unwrapped) and what follows it, if all of it is here already."""
        assert self._exchange is not None and self._head is not None
        try:
            return whole_reply(self._head, self._exchange.head.method, self._ahead, ended=self._clean)
        except BadRequest as error:
            self._ended(f"a malformed reply: {error.detail}")
            return None

    def forget_reply(self) -> bool:
        """The reply is not wanted. Whether all of it was here, so that the connection can be kept."""
        whole = self._whole()
        self.reply_complete = whole is not None and not whole[1]
        return self.reply_complete

    # -- tunnel -------------------------------------------------------------------------------------
    def tunnel(self, tunnel: Tunnel) -> None:
        """Leave HTTP. Bytes that came with the 101 go first."""
        self._tunnel = tunnel
        if self._ahead:
            tunnel.from_upstream(self._ahead)
            self._ahead = b""
        if self._lost:
            tunnel.upstream_lost(None)
        elif self.broken:
            tunnel.upstream_ended()
        self.pause(False)

    # -- flow control -----------------------------------------------------------------------------
    def pause(self, full: bool) -> None:
        """Stop reading, or read on."""
        if self._lost or self.transport.is_closing() or full == self._paused:
            return
        self._paused = full
        if full:
            self.transport.pause_reading()
        else:
            self.transport.resume_reading()

    # -- the end ------------------------------------------------------------------------------------
    @property
    def keepable(self) -> bool:
        """Whether the connection can serve another request."""
        head = self._head
        return (
            self.reply_complete
            and self._sent
            and not self._lost
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()
            and head is not None
            and not isinstance(self._framing, UntilClose)
            and (b"close" not in head.tokens(b"connection") if head.minor >= 1 else False)
        )

    def rest(self) -> None:
        """Become idle, ready for another request."""
        self._detach()
        self._reset()
        self.reused = True
        self.connect_seconds = 0.0
        self.pause(False)

    def close(self) -> None:
        """End the connection; whoever waits for it learns that it broke."""
        self._detach()
        self.transport.abort()

    def expire(self) -> None:
        """Watched only while idle: it was kept long enough."""
        self.close()

    def _detach(self) -> None:
        if self._exchange is not None:
            if self._exchange.source is self:
                self._exchange.source = None
            self._exchange.stop_body()

    def _ended(self, why: str, *, clean: bool = False) -> None:
        """No more bytes will come. ``clean``: by an end of file, which is the end of a reply without length."""
        if self.broken:
            return
        self.broken = why
        self._clean = clean
        if self._head_waiter is not None and not self._head_waiter.done():
            self._head_waiter.set_exception(self._broke())
        if self._data_waiter is not None and not self._data_waiter.done():
            self._data_waiter.set_result(None)
        self._settle()

    def _settle(self) -> None:
        """The connection's end completes the reply, or breaks it."""
        if self._relayed is None or self._relayed.done():
            return
        if self._clean and self._framing is not None and self._framing.ends_with_connection():
            self._complete(b"")
        else:
            self._relayed.set_exception(self._broke())

    def _broke(self) -> UpstreamBroke:
        stale = self.reused and self._head is None and not self._ahead and not self._interim
        return UpstreamBroke(self.destination.upstream.name, self.broken, stale)
