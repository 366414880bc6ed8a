"""A tunnel: after a 101 the bytes of both sides pass as they come, each direction with its own end.

One side's end of file half-closes the other; the tunnel is over when both directions have ended, or when
either connection is lost. A slow reader stops the other side's reading, nothing is gathered.
"""

from __future__ import annotations

import asyncio
from typing import Final

_DELIVER: Final = 60.0
"""Seconds that what is on its way may still take once the tunnel is over."""


class Tunnel:
    """Two transports joined. ``over`` is done when the tunnel has ended, however it ended."""

    __slots__ = ("_caller", "_loop", "_open", "_upstream", "over")

    def __init__(self, caller: asyncio.Transport, upstream: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._caller = caller
        self._upstream = upstream
        self._loop = loop
        self._open = 2
        self.over: asyncio.Future[None] = loop.create_future()

    def from_caller(self, data: bytes) -> None:
        if not self._upstream.is_closing():
            self._upstream.write(data)

    def from_upstream(self, data: bytes) -> None:
        if not self._caller.is_closing():
            self._caller.write(data)

    def caller_ended(self) -> None:
        """The caller sends no more."""
        self._half_close(self._upstream)

    def upstream_ended(self) -> None:
        """The upstream sends no more."""
        self._half_close(self._caller)

    def caller_full(self, full: bool) -> None:
        """The caller reads slowly (or again)."""
        _pause(self._upstream, full)

    def upstream_full(self, full: bool) -> None:
        """The upstream reads slowly (or again)."""
        _pause(self._caller, full)

    def lost(self) -> None:
        """One connection is gone: so is the tunnel. What is on its way to the other side is still delivered."""
        self._open = 0
        if self.over.done():
            return
        self._caller.close()
        self._upstream.close()
        self._loop.call_later(_DELIVER, self._cut)
        self.over.set_result(None)

    def _half_close(self, other: asyncio.Transport) -> None:
        self._open -= 1
        if self._open <= 0 or other.is_closing():
            self.lost()
        elif other.can_write_eof():
            other.write_eof()
        else:  # TLS cannot half-close here: the end of one direction is the end
            self.lost()

    def _cut(self) -> None:
        self._caller.abort()
        self._upstream.abort()


def _pause(transport: asyncio.Transport, full: bool) -> None:
    if transport.is_closing():
        return
    if full:
        transport.pause_reading()
    else:
        transport.resume_reading()
