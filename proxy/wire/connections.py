"""Kept connections to upstreams, and making new ones.

Per origin (and TLS identity) a stack: the last one used is the first used again, so the oldest fall idle
and go. No bound on how many are open: admission bounds the work, a second hidden bound would queue it out of order
(problems.md §2.2). A request that must not be sent twice takes only a connection that was idle for a moment:
the older one is, the likelier the upstream is closing it right now.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

from proxy.domain.errors import UpstreamUnreachable
from proxy.domain.ids import Seconds
from proxy.policy.policyset import UpstreamTls
from proxy.ports import Destination
from proxy.wire.tls import LONGEST_END, client_context, lose_nothing
from proxy.wire.upstream import UpstreamConnection
from proxy.wire.watchdog import NEVER, Watchdog

_IDLE: Final = 30.0
"""Seconds a connection is kept unused; below what servers and balancers commonly allow (60 s and more)."""
_FRESH: Final = 4.0
"""Seconds within which an idle connection is trusted with a request that must not be sent twice."""


class Connections:
    """Every connection to every upstream of one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watchdog: Watchdog) -> None:
        self.loop = loop
        self._watchdog = watchdog
        self._idle: dict[Destination, list[UpstreamConnection]] = {}
        self._open: set[UpstreamConnection] = set()
        self._contexts: dict[UpstreamTls, ssl.SSLContext] = {}

    def kept(self, destination: Destination, *, repeatable: bool) -> UpstreamConnection | None:
        """A kept connection, if there is one that a request (``repeatable`` or not) may use."""
        stack = self._idle.get(destination)
        while stack:
            connection = stack.pop()
            connection.deadline = NEVER
            if connection.transport.is_closing():
                continue
            if not repeatable and self.loop.time() - connection.idle_since > _FRESH:
                connection.close()
                continue
            return connection
        return None

    async def connect(self, destination: Destination, timeout: Seconds) -> UpstreamConnection:
        """A new connection. UpstreamUnreachable where none can be made within ``timeout`` seconds.

        Cancelled: nothing is left open.
        """
        began = self.loop.time()
        name, origin, tls = destination.upstream.name, destination.origin, destination.upstream.tls
        try:
            context = self._context(tls) if origin.scheme == "https" else None
            async with asyncio.timeout(timeout):
                _, connection = await self.loop.create_connection(
                    lambda: UpstreamConnection(self, destination),
                    origin.host,
                    origin.port,
                    ssl=context,
                    server_hostname=(tls.server_name or origin.host) if context else None,
                    ssl_shutdown_timeout=LONGEST_END if context else None,
                )
        except TimeoutError:
            raise UpstreamUnreachable(name, f"no connection within {timeout:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnreachable(name, error.strerror or str(error)) from None
        if context is not None:
            lose_nothing(connection.transport)
        connection.connect_seconds = self.loop.time() - began
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """The request is over: keep the connection if it is fit, else close it."""
        if not connection.keepable:
            connection.close()
            return
        connection.rest()
        now = self.loop.time()
        connection.idle_since = now
        connection.deadline = now + _IDLE
        self._watchdog.add(connection)
        self._idle.setdefault(connection.destination, []).append(connection)

    def close(self) -> None:
        """Close everything."""
        for connection in list(self._open):
            connection.close()
        self._idle.clear()

    @property
    def open(self) -> int:
        """Connections open now, idle ones too."""
        return len(self._open)

    @property
    def idle(self) -> int:
        """Connections kept for later."""
        return sum(len(stack) for stack in self._idle.values())

    # -- what connections tell ------------------------------------------------------------------------
    def opened(self, connection: UpstreamConnection) -> None:
        self._open.add(connection)

    def closed(self, connection: UpstreamConnection) -> None:
        self._open.discard(connection)
        self._watchdog.discard(connection)
        stack = self._idle.get(connection.destination)
        if stack and connection in stack:
            stack.remove(connection)
        if stack is not None and not stack:
            del self._idle[connection.destination]

    def _context(self, tls: UpstreamTls) -> ssl.SSLContext:
        context = self._contexts.get(tls)
        if context is None:
            context = self._contexts[tls] = client_context(tls)
        return context
