"""A caller's connection: requests come in one after another, each becomes an exchange.

States, and what moves between them::

    HEAD ---- a whole head ----> BODY ---- the body's last byte ----> BUSY
     ^  \\_____________ (no body) ________________________________^     |
     |                                                                 |  the reply's last byte
     +------------------------- kept alive <----------------------------+----> 101: TUNNEL
                                                                       |
    a malformed message, a timeout, "Connection: close" --> LINGER ----+----> closed

Nothing is parsed ahead: while a request is under way, later bytes wait (bounded; then the socket is not read).
An end of file before the reply's last byte means that the caller has left. After an early reply the rest of the body is
read and dropped for a moment (LINGER), so that the caller gets to see the reply instead of a reset.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from proxy.domain.errors import BadRequest, HeadgateError
from proxy.domain.messages import RequestHead
from proxy.wire.ahead import Ahead
from proxy.wire.exchange import Exchange
from proxy.wire.guard import wants_upgrade
from proxy.wire.sockets import delivered, peer_ended, reset_on_close
from proxy.wire.tls import lose_nothing
from proxy.wire.tunnel import Tunnel
from proxy.wire.watchdog import NEVER

if TYPE_CHECKING:
    from proxy.wire.front import Front
    from proxy.wire.listener import Listener

_LINGER: Final = 2.0
"""Seconds that input is dropped after an early reply (nginx's lingering_close idea)."""


class CallerConnection(asyncio.Protocol):
    """One accepted connection."""

    __slots__ = (
        "_ahead",
        "_body_due",
        "_delivered",
        "_exchange",
        "_front",
        "_lingering",
        "_paused",
        "_tunnel",
        "_unheard",
        "_write_due",
        "awaited_since",
        "deadline",
        "full",
        "leaving",
        "listener",
        "loop",
        "peer",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, front: Front, listener: Listener) -> None:
        self._front = front
        self.loop = front.loop
        self.listener = listener
        self.peer = ""
        self.deadline = NEVER
        self._ahead = Ahead(listener.heads)
        self._exchange: Exchange | None = None
        self._tunnel: Tunnel | None = None
        self._lingering = False
        self._unheard = False
        """Whether it was turned away before it asked for anything."""
        self.awaited_since = NEVER
        self.leaving = False
        self._paused = False
        self.full = False
        """Whether the caller reads slower than replies come. No further request is begun meanwhile."""
        self._body_due = NEVER
        self._write_due = NEVER
        self._delivered = 0

    # -- asyncio.Protocol -------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        lose_nothing(self.transport)
        name = transport.get_extra_info("peername")
        self.peer = name[0] if isinstance(name, tuple) else ""
        self.awaited_since = now = self.loop.time()
        self.deadline = now + self._front.timeouts.header
        self._front.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._tunnel is not None:
            self._tunnel.from_caller(data)
            return
        if self._lingering:
            if self._unheard:
                self._unheard = False
                self.write(self.listener.refusal(self._front.no_room()))
                self._linger()
            return
        exchange = self._exchange
        if exchange is not None and not exchange.received:
            self._feed(exchange, data)
            return
        self._ahead.add(data)
        if exchange is None and not self.full:
            self._next_request()
        elif self._ahead.full:
            self._stop_reading()

    def eof_received(self) -> bool:
        if self._tunnel is not None:
            self._tunnel.caller_ended()
            return self.transport.can_write_eof()  # TLS has no half-closed state
        if self._exchange is not None:
            self._exchange.left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.deadline = NEVER
        self._front.closed(self)
        if self._tunnel is not None:
            self._tunnel.caller_lost(exc)
        if self._exchange is not None:
            self._exchange.left()

    def pause_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.caller_full(True)
            return
        self.full = True
        self._delivered = delivered(self.transport)
        self._set_due(write=self.loop.time() + self._front.timeouts.write_stall)
        if self._exchange is not None:
            self._exchange.reply_full(True)

    def resume_writing(self) -> None:
        if self._tunnel is not None:
            self._tunnel.caller_full(False)
            return
        self.full = False
        self._set_due(write=NEVER)
        if self._exchange is not None:
            self._exchange.reply_full(False)
        elif not self._lingering and not self.transport.is_closing():
            self._await_head()
            self._go_on()

    # -- requests -----------------------------------------------------------------------------------
    def _next_request(self) -> None:
        try:
            head = self._ahead.next_head()
            if head is None:
                if self._ahead.long:
                    self._front.crowd.long_head(self)
                self._await_head()
                self._start_reading()  # it may be longer than what is kept while another request is under way
                return
            self._front.crowd.long_head_over(self)
            exchange = self._exchange = Exchange(self, head, self._front.protected)
            self.deadline = NEVER
            if not exchange.received:
                self.resume(exchange)
                if self._ahead:
                    self._ahead.add(exchange.feed(self._ahead.take()))
                    if exchange.received:
                        self._set_due(body=NEVER)
        except BadRequest as error:
            self._refuse(error)
            return
        exchange.task = self.loop.create_task(self._front.handle(exchange))
        exchange.task.add_done_callback(self._journey_over)

    def _await_head(self) -> None:
        """Between requests the idle time runs; from the first byte of a head, the header time."""
        timeouts, now = self._front.timeouts, self.loop.time()
        if not self._ahead:
            self.awaited_since = now
            self.deadline = now + timeouts.idle
        elif self.deadline > now + timeouts.header:
            self.awaited_since = now
            self.deadline = now + timeouts.header

    def _feed(self, exchange: Exchange, data: bytes) -> None:
        try:
            self._ahead.add(exchange.feed(data))
        except BadRequest as error:
            self._refuse(error)
            return
        if not self._paused:
            self._set_due(body=NEVER if exchange.received else self.loop.time() + self._front.timeouts.body_stall)

    def finished(self, exchange: Exchange, *, close: bool) -> None:
        """The exchange's reply is complete: close, or go on with the next request."""
        if self._exchange is not exchange or self._tunnel is not None:
            return
        self._exchange = None
        self._body_due = NEVER
        if self.transport.is_closing():
            return
        if close or self._front.draining:
            if exchange.received:
                self._close()
            else:
                self._linger()
            return
        if not self._ahead.full:
            self._start_reading()
        if self.full:
            self._set_due()
            return
        self._await_head()
        if self._ahead:
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._exchange is None and self._ahead and not self.full and not self.transport.is_closing():
            self._next_request()

    def _close(self) -> None:
        """End the connection once the caller has what was written; it has as long as a slow reader has."""
        self.deadline = self.loop.time() + self._front.timeouts.write_stall
        self.transport.close()

    def _linger(self) -> None:
        self._lingering = True
        self._ahead.take()
        self._front.crowd.long_head_over(self)
        self._start_reading()
        self.deadline = self.loop.time() + _LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _refuse(self, error: BadRequest) -> None:
        """Answer a malformed message if that is still possible, and close. Its journey ends."""
        exchange, self._exchange = self._exchange, None
        self._front.refused(self.peer, error)
        started = False
        if exchange is not None:
            started = exchange.started
            exchange.ended = True
            if exchange.task is not None:
                exchange.task.cancel()
        if started:
            self.transport.abort()
        else:
            self.break_off(error)

    def _journey_over(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._front.crashed(error)
            self.transport.abort()

    def keeps_open(self, head: RequestHead) -> bool:
        """Whether the caller's side of the protocol lets this connection go on after the request."""
        if self._front.draining or (self._ahead and wants_upgrade(head)):
            return False  # what came behind a refused upgrade may be no HTTP: it must not be read as a request
        tokens = head.tokens(b"connection")
        return b"close" not in tokens if head.minor >= 1 else b"keep-alive" in tokens

    # -- what an exchange asks of its connection --------------------------------------------------------
    def write(self, data: bytes) -> None:
        """Bytes to the caller; dropped when it has gone."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def pause(self, exchange: Exchange) -> None:
        """Do not read more of this exchange's body for now."""
        if exchange is self._exchange:
            self._stop_reading()

    def resume(self, exchange: Exchange) -> None:
        """Read on."""
        if exchange is self._exchange and not exchange.received:
            self._start_reading()
            self._set_due(body=NEVER if exchange.expects else self.loop.time() + self._front.timeouts.body_stall)

    def tunnel(self, tunnel: Tunnel) -> None:
        """Leave HTTP: from now on bytes go through the tunnel, those already here first."""
        self._tunnel = tunnel
        self._exchange = None
        self.deadline = self._body_due = self._write_due = NEVER
        if self._ahead:
            tunnel.from_caller(self._ahead.take())
        self._start_reading()

    def abort(self, *, reset: bool = False) -> None:
        """Close so that the caller notices: by a reset where a mere end would look like the reply's."""
        if reset and not self.transport.is_closing():
            reset_on_close(self.transport)
        self.transport.abort()

    # -- room (see :mod:`proxy.wire.crowd`) --------------------------------------------------------------
    @property
    def awaited(self) -> bool:
        """Whether the next request may come, and none is under way."""
        return not (self._exchange or self._tunnel or self._lingering or self.full or self.transport.is_closing())

    def give_way(self) -> None:
        """Another caller needs the room; one that had begun to ask hears why."""
        if self._ahead:
            self.write(self.listener.refusal(self._front.no_room()))
        self._close()

    def break_off(self, error: HeadgateError) -> None:
        """Answer so, whatever was asked for, and close once the caller can have read it."""
        if not self.transport.is_closing():
            self.transport.write(self.listener.refusal(error))
            self._linger()

    def turn_away(self) -> None:
        """There is no room: that is the answer to whatever is asked. Who asks nothing for a moment, hears nothing."""
        self._lingering = self._unheard = True
        self.deadline = self.loop.time() + _LINGER

    def close_when_idle(self) -> None:
        """Draining: idle connections end now, busy ones after their reply."""
        if self._exchange is None and self._tunnel is None:
            self._close()

    # -- time ---------------------------------------------------------------------------------------
    def expire(self) -> None:
        """The deadline has passed: a slow head or body gets 408, an idle connection a close."""
        if self.transport.is_closing() or self._write_due <= self.loop.time():
            self._stalled_writing()
        elif self._lingering or (self._exchange is None and not self._ahead):
            self._close()
        elif self._paused:
            self._look_after_caller()
        else:
            self._too_slow()

    def _too_slow(self) -> None:
        self._body_due = NEVER
        what = "body" if self._exchange is not None else "head"
        self._refuse(BadRequest(f"the request's {what} did not come in time", 408))

    def _stalled_writing(self) -> None:
        """Nothing left for our buffer's low mark in time; a caller that took anything at all may go on."""
        before, self._delivered = self._delivered, delivered(self.transport)
        if self._delivered <= before:
            self.transport.abort()
            return
        due = self.loop.time() + self._front.timeouts.write_stall
        self._set_due(write=due)
        self.deadline = due

    def _look_after_caller(self) -> None:
        """Nothing is read from the socket, so nothing tells that its caller has left: look."""
        if peer_ended(self.transport):
            self.transport.abort()
        else:
            self._set_due()

    def _set_due(self, *, body: float | None = None, write: float | None = None) -> None:
        if body is not None:
            self._body_due = body
        if write is not None:
            self._write_due = write
        if self._exchange is not None or self.full:
            self.deadline = min(self._body_due, self._write_due)

    def _stop_reading(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.transport.pause_reading()
        self._set_due(body=0.0)  # at every sweep

    def _start_reading(self) -> None:
        if self._paused and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()
            self._set_due(body=NEVER)
