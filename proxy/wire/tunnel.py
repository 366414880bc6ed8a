"""A tunnel: after a 101 the bytes of both sides pass as they come, each direction with its own end.

One side's end of file half-closes the other; the tunnel is over when both directions have ended, or when
either connection is lost. A slow reader stops the other side's reading, nothing is gathered.

TLS as asyncio has it cannot half-close: who ends over TLS has ended both directions. The end still crosses at once,
behind every byte that came before it: the other side gets all of them however slowly it reads, then the end.
"""

from __future__ import annotations

import asyncio
from typing import Final

from proxy.wire.sips import read_in_sips
from proxy.wire.sockets import delivered, undelivered

_STALL: Final = 60.0
"""Seconds that a side may take nothing of what is left for it once the tunnel is over."""
_LOOK: Final = 5.0
"""Seconds between two looks at that; also what a side has for its own end once nothing is left."""


class Tunnel:
    """Two transports joined. ``over`` is done when the tunnel has ended, however it ended."""

    __slots__ = (
        "_caller",
        "_delivered",
        "_ended",
        "_ending",
        "_here",
        "_loop",
        "_since",
        "_timer",
        "_upstream",
        "over",
    )

    def __init__(self, caller: asyncio.Transport, upstream: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._caller = caller
        self._upstream = upstream
        self._loop = loop
        self._ended: list[asyncio.Transport] = []
        self._here = [caller, upstream]
        self._ending = False
        self._delivered = 0
        self._since = 0.0
        """When anything was taken last, as far as was looked."""
        self._timer: asyncio.TimerHandle | None = None
        self.over: asyncio.Future[None] = loop.create_future()
        read_in_sips(caller)
        read_in_sips(upstream)

    def from_caller(self, data: bytes) -> None:
        if not self._upstream.is_closing():
            self._upstream.write(data)

    def from_upstream(self, data: bytes) -> None:
        if not self._caller.is_closing():
            self._caller.write(data)

    def caller_ended(self) -> None:
        """The caller sends no more."""
        self._end_of(self._caller, self._upstream)

    def upstream_ended(self) -> None:
        """The upstream sends no more."""
        self._end_of(self._upstream, self._caller)

    def caller_full(self, full: bool) -> None:
        """The caller reads slowly (or again)."""
        _pause(self._upstream, full)

    def upstream_full(self, full: bool) -> None:
        """The upstream reads slowly (or again)."""
        _pause(self._caller, full)

    def caller_lost(self, error: Exception | None) -> None:
        """The caller's connection is gone, by a mistake or by an end that nobody had told."""
        self._gone(self._caller, self._upstream, error)

    def upstream_lost(self, error: Exception | None) -> None:
        """The upstream's connection is gone, likewise."""
        self._gone(self._upstream, self._caller, error)

    def end(self) -> None:
        """No more: both sides get what is on its way to them, then their end."""
        if not self._ending:
            self._over()
            self._caller.close()
            self._upstream.close()

    def _end_of(self, side: asyncio.Transport, other: asyncio.Transport) -> None:
        self._ended.append(side)
        if self._ending:
            side.close()  # it was listened to only until its end
        elif other in self._ended or other.is_closing():
            self.end()
        elif not side.can_write_eof():
            self._over()
            _let_go(other)
        elif other.can_write_eof():
            other.write_eof()
        else:
            self.end()

    def _gone(self, side: asyncio.Transport, other: asyncio.Transport, error: Exception | None) -> None:
        self._here.remove(side)
        if not self._here and self._timer is not None:
            self._timer.cancel()
        if self._ending:
            return
        self._over()
        if error is None or side in self._ended:
            _let_go(other)
        else:
            other.close()

    def _over(self) -> None:
        self._ending = True
        if not self.over.done():  # whoever waited for it was cancelled
            self.over.set_result(None)
        _pause(self._caller, False)
        _pause(self._upstream, False)
        self._look_again()

    def _look_again(self) -> None:
        """Cut what neither ends nor takes anything."""
        now = self._loop.time()
        before, self._delivered = self._delivered, sum(map(delivered, self._here))
        if self._timer is None or self._delivered != before:
            self._since = now
        if now - self._since >= (_STALL if any(map(undelivered, self._here)) else _LOOK):
            for side in self._here:
                side.abort()
        elif self._here:
            self._timer = self._loop.call_later(_LOOK, self._look_again)


def _let_go(side: asyncio.Transport) -> None:
    """Tell the end, behind what is on its way, and listen on until that side's own.

    A socket that is closed with bytes unread is reset, and takes along what had not arrived yet. TLS waits for the
    other's end by itself.
    """
    if not side.can_write_eof():
        side.close()
    elif not side.is_closing():
        side.write_eof()


def _pause(transport: asyncio.Transport, full: bool) -> None:
    if transport.is_closing():
        return
    if full:
        transport.pause_reading()
    else:
        transport.resume_reading()
