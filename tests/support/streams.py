"""Long bodies and many tunnels through a real process: what came at the far end, and what it cost in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from tests.support.memory import Peak
from tests.support.serving import Served, serving
from tests.support.waiting import until

MIB: Final = 1 << 20
FLAT: Final = 8 * MIB
"""What resident memory may grow by while any amount of bytes passes (design.md §3)."""
_WARM: Final = 8 * MIB
"""Bytes that pass before memory is looked at: what a process allocates once is no growth."""
_STALLED: Final = 16 * MIB
"""Bytes for a tunnel that nobody reads: more than the kernel holds."""
Framing = Literal["length", "chunked"]
_BLOCK: Final = bytes(range(256)) * 256
_POLICY: Final = 'version: 1\nupstreams: {api: {url: "http://127.0.0.1:%d"}}\n'


@dataclass(frozen=True, slots=True)
class Frame:
    """How a body is framed: its field, the block it is made of, and what ends it."""

    field: bytes
    block: bytes
    end: bytes

    def times(self, size: int) -> int:
        """How many blocks hold so many bytes of data."""
        return size // len(_BLOCK)

    def total(self, size: int) -> int:
        """Bytes on the wire of a body with so many bytes of data."""
        return self.times(size) * len(self.block) + len(self.end)


def frame(name: Framing, size: int) -> Frame:
    """The frame of a body with so many bytes of data."""
    if name == "length":
        return Frame(b"Content-Length: %d\r\n\r\n" % size, _BLOCK, b"")
    return Frame(b"Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n%b\r\n" % (len(_BLOCK), _BLOCK), b"0\r\n\r\n")


class End(asyncio.Protocol):
    """One end of a connection: pours blocks no faster than they are taken, and holds what comes against a pattern."""

    transport: asyncio.Transport

    def __init__(self, begun: Callable[[End], None] | None = None) -> None:
        self.begun = begun
        """Called when a head has come."""
        self.head = b""
        self.size = 0
        """Bytes that came behind the head."""
        self.pattern = b""
        """What comes is this, again and again; nothing is checked where it is empty."""
        self.lost = False
        self.wrong = 0
        self._left = 0
        self._block = self._end = b""
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def pour(self, block: bytes, times: int, end: bytes = b"") -> None:
        """Send a block so often, then the end."""
        self._block, self._left, self._end = block, times, end
        self._go_on()

    def _go_on(self) -> None:
        while self._left and not self._paused:
            self._left -= 1
            self.transport.write(self._block)
        if not self._left and self._end:
            self.transport.write(self._end)
            self._end = b""

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        if self.head.endswith(b"\r\n\r\n"):
            self._body(data)
            return
        head, mark, rest = (self.head + data).partition(b"\r\n\r\n")
        self.head = head + mark
        if mark and self.begun is not None:
            self.begun(self)
        if rest:
            self._body(rest)

    def _body(self, data: bytes) -> None:
        if self.pattern:
            at = self.size % len(self.pattern)
            times = 1 + (at + len(data)) // len(self.pattern)
            self.wrong += (self.pattern * times)[at : at + len(data)] != data
        self.size += len(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True


@dataclass(frozen=True, slots=True)
class Streamed:
    """What came of it. ``came`` are the bytes at the far end, ``growth`` those of memory at its highest."""

    came: int
    whole: bool
    growth: int
    seconds: float

    @property
    def flat(self) -> bool:
        """Whether all of it came, and memory stayed."""
        return self.whole and self.growth < FLAT


@asynccontextmanager
async def between(upstream: Callable[[], asyncio.Protocol], folder: Path) -> AsyncIterator[tuple[Served, int]]:
    """A proxy in its own process before an upstream of such ends, and the proxy's port."""
    server = await asyncio.get_running_loop().create_server(upstream, "127.0.0.1", 0, backlog=1024)
    policy = folder / "policy.yaml"
    policy.write_text(_POLICY % server.sockets[0].getsockname()[1])
    try:
        async with serving(str(policy), folder) as served:
            yield served, urlsplit(served.url).port or 0
    finally:
        server.close()


