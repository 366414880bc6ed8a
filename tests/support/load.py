"""Thousands of callers cheaply: one protocol object and one socket each, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Callable
from typing import cast
from urllib.parse import urlsplit


class _Caller(asyncio.Protocol):
    """Sends one request when connected, and keeps the status of the reply."""

    __slots__ = ("_crowd", "_data", "_number", "transport")

    def __init__(self, crowd: Callers, number: int, data: bytes) -> None:
        self._crowd, self._number, self._data = crowd, number, data
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._data)

    def data_received(self, data: bytes) -> None:
        if data[:5] == b"HTTP/":
            self._crowd.answered(self._number, int(data[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.lost(self._number)


class Callers:
    """A crowd: ``statuses`` and ``times`` (loop clock) by the caller's number, filled as replies come."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 0
        self._loop = asyncio.get_running_loop()
        self._open: dict[int, _Caller] = {}
        self.statuses: dict[int, int] = {}
        self.times: dict[int, float] = {}
        self.broken = 0

    async def ask(self, number: int, data: bytes) -> None:
        """One more caller; returns once it has sent its request."""
        _, caller = await self._loop.create_connection(lambda: _Caller(self, number, data), self._host, self._port)
        self._open[number] = caller

    async def ask_all(self, count: int, data: Callable[[int], bytes], *, at_once: int = 100) -> None:
        """Callers 0 to ``count``, in about that order."""
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await self.ask(number, data(number))

        await asyncio.gather(*(worker() for _ in range(at_once)))

    def answered(self, number: int, status: int) -> None:
        """A reply has come."""
        self.statuses[number] = status
        self.times[number] = self._loop.time()

    def lost(self, number: int) -> None:
        """A connection ended."""
        if number not in self.statuses:
            self.broken += 1

    def close(self) -> None:
        """All of them leave."""
        for caller in self._open.values():
            if caller.transport is not None:
                caller.transport.close()


@contextlib.asynccontextmanager
async def callers(url: str) -> AsyncIterator[Callers]:
    """A crowd that goes home at the end. Allows itself as many sockets as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    people = Callers(url)
    try:
        yield people
    finally:
        people.close()
        await asyncio.sleep(0)


def most_in_a_window(moments: list[float], seconds: float) -> int:
    """The most moments that any window of that length holds."""
    ordered, first, most = sorted(moments), 0, 0
    for number, moment in enumerate(ordered):
        while ordered[first] <= moment - seconds:
            first += 1
        most = max(most, number - first + 1)
    return most
