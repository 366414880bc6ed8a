"""A tunnel: after a 101 the bytes of both sides pass as they come, each direction with its own end.

One side's end of file half-closes the other; the tunnel is over when both directions have ended, or when
either connection is lost. A slow reader stops the other side's reading, nothing is gathered.
"""

from __future__ import annotations

import asyncio


class Tunnel:
    """Two transports joined. ``over`` is done when the tunnel has ended, however it ended."""

    __slots__ = ("_caller", "_open", "_upstream", "over")

    def __init__(
        self, caller: asyncio.Transport, upstream: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._caller = caller
        self._upstream = upstream
        self._open = 2
        self.over: asyncio.Future[None] = loop.create_future()

    def from_caller(self, data: bytes) -> None:
        self._upstream.write(data)

    def from_upstream(self, data: bytes) -> None:
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
        self._caller.close()
        self._upstream.close()
        self._end()

    def _half_close(self, other: asyncio.Transport) -> None:
        self._open -= 1
        if self._open <= 0:
            self.lost()
        elif other.can_write_eof():
            other.write_eof()
        else:  # TLS cannot half-close here: the end of one direction is the end
            self.lost()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


def _pause(transport: asyncio.Transport, full: bool) -> None:
    if transport.is_closing():
        return
    if full:
        transport.pause_reading()
    else:
        transport.resume_reading()
