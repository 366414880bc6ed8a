"""Callers as they are: a crowd over one HTTP client, and single raw sockets that can leave at any moment."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy

from tests.support.waiting import WITHIN

KEY = "e2b_00ff00ff"
CREATE = b'{"templateID":"base","timeout":600}'
"""The provisioner's exact body."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One reply, whole."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's document."""
        return json.loads(self.body)

    @property
    def sandbox(self) -> str | None:
        """The sandbox's id, if the reply brings one."""
        return self.json.get("sandboxID") if self.status in (200, 201) else None


class Crowd:
    """Any number of callers at once, each with a connection of its own."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, one try, whatever comes back."""
        async with self._session.request(method, url, data=body, headers=headers, allow_redirects=False) as reply:
            return Answer(reply.status, reply.headers, await reply.read())

    async def create(self, base: str, *, key: str = KEY, body: bytes = CREATE, **headers: str) -> Answer:
        """The provisioner's create call. ``x_job_id="7"`` becomes ``X-Job-Id: 7``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fields = {"x-api-key": key, "content-type": "application/json", **named}
        return await self.send("POST", f"{base}/sandboxes", body, fields)


@asynccontextmanager
async def crowd(timeout: float = 60.0) -> AsyncIterator[Crowd]:
    """A crowd whose callers give up after ``timeout`` seconds."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=timeout)) as session:
        yield Crowd(session)


def request(
    method: str, target: str, body: bytes = b"", fields: Iterable[tuple[str, str]] = (), *, host: str = "localhost"
) -> bytes:
    """A request's bytes. Content-Length is written where there is a body."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawCaller:
    """One connection, byte for byte. Whoever forgets to leave is made to by ``all_leave``."""

    _present: ClassVar[set[RawCaller]] = set()

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._present.add(self)

    @classmethod
    async def connect(cls, url: str) -> RawCaller:
        """Connect to a base URL's host and port."""
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port))

    def send(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)

    async def answer(self) -> Answer:
        """The next final reply that has a Content-Length (or none and no body); TimeoutError if it does not come."""
        async with asyncio.timeout(WITHIN):
            return await self._final()

    async def _final(self) -> Answer:
        while True:
            head = await self._reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").strip().split("\r\n")
            status = int(line.split(" ")[1])
            fields = CIMultiDict((name, value.strip()) for name, _, value in (text.partition(":") for text in lines))
            if status >= 200:
                body = await self._reader.readexactly(int(fields.get("Content-Length", "0")))
                return Answer(status, CIMultiDictProxy(fields), body)

    async def ended(self) -> bytes:
        """What comes until the far side closes."""
        try:
            return await self._reader.read()
        except ConnectionResetError:
            return b""

    def leave(self, *, reset: bool = False) -> None:
        """Close: with an end of file, or with a TCP reset."""
        if reset:
            raw = self._writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
        self._present.discard(self)

    @classmethod
    async def all_leave(cls) -> None:
        """At the end of a test: every connection still open is closed."""
        for caller in list(cls._present):
            caller.leave()
        await asyncio.sleep(0)
