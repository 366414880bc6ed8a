"""TLS on the wire: whom to trust upstream and who we are there; on both sides, bytes that are not lost at an end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from proxy.policy.policyset import UpstreamTls

LONGEST_END: Final = 3600.0
"""Seconds until TLS gives up a connection that is to end: never before the watch over stalled writing does, which
cuts only those who take nothing. The loop's own 30 s would cut a slow reader in the middle of its reply."""
_UNREAD: Final = 1
"""Bytes of a paused connection that TLS reads ahead, or rather none: what it holds when the peer's end of file comes
is thrown away with the connection (uvloop's sslproto.pyx, ``eof_received``)."""
_UNSENT: Final = 64 * 1024
"""Bytes that wait here before their writer is asked to pause, as on plain connections; TLS has 512 KiB."""


def client_context(tls: UpstreamTls) -> ssl.SSLContext:
    """The context for an upstream. OSError or SSLError where a file cannot be used."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    context.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.client_cert_file is not None:
        context.load_cert_chain(tls.client_cert_file, tls.client_key_file)
    return context


def lose_nothing(transport: asyncio.Transport) -> None:
    """Said of each new connection: over TLS no byte is to be lost at its end, nor gathered before."""
    if transport.get_extra_info("ssl_object") is not None:
        transport.set_read_buffer_limits(_UNREAD, 0)  # type: ignore[attr-defined]
        transport.set_write_buffer_limits(_UNSENT)
