"""Both ends of the wire as raw sockets: an upstream that records every byte, a caller that sends any.

Nothing here knows HTTP beyond finding the end of a head: what goes out is what a test wrote, and what came in
is kept as it came. Every wait has a limit (:data:`PATIENCE`), and ends as soon as what it waits for is there.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from proxy.app import App
from proxy.dialects.registry import OPERATIONS
from proxy.policy.compile import load_policy
from proxy.settings import Settings

PATIENCE = 10.0
"""Seconds after which a wait counts as a failure; never the time a test takes."""

HEAD_END = b"\r\n\r\n"


class Side:
    """One side of one connection. ``received`` are all bytes that came, in order."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.received = bytearray()
        self._taken = 0
        self.ended = asyncio.Event()
        """The other side sends no more: an end of file, or a reset."""
        self.reset = False
        self._more = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            while True:
                await self._reading.wait()
                data = await self._reader.read(256 * 1024)
                if not data:
                    break
                self.took(data)
                self._more.set()
        except (ConnectionError, ssl.SSLError):
            self.reset = True
        self.ended.set()
        self._more.set()

    def took(self, data: bytes) -> None:
        """Bytes came."""
        self.received += data

    async def until(self, end: bytes) -> bytes:
        """The next bytes up to and with ``end``."""
        async with asyncio.timeout(PATIENCE):
            while (at := self.received.find(end, self._taken)) < 0:
                await self._wait()
        return self._take(at + len(end))

    async def exactly(self, size: int) -> bytes:
        """The next ``size`` bytes."""
        async with asyncio.timeout(PATIENCE):
            while len(self.received) - self._taken < size:
                await self._wait()
        return self._take(self._taken + size)

    async def head(self) -> bytes:
        """The next bytes up to an empty line."""
        return await self.until(HEAD_END)

    async def sees(self, part: bytes) -> None:
        """Wait until ``part`` has come, anywhere, and take nothing: for those who only watch."""
        async with asyncio.timeout(PATIENCE):
            while part not in self.received:
                await self._wait()

    async def rest(self) -> bytes:
        """What is left, when the other side has ended (``reset`` says how)."""
        async with asyncio.timeout(PATIENCE):
            await self.ended.wait()
        return self._take(len(self.received))

    @property
    def waiting(self) -> bytes:
        """What came and nobody has taken yet."""
        return bytes(self.received[self._taken :])

    def send(self, data: bytes) -> None:
        """Write, without waiting; what is written to a connection that was reset is lost, as with any socket."""
        if not self.writer.is_closing():
            self.writer.write(data)

    async def drain(self) -> None:
        """Wait until the other side has taken most of it."""
        await self.writer.drain()

    def stop_reading(self) -> None:
        """A slow reader: nothing is taken from the socket beyond what the stream holds."""
        self._reading.clear()

    def read_on(self) -> None:
        """Read again."""
        self._reading.set()

    def half_close(self) -> None:
        """Send no more, but read on."""
        self.writer.write_eof()

    def cut(self, *, reset: bool = False) -> None:
        """End at once, whatever is still to be sent; with ``reset``, so that the other side sees no ordinary end."""
        if reset:
            own = self.writer.get_extra_info("socket")
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def close(self) -> None:
        """End, and forget the other side."""
        self._reading.set()
        self.writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.ended.set()
        self._more.set()  # whoever still waits for bytes learns that there are no more

    async def _wait(self) -> None:
        if self.ended.is_set():
            raise EOFError(f"the connection ended after {bytes(self.received[-400:])!r}")
        self._more.clear()
        await self._more.wait()

    def _take(self, upto: int) -> bytes:
        data = bytes(self.received[self._taken : upto])
        self._taken = upto
        return data


class Counting(Side):
    """Counts what comes instead of keeping it; the first bytes, with a head among them, are kept."""

    kept = 4096
    size = 0

    def took(self, data: bytes) -> None:
        """Bytes came."""
        self.size += len(data)
        if len(self.received) < self.kept:
            self.received += data[: self.kept]

    async def counted(self, size: int, within: float = 60.0) -> None:
        """Wait until so many bytes came in all."""
        async with asyncio.timeout(within):
            while self.size < size:
                await self._wait()


Script = Callable[[Side], Awaitable[None]]
"""What an upstream does with a connection. When it returns, the connection is closed."""


class Upstream:
    """A server that does as a script says, and keeps every byte of every connection."""

    def __init__(self, script: Script, kind: type[Side] = Side) -> None:
        self.script = script
        self.kind = kind
        self.connections: list[Side] = []
        self.port = 0
        self.failure: BaseException | None = None
        """What a script failed with, if one did: an assertion of a test, most likely."""
        self._came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connection(self, number: int = 0) -> Side:
        """The connection with that number, once it is there."""
        async with asyncio.timeout(PATIENCE):
            while len(self.connections) <= number:
                self._came.clear()
                await self._came.wait()
        return self.connections[number]

    @property
    def saw(self) -> bytes:
        """All bytes of all connections."""
        return b"".join(bytes(side.received) for side in self.connections)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        side = self.kind(reader, writer)
        self.connections.append(side)
        self._came.set()
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self.script(side)
            if not writer.is_closing():
                writer.close()
        except (EOFError, ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        except (AssertionError, TimeoutError) as error:
            self.failure = error
            writer.transport.abort()

    async def stop(self) -> None:
        """Cut every connection."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for side in self.connections:
            await side.close()


@asynccontextmanager
async def upstream(
    script: Script, tls: ssl.SSLContext | None = None, kind: type[Side] = Side
) -> AsyncIterator[Upstream]:
    """An upstream on a free port of loopback."""
    own = Upstream(script, kind)
    server = await asyncio.start_server(own.handle, "127.0.0.1", 0, ssl=tls, backlog=1024)
    own.port = server.sockets[0].getsockname()[1]
    try:
        yield own
    finally:
        server.close()
        await own.stop()
    if own.failure is not None:
        raise own.failure


def replies(*given: bytes, close: bool = False) -> Script:
    """Answers one request (without a body) after the other; the last reply answers all further ones."""

    async def script(side: Side) -> None:
        number = 0
        while True:
            await side.head()
            side.send(given[min(number, len(given) - 1)])
            number += 1
            if close:
                return

    return script


@asynccontextmanager
async def caller(port: int) -> AsyncIterator[Side]:
    """A caller's connection to a port of loopback."""
    side = Side(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield side
    finally:
        await side.close()


@asynccontextmanager
async def counting_caller(port: int) -> AsyncIterator[Counting]:
    """A caller that does not keep what it reads."""
    side = Counting(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield side
    finally:
        await side.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy in this process."""

    app: App
    port: int


POLICY = """
version: 1
upstreams:
  api: {url: "http://127.0.0.1:%(port)d"}
"""


@asynccontextmanager
async def headgate(port: int, policy: str = POLICY) -> AsyncIterator[Running]:
    """A whole proxy in front of a port of loopback; the policy's text says ``%(port)d`` for it."""
    policies = load_policy([("test.yaml", (policy % {"port": port}).encode())], {}, OPERATIONS)
    settings = Settings(listen="127.0.0.1:0", admin="127.0.0.1:0")
    app = App(settings, policies, b"salt of the tests", access_log=False)
    addresses = await app.start()
    try:
        yield Running(app, addresses.main[1])
    finally:
        await app.close()


async def happens(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Wait until something is so; TimeoutError after ``within`` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)
