"""The same talk twice: with the upstream itself, then through Headgate; what both ends saw must not differ."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.support.wire import Script, Side, caller, headgate, upstream

TIMING = re.compile(rb"Server-Timing: queue;dur=[0-9.]+, upstream;dur=[0-9.]+\r\n")

LAST = b"GET /last HTTP/1.1\r\nHost: %b\r\n\r\n"
LAST_REPLY = b"HTTP/1.1 200 The Last\r\nContent-Length: 0\r\n\r\n"
"""A last request on the same connection: its reply is read right only if the one before ended where it should."""

Talk = Callable[[Side, bytes], Awaitable[None]]
"""What a caller does with its connection; it is told the upstream's authority."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the ends of one talk saw."""

    by_upstream: bytes
    by_caller: bytes
    reset: bool
    """The caller's connection was reset."""


def timeless(reply: bytes) -> tuple[bytes, int]:
    """A reply without what Headgate adds, and how often it was added."""
    return TIMING.subn(b"", reply)


async def twice(script: Script, talk: Talk) -> tuple[Seen, Seen]:
    """The talk directly and through Headgate."""
    async with upstream(script) as up:
        authority = b"127.0.0.1:%d" % up.port
        seen = []
        async with headgate(up.port) as proxy:
            for number, port in enumerate((up.port, proxy.port)):
                async with caller(port) as side:
                    await talk(side, authority)
                    theirs = await up.connection(number)
                    seen.append(Seen(bytes(theirs.received), bytes(side.received), side.reset))
    return seen[0], seen[1]


async def assert_same(script: Script, talk: Talk, *, replies: int = 1) -> Seen:
    """Both talks look the same to both ends, but for one Server-Timing to a reply. Returns the direct one."""
    direct, through = await twice(script, talk)
    plain, added = timeless(through.by_caller)
    assert through.by_upstream == direct.by_upstream
    assert plain == direct.by_caller
    assert through.reset == direct.reset
    assert added == replies
    return direct
