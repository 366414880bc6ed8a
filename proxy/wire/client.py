"""Sending a request to an upstream and bringing its reply back (see :class:`proxy.ports.UpstreamClient`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from proxy.dialects.translation import Transform
from proxy.domain.messages import ResponseHead
from proxy.policy.policyset import Timeouts
from proxy.ports import Destination, Edits
from proxy.wire.connections import Connections
from proxy.wire.exchange import Exchange
from proxy.wire.rewrite import edited, forwarded_reply, forwarded_request
from proxy.wire.translated import outlet_for
from proxy.wire.tunnel import Tunnel
from proxy.wire.upstream import UpstreamConnection

_TRANSFER_ENCODING = frozenset({b"transfer-encoding"})


class RelayedReply:
    """A reply whose head is here (see :class:`proxy.ports.UpstreamReply`)."""

    __slots__ = ("_connection", "_connections", "_exchange", "connect_seconds", "head")

    def __init__(
        self, connections: Connections, connection: UpstreamConnection, exchange: Exchange, head: ResponseHead
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._exchange = exchange
        self.head = head
        self.connect_seconds = connection.connect_seconds

    async def small_body(self, limit: int) -> bytes | None:
        """The whole body, without frames, if at most ``limit`` bytes; the reply can still be relayed."""
        try:
            return await self._connection.peek(limit)
        except BaseException:
            self._connection.close()
            raise

    def relay_whole(self, added: bytes) -> bool:
        """Pass head and body if all of the reply is here already; else nothing, and False."""
        connection, exchange = self._connection, self._exchange
        if self.head.status == 101 or connection.until_close or connection.unwrap:
            return False
        close = not exchange.keeps_open
        added += exchange.manners(close=close)
        if not connection.relay_whole(forwarded_reply(self.head, added)):
            return False
        self._connections.release(connection)
        exchange.finish(close=close)
        return True

    async def relay(self, added: bytes) -> None:
        """Pass head and body to the caller, to the last byte; a tunnel to its end."""
        if self.head.status == 101:
            await self._tunnel(added)
            return
        connection, exchange = self._connection, self._exchange
        close = connection.until_close or connection.unwrap or not exchange.keeps_open
        added += exchange.manners(close=close)
        without = _TRANSFER_ENCODING if connection.unwrap else frozenset()
        try:
            await connection.start_relay(forwarded_reply(self.head, added, without=without))
        except BaseException:
            connection.close()
            if exchange.started:
                exchange.abort(reset=connection.until_close or connection.unwrap)
            raise
        self._connections.release(connection)
        exchange.finish(close=close)

    async def relay_changed(self, added: bytes, transform: Transform, *, streams: bool) -> None:
        """Pass head, and the body through the transform, to the last byte. A reply without a body is relayed."""
        connection, exchange = self._connection, self._exchange
        if self.head.status == 101 or connection.bodyless:
            await self.relay(added)
            return
        outlet = outlet_for(connection, exchange, self.head, added, transform, streams=streams)
        try:
            await connection.start_relay(b"", outlet)
        except BaseException:
            connection.close()
            if exchange.started:
                exchange.abort(reset=exchange.head.minor == 0)
            raise
        close = outlet.end()
        self._connections.release(connection)
        exchange.finish(close=close)

    async def _tunnel(self, added: bytes) -> None:
        exchange, connection = self._exchange, self._connection
        tunnel = Tunnel(exchange.transport, connection.transport, asyncio.get_running_loop())
        exchange.write(forwarded_reply(self.head, added))
        exchange.ended = True
        connection.tunnel(tunnel)
        exchange.enter_tunnel(tunnel)
        try:
            await tunnel.over
        finally:
            tunnel.end()

    def discard(self) -> None:
        """The reply is not wanted; its connection is kept if all of the reply was here."""
        self._connection.forget_reply()
        self._connections.release(self._connection)


class Client:
    """Sends requests over kept connections."""

    def __init__(self, connections: Connections, timeouts: Callable[[], Timeouts]) -> None:
        self._connections = connections
        self._timeouts = timeouts

    async def send(
        self, exchange: object, destination: Destination, target: bytes, *, fresh: bool, edits: Edits | None = None
    ) -> RelayedReply:
        """Send, and wait for the reply's head. UpstreamUnreachable or UpstreamBroke; cancelled: closed."""
        own = cast(Exchange, exchange)
        connection = None
        if not fresh:
            connection = self._connections.kept(destination, repeatable=own.head.idempotent and own.repeatable)
        if connection is None:
            connection = await self._connections.connect(destination, self._timeouts().connect)
        connection.unwrap = own.head.minor == 0
        try:
            if own.departing is not None:
                own.departing()
            if edits is None:
                connection.send(forwarded_request(own.head, destination, target), own)
            else:
                connection.send(forwarded_request(edited(own.head, edits), destination, target), own, edits.body)
            reply = await connection.head_arrives()
        except BaseException:
            connection.close()
            raise
        connection.unwrap = connection.unwrap and b"transfer-encoding" in reply
        return RelayedReply(self._connections, connection, own, reply)
