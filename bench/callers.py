"""Many callers in one process: each sends one create over a connection of its own and waits for its reply.

Rules: at most SOURCE_PORTS connections leave from one loopback address, so ports do not run short.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import httptools

SOURCE_PORTS = 20_000

CREATE_BODY = b'{"templateID":"base","timeout":300,"metadata":{"job":"42"},"secure":true}'
CREATE = (
    b"POST /sandboxes HTTP/1.1\r\nHost: bench.local\r\nX-API-Key: e2b_bench\r\n"
    b"User-Agent: e2b-python-sdk/2.1\r\nAccept: */*\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(CREATE_BODY)
) + CREATE_BODY


class Callers:
    """A crowd of callers of one port. `statuses` counts replies by status; a lost connection counts as 0."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statuses: dict[int, int] = {}
        self._callers: list[_Caller] = []
        self._outstanding = 0
        self._idle = asyncio.Event()

    async def connect(self, count: int) -> None:
        """Opens `count` more connections; nothing is sent yet."""
        first = len(self._callers)
        self._callers += [_Caller(self._ended) for _ in range(count)]
        await asyncio.gather(*(self._open(index) for index in range(first, first + count)))

    async def _open(self, index: int) -> None:
        caller = self._callers[index]
        source = (f"127.0.0.{2 + index // SOURCE_PORTS}", 0)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: caller, "127.0.0.1", self.port, local_addr=source)

    def send(self) -> None:
        """Every caller that has not sent yet does."""
        for caller in self._callers:
            if not caller.sent:
                self._outstanding += 1
                caller.send()
        self._idle.clear()

    async def replies(self, seconds: float) -> None:
        """Waits until every caller has its reply. Raises TimeoutError after `seconds`."""
        async with asyncio.timeout(seconds):
            if self._outstanding:
                await self._idle.wait()

    def close(self) -> None:
        """Every caller hangs up."""
        for caller in self._callers:
            caller.transport.close()

    def _ended(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self._outstanding -= 1
        if not self._outstanding:
            self._idle.set()


class _Caller(asyncio.Protocol):
    """One connection. Its parser is made with the reply's first byte, so that ten thousand stay small."""

    __slots__ = ("_ended", "_parser", "_waiting", "sent", "transport")

    transport: asyncio.Transport

    def __init__(self, ended: Callable[[int], None]) -> None:
        self._ended = ended
        self._parser: httptools.HttpResponseParser | None = None
        self._waiting = False
        self.sent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class, no subclass of asyncio's

    def send(self) -> None:
        self.sent = self._waiting = True
        self.transport.write(CREATE)

    def data_received(self, data: bytes) -> None:
        self._parser = self._parser or httptools.HttpResponseParser(self)
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        self._end(self._parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        self._end(0)

    def _end(self, status: int) -> None:
        if self._waiting:
            self._waiting = False
            self._ended(status)
