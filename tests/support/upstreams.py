"""An upstream that keeps every byte it gets and answers as a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came. ``at`` is the loop's clock."""

    line: str
    fields: tuple[tuple[str, str], ...]
    body: bytes
    at: float

    def all(self, name: str) -> list[str]:
        """Every value of a field, in any case."""
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name: str) -> str | None:
        """The first value of a field."""
        return next(iter(self.all(name)), None)


Script = Callable[[Seen], Awaitable[bytes | None]]
"""What to answer; None breaks the connection."""


def reply(status: int, body: bytes = b"", *fields: str) -> bytes:
    """A reply's bytes."""
    lines = [f"HTTP/1.1 {status} As Told", *fields, f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Upstream:
    """The server: what it saw, and how many connections it has."""

    script: Script
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    now: int = 0
    peak: int = 0
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.connections -= 1
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head.decode("latin-1")[:-4].split("\r\n")
        fields = tuple((name, value.strip()) for name, _, value in (text.partition(":") for text in lines))
        length = next((int(value) for name, value in fields if name.lower() == "content-length"), 0)
        seen = Seen(line, fields, await reader.readexactly(length), asyncio.get_running_loop().time())
        self.seen.append(seen)
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            answer = await self.script(seen)
        finally:
            self.now -= 1
        if answer is None:
            return False
        writer.write(answer)
        return True


@asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[Upstream]:
    """An upstream on a free port, until the end of the block."""
    up = Upstream(script)
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(up.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, backlog=4096)
    host, port = server.sockets[0].getsockname()[:2]
    up.url = f"http://{host}:{port}"
    try:
        yield up
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def always(status: int, body: bytes = b"", *fields: str) -> Script:
    """Answer everything alike."""

    async def script(seen: Seen) -> bytes:
        return reply(status, body, *fields)

    return script


def in_turn(*answers: bytes | None) -> Script:
    """Answer the first request with the first, and so on; the last one for ever."""
    left = list(answers)

    async def script(seen: Seen) -> bytes | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return script


class Gate:
    """A script that holds every reply until it is opened."""

    def __init__(self, answer: bytes = b"") -> None:
        self._open = asyncio.Event()
        self._answer = answer or reply(201, b'{"sandboxID":"sb-1","clientID":"c"}')

    def open(self) -> None:
        """Let all of them go, and all that come later."""
        self._open.set()

    async def __call__(self, seen: Seen) -> bytes:
        await self._open.wait()
        return self._answer