async def reply(size: int, framing: Framing, folder: Path) -> Streamed:
    """A reply with so many bytes of data, in their frame."""
    body = frame(framing, size)

    def begun(end: End) -> None:
        end.transport.write(b"HTTP/1.1 200 OK\r\n" + body.field)
        end.pour(body.block, body.times(size), body.end)

    async with between(lambda: End(begun), folder) as (served, port):
        loop = asyncio.get_running_loop()
        _, caller = await loop.create_connection(End, "127.0.0.1", port)
        caller.pattern = body.block
        caller.transport.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return await _watched(served, caller, body, size)


async def request(size: int, framing: Framing, folder: Path) -> Streamed:
    """A request with so many bytes of data, in their frame."""
    body, ends = frame(framing, size), list[End]()

    def begun(end: End) -> None:
        end.pattern = body.block
        ends.append(end)

    async with between(lambda: End(begun), folder) as (served, port):
        _, caller = await asyncio.get_running_loop().create_connection(End, "127.0.0.1", port)
        caller.transport.write(b"POST / HTTP/1.1\r\nHost: a\r\n" + body.field)
        await until(lambda: ends)
        caller.pour(body.block, body.times(size), body.end)
        streamed = await _watched(served, ends[0], body, size)
        ends[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await until(lambda: caller.head.endswith(b"\r\n\r\n"))
        assert caller.head.startswith(b"HTTP/1.1 200 ")
        return streamed


async def _watched(served: Served, far: End, body: Frame, size: int) -> Streamed:
    loop, total = asyncio.get_running_loop(), body.total(size)
    began = loop.time()
    await until(lambda: far.size >= min(_WARM, total // 2) or far.lost)
    peak = Peak(served.process.pid)
    await until(lambda: far.size >= total or far.lost, within=300)
    # the last block is followed by the end of a chunked body, which is not of the pattern
    whole = far.size == total and far.wrong <= (1 if body.end else 0)
    return Streamed(far.size, whole, peak.growth, loop.time() - began)


async def tunnels(count: int, each: int, stalled: int, folder: Path) -> Streamed:
    """So many tunnels at once echo so many bytes each; of ``stalled`` ones the callers do not read meanwhile."""
    switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
    ask = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

    class Echo(End):
        def _body(self, data: bytes) -> None:
            self.transport.write(data)

        def pause_writing(self) -> None:
            self.transport.pause_reading()

        def resume_writing(self) -> None:
            self.transport.resume_reading()

    async with between(lambda: Echo(lambda end: end.transport.write(switch)), folder) as (served, port):
        loop = asyncio.get_running_loop()
        callers = [(await loop.create_connection(End, "127.0.0.1", port))[1] for _ in range(count)]
        for caller in callers:
            caller.pattern = _BLOCK
            caller.transport.write(ask)
        await until(lambda: all(caller.head.endswith(b"\r\n\r\n") for caller in callers))
        for caller in callers:
            caller.pour(_BLOCK, 1)
        await until(lambda: all(caller.size == len(_BLOCK) for caller in callers))
        began, peak = loop.time(), Peak(served.process.pid)
        slow, quick = callers[:stalled], callers[stalled:]
        for caller in slow:
            caller.transport.pause_reading()
            caller.pour(_BLOCK, _STALLED // len(_BLOCK))
        for caller in quick:
            caller.pour(_BLOCK, each // len(_BLOCK))
        await until(lambda: all(caller.size == len(_BLOCK) + each for caller in quick), within=300)
        seconds, held = loop.time() - began, [caller.size < _STALLED for caller in slow]
        for caller in slow:
            caller.transport.resume_reading()
        await until(lambda: all(caller.size == len(_BLOCK) + _STALLED for caller in slow), within=300)
        whole = all(held) and not any(caller.wrong for caller in callers)
        growth = peak.growth
        for caller in callers:
            caller.transport.abort()
        return Streamed(sum(caller.size for caller in callers), whole, growth, seconds)
