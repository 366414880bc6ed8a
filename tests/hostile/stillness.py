"""When nothing moves any more between a test's ends and the proxy in its own loop: an event, where others would wait.

A write on loopback is in the reader's socket when it returns, so a byte on its way is in an event loop's buffer, or
unread in a socket, or in hand. All of them are looked at, and a few turns of the loop must pass without a change:
each turn polls every socket, and wakes whoever waits for what the one before brought.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import termios
from collections.abc import Callable, Iterable
from contextlib import suppress

from proxy.wire.caller import CallerConnection
from tests.support.wire import PATIENCE, Running, Side

_TURNS = 6
"""Turns of the loop without a change: from a socket to its stream, to who waits for it, to his answer, and twice."""


def _unread(transport: asyncio.BaseTransport) -> int:
    """Bytes in a transport's socket that nobody has read; 0 where it is closed."""
    own = transport.get_extra_info("socket")
    found = array.array("i", [0])
    try:
        fcntl.ioctl(own.fileno(), termios.FIONREAD, found)
    except (OSError, AttributeError):
        return 0
    return found[0]


def _in_hand(proxy: Running, connection: CallerConnection, *, answered: bool) -> bool:
    """Whether the proxy will go on with a request by itself: it is not upstream yet, or its reply is waited for."""
    exchange = connection._exchange
    if exchange is None or exchange.task is None:
        return False
    upstream = any(one._exchange is exchange for one in proxy.app.connections._open)
    return not upstream or (answered and exchange.received)


def _moving(proxy: Running, sides: Iterable[Side], *, answered: bool) -> bool:
    callers = list(proxy.app.front._connections)
    transports: list[asyncio.WriteTransport] = [side.writer.transport for side in sides]
    transports += [connection.transport for connection in callers]
    transports += [connection.transport for connection in proxy.app.connections._open]
    if any(not one.is_closing() and (one.get_write_buffer_size() or _unread(one)) for one in transports):
        return True
    return any(_in_hand(proxy, connection, answered=answered) for connection in callers)


async def stillness(
    proxy: Running, sides: Callable[[], Iterable[Side]], seen: Callable[[], object], *, answered: bool = False
) -> None:
    """Return when nothing moves: not between ``sides`` and the proxy, and ``seen()`` stays as it is.

    ``answered`` waits besides until no whole request is under way: for upstreams that answer by themselves.
    """
    quiet, before = 0, seen()
    async with asyncio.timeout(PATIENCE):
        while quiet < _TURNS:
            await asyncio.sleep(0)
            now = seen()
            quiet = 0 if now != before or _moving(proxy, sides(), answered=answered) else quiet + 1
            before = now


async def next_head(side: Side) -> bytes:
    """A head, however long a kept connection idles before it."""
    while True:
        with suppress(TimeoutError):
            return await side.head()
