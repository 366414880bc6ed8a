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
from proxy.policy.policyset import Origin, Upstream
from proxy.wire.tls import client_context
from proxy.wire.upstream import UpstreamConnection
from proxy.wire.watchdog import NEVER, Watchdog

_IDLE: Final = 30.0
"""Seconds a connection is kept unused; below what servers and balancers commonly allow (60 s and more)."""
_FRESH: Final = 4.0
"""Seconds within which an idle connection is trusted with a request that must not be sent twice."""

_Key = tuple[str, Origin, object]


class Connections:
    """Every connection to every upstream of one process."""

    def __init__(self, loop: asyncio.AbstractEventLoop, watchdog: Watchdog) -> None:
        self._loop = loop
        self._watchdog = watchdog
        self._idle: dict[object, list[UpstreamConnection]] = {}
        self._open: set[UpstreamConnection] = set()
        self._contexts: dict[object, ssl.SSLContext] = {}

    async def acquire(
        self, upstream: Upstream, origin: Origin, *, repeatable: bool, fresh: bool, timeout: Seconds
    ) -> UpstreamConnection:
        """A connection to the origin: a kept one, else a new one (always a new one where ``fresh``).

        UpstreamUnreachable where none can be made within ``timeout`` seconds. Cancelled: nothing is left open.
        """
        key: _Key = (upstream.name, origin, upstream.tls)
        if not fresh:
            kept = self._kept(key, repeatable=repeatable)
            if kept is not None:
                return kept
        return await self._connect(upstream, origin, key, timeout)

    def _kept(self, key: _Key, *, repeatable: bool) -> UpstreamConnection | None:
        stack = self._idle.get(key)
        while stack:
            connection = stack.pop()
            self._watchdog.discard(connection)
            connection.deadline = NEVER
            if connection.transport.is_closing():
                continue
            if not repeatable and self._loop.time() - connection.idle_since > _FRESH:
                connection.close()
                continue
            return connection
        return None

    async def _connect(self, upstream: Upstream, origin: Origin, key: _Key, timeout: Seconds) -> UpstreamConnection:
        began = self._loop.time()
        try:
            context = self._context(upstream) if origin.scheme == "https" else None
            async with asyncio.timeout(timeout):
                _, connection = await self._loop.create_connection(
                    lambda: UpstreamConnection(self, key),
                    origin.host,
                    origin.port,
                    ssl=context,
                    server_hostname=(upstream.tls.server_name or origin.host) if context else None,
                )
        except TimeoutError:
            raise UpstreamUnreachable(upstream.name, f"no connection within {timeout:g} s") from None
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnreachable(upstream.name, error.strerror or str(error)) from None
        connection.connect_seconds = self._loop.time() - began
        return connection

    def release(self, connection: UpstreamConnection) -> None:
        """The request is over: keep the connection if it is fit, else close it."""
        if not connection.keepable:
            connection.close()
            return
        connection.rest()
        now = self._loop.time()
        connection.idle_since = now
        connection.deadline = now + _IDLE
        self._watchdog.add(connection)
        self._idle.setdefault(connection.key, []).append(connection)

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
        stack = self._idle.get(connection.key)
        if stack and connection in stack:
            stack.remove(connection)
        if stack is not None and not stack:
            del self._idle[connection.key]

    def name_of(self, key: object) -> str:
        """The upstream's name, for errors."""
        return str(key[0]) if isinstance(key, tuple) else ""

    def _context(self, upstream: Upstream) -> ssl.SSLContext:
        context = self._contexts.get(upstream.tls)
        if context is None:
            context = self._contexts[upstream.tls] = client_context(upstream.tls)
        return context
