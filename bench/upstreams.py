"""The APIs behind the proxies: one that is fast, one that counts and can hold its replies.

Rules: the fast one must not be what limits a figure (the direct row shows whether it was); the counting one
lives in the measuring process, so that what it saw needs no asking.
"""

import asyncio
from pathlib import Path
from typing import cast

import httptools

from bench.machine import tool
from bench.processes import Child

BODY = b'{"sandboxID":"i5xzu3r7dbw9k1m4","templateID":"base","state":"running","cpuCount":2,"memoryMB":512}'
REPLY = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)) + BODY


def fast(folder: Path, port: int, core: int) -> Child:
    """nginx answering BODY from memory over kept connections, one worker, no log."""
    config = folder / "upstream.conf"
    config.write_text(f"""
daemon off;
worker_processes 1;
pid {folder}/upstream.pid;
error_log {folder}/upstream.err;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type application/json; return 200 '{BODY.decode()}'; }}
  }}
}}
""")
    child = Child([tool("nginx"), "-c", str(config)], core=core, log=folder / "upstream.log")
    return child.listening(port)


class CountingUpstream:
    """Answers each request `service` seconds after it was read, or, while closed, when it is opened again."""

    def __init__(self, service: float = 0.0) -> None:
        self.service = service
        self.in_flight = 0
        self.peak = 0
        self.served = 0
        self._held: list[_Conversation] | None = None

    async def start(self) -> int:
        """Listens on a free loopback port and returns it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self), "127.0.0.1", 0, backlog=4096)
        return int(self._server.sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Accepts no more."""
        self._server.close()

    def close(self) -> None:
        """From now on replies are held."""
        self._held = []

    def open(self) -> None:
        """Sends the held replies; the following ones are not held."""
        held, self._held = self._held or [], None
        for conversation in held:
            self.answer(conversation)

    def arrived(self, conversation: "_Conversation") -> None:
        """A request was read to its end."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        if self._held is not None:
            self._held.append(conversation)
        elif self.service:
            asyncio.get_running_loop().call_later(self.service, self.answer, conversation)
        else:
            self.answer(conversation)

    def answer(self, conversation: "_Conversation") -> None:
        """Sends the reply; the request no longer counts as in flight."""
        self.in_flight -= 1
        self.served += 1
        conversation.transport.write(REPLY)


class _Conversation(asyncio.Protocol):
    """One connection from a proxy, requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, upstream: CountingUpstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's own class, no subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._upstream.arrived(self)
