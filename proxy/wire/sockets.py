"""What asyncio does not say of a socket: whether the peer is still there, what it has taken, how to end rudely.

Asked seldom, never for each request. Where the system cannot tell (these are Linux's ways), the answer is the one
that changes nothing.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import struct
import sys
import termios
from typing import Final

_TCP_INFO: Final[int | None] = getattr(socket, "TCP_INFO", None)
_ESTABLISHED: Final = 1
"""tcpi_state, the first byte of struct tcp_info (linux/tcp.h, net/tcp_states.h)."""
_ACKED: Final = 120
"""Where tcpi_bytes_acked stands in it, since Linux 4.1; 8 bytes."""
_LINGER_NONE: Final = struct.pack("ii", 1, 0)


def peer_ended(transport: asyncio.Transport) -> bool:
    """Whether the peer has ended its side or the connection, also while nothing is read from the socket."""
    own = transport.get_extra_info("socket")
    if own is None or _TCP_INFO is None or own.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    try:
        return bool(own.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 1)[0] != _ESTABLISHED)
    except OSError:
        return True


def delivered(transport: asyncio.WriteTransport) -> int:
    """A number that grows whenever the peer takes bytes, and only then."""
    own = transport.get_extra_info("socket")
    if own is None:
        return 0
    try:
        told = b"" if _TCP_INFO is None else own.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _ACKED + 8)
    except OSError:
        return 0
    if len(told) == _ACKED + 8:
        return int.from_bytes(told[_ACKED:], sys.byteorder)
    return -undelivered(transport)


def undelivered(transport: asyncio.WriteTransport) -> int:
    """Bytes the peer has not acknowledged: those that wait here, and those in the kernel. TLS hides some in between."""
    own = transport.get_extra_info("socket")
    in_kernel = array.array("i", [0])
    try:
        fcntl.ioctl(own.fileno(), termios.TIOCOUTQ, in_kernel)
    except (OSError, AttributeError):
        pass
    return transport.get_write_buffer_size() + in_kernel[0]


def reset_on_close(transport: asyncio.Transport) -> None:
    """Let the end of this connection be a reset, so that nobody takes it for the end of a reply."""
    own = transport.get_extra_info("socket")
    if own is not None:
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        except OSError:
            return
