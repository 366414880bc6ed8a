"""What all caller connections of a process share: the handler, the timeouts, who is connected.

Opens listeners and drains them. Decides nothing about requests: each exchange goes to ``handle``.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any, Final

from proxy.domain.errors import BadRequest, TooManyCallers
from proxy.policy.policyset import Timeouts
from proxy.ports import Observer
from proxy.wire.caller import CallerConnection
from proxy.wire.crowd import Crowd, usual_bound
from proxy.wire.exchange import Exchange
from proxy.wire.listener import Listener
from proxy.wire.tls import LONGEST_END
from proxy.wire.watchdog import Watchdog

_BACKLOG: Final = 4096
"""Connections the kernel may hold for us: a burst of two thousand must not meet a full backlog."""

_REPEAT: Final = 60.0
"""Seconds between two warnings that callers are turned away."""

_log = logging.getLogger("headgate.wire")


class Front:
    """The callers' side of the proxy."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: Callable[[Exchange], Coroutine[Any, Any, None]],
        observer: Observer,
        watchdog: Watchdog,
        bound: int = 0,
    ) -> None:
        """``bound``: callers that may be connected at once; 0 for the usual (:func:`~proxy.wire.crowd.usual_bound`)."""
        self.loop = loop
        self.handle = handle
        self.timeouts = Timeouts()
        self.protected: frozenset[bytes] = frozenset()
        """Lower-case names that neither trailers nor Connection may name: the policy's tenant headers."""
        self.draining = False
        self._observer = observer
        self._watchdog = watchdog
        self._connections: set[CallerConnection] = set()
        self.crowd = Crowd(self._connections, bound or usual_bound(), loop.time)
        self._warn_at = 0.0
        self._servers: list[asyncio.Server] = []
        self._empty = asyncio.Event()
        self._empty.set()

    async def listen(
        self, host: str, port: int, listener: Listener, tls: ssl.SSLContext | None = None, *, shared: bool
    ) -> tuple[str, int]:
        """Open a listener; returns its real address. OSError where the port is taken.

        ``shared`` lets several workers listen on one port (SO_REUSEPORT).
        """
        server = await self.loop.create_server(
            lambda: CallerConnection(self, listener),
            host,
            port,
            ssl=tls,
            ssl_handshake_timeout=self.timeouts.header if tls else None,
            ssl_shutdown_timeout=LONGEST_END if tls else None,
            backlog=_BACKLOG,
            reuse_port=shared or None,
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        )
        self._servers.append(server)
        address = server.sockets[0].getsockname()
        return address[0], address[1]

    def stop_listening(self) -> None:
        """No new connections from now on."""
        for server in self._servers:
            server.close()

    def drain(self) -> None:
        """Idle connections end; busy ones end after their reply."""
        self.draining = True
        for connection in list(self._connections):
            connection.close_when_idle()

    async def emptied(self) -> None:
        """Wait until nobody is connected."""
        await self._empty.wait()

    def abort(self) -> None:
        """Cut every connection."""
        for connection in list(self._connections):
            connection.abort()

    @property
    def connected(self) -> int:
        """Callers connected now."""
        return len(self._connections)

    # -- what connections tell ------------------------------------------------------------------------
    def opened(self, connection: CallerConnection) -> None:
        self._connections.add(connection)
        self._empty.clear()
        self._watchdog.add(connection)
        if not self.crowd.entered(connection):
            self._warn()

    def closed(self, connection: CallerConnection) -> None:
        self._connections.discard(connection)
        self.crowd.left(connection)
        self._watchdog.discard(connection)
        if not self._connections:
            self._empty.set()

    def refused(self, peer: str, error: BadRequest) -> None:
        """A message was malformed; counted, and logged without its bytes."""
        self._observer.bad_head()
        _log.debug("refused a message from %s: %s", peer, error.detail)

    def no_room(self) -> TooManyCallers:
        """What a caller hears for whom there is no room."""
        return TooManyCallers(self.crowd.bound)

    def crashed(self, error: BaseException) -> None:
        """A journey ended with an exception nobody expected: ours to mend."""
        _log.error("a request's journey crashed", exc_info=error)

    def _warn(self) -> None:
        if self.loop.time() >= self._warn_at:
            self._warn_at = self.loop.time() + _REPEAT
            _log.warning("callers are turned away: %d are connected, and all are busy", self.crowd.bound)
