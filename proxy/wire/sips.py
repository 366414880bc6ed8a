"""Reading in sips: a connection takes little from its socket at a time, so that little is in hand when it must wait.

uvloop reads up to 256 KiB at once, and what the other side does not take of that stays here: with 200 busy tunnels
some 60 MiB, in sips 1 MiB as a rule and 12 MiB at most. One tunnel alone passes a tenth fewer bytes a second so. All
connections of a thread share one buffer, as each sip is passed on before the next one is taken.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Final, cast

SIP: Final = 32 * 1024
"""Bytes."""


class _Shared(threading.local):
    """A thread runs one loop at a time, and a loop reads one socket at a time."""

    def __init__(self) -> None:
        self.buffer = bytearray(SIP)


_SHARED: Final = _Shared()


class _Sips(asyncio.BufferedProtocol):
    """Stands between a transport and its protocol, which hears everything as before."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self._protocol = protocol
        self._buffer = _SHARED.buffer
        self._sip = memoryview(self._buffer)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._sip[:nbytes]))

    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._protocol.resume_writing()


def read_in_sips(transport: asyncio.Transport) -> None:
    """From now on. Its protocol is told to pause whenever the socket has not taken all that was written.

    Not over TLS, where what is in hand are whole records, and nothing of them may be lost (:mod:`proxy.wire.tls`).
    """
    if transport.is_closing() or transport.get_extra_info("ssl_object") is not None:
        return
    transport.set_protocol(_Sips(cast(asyncio.Protocol, transport.get_protocol())))
    transport.set_write_buffer_limits(high=0)
    if transport.is_reading():  # a read under way goes on as it began
        transport.pause_reading()
        transport.resume_reading()
