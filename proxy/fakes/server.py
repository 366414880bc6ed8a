"""Serving a fake over HTTP: on loopback, on a free port, inside the running loop.

Holds what every fake shares: starting and stopping, waiting for something to be observed, and hanging up in
the ways real servers do. It knows nothing about any API.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from proxy.fakes.clock import Clock, RealClock

JSON = "application/json; charset=utf-8"
BACKLOG = 4096  # a burst of 1,000 connections must not meet a full accept queue
LONGEST_LINE = 8190  # bytes; aiohttp's own bound


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer before it is bytes: a JSON value, or text of some other type."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON

    def payload(self) -> bytes:
        """The body as it goes on the wire; empty for a body of ``None``."""
        if self.body is None:
            return b""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()

    def response(self) -> web.Response:
        """A fresh response; a ``Reply`` may be sent many times."""
        typed = {} if self.body is None else {"Content-Type": self.content_type}
        return web.Response(status=self.status, body=self.payload() or None, headers={**typed, **self.headers})


class Refused(Exception):
    """Raised anywhere below a handler to answer with an error now."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"{reply.status} {reply.body}")
        self.reply = reply


def hang_up(request: web.BaseRequest, *, reset: bool) -> web.Response:
    """Break the connection: with a TCP reset, or with an end of file. What is returned is never sent."""
    transport = request.transport
    if transport is not None:
        raw = transport.get_extra_info("socket")
        if reset and raw is not None:  # SO_LINGER of zero seconds turns the close into a reset
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


class FakeServer:
    """Base of the fakes: an async context manager that serves while it is open."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or RealClock()
        self._runners: list[web.AppRunner] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._noticed = asyncio.Event()

    async def serve(
        self,
        app: web.Application,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        tls: ssl.SSLContext | None = None,
        longest_line: int = LONGEST_LINE,
    ) -> str:
        """Serve one application and return its base URL (without a trailing slash).

        ``handler_cancellation`` is on: a caller that hangs up cancels its handler, as in the real ones.
        ``longest_line`` bounds the request line and each header field, in bytes.
        """
        runner = web.AppRunner(
            app,
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=0.1,
            max_line_size=longest_line,
            max_field_size=longest_line,
        )
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=tls)
        await site.start()
        bound_host, bound_port = runner.addresses[0][:2]
        return f"{'https' if tls else 'http'}://{bound_host}:{bound_port}"

    async def close(self) -> None:
        """Stop serving and end everything still running. Safe to call twice."""
        while self._runners:
            await self._runners.pop().cleanup()
        await self.cancel_tasks()

    async def cancel_tasks(self) -> None:
        """Cancel what runs in the background and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError, Refused):
                await task

    def run_aside(self, work: Any, name: str) -> asyncio.Task[Any]:
        """Run a coroutine that no caller's leaving may cancel. It ends with the server at the latest."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def notice(self) -> None:
        """Tell ``until`` that something was observed."""
        self._noticed.set()

    def next_due(self) -> float | None:
        """When something will happen by itself, on the fake's clock; ``None`` if nothing will."""
        return None

    async def until(self, seen: Callable[[], bool], *, within: float = 30.0) -> None:
        """Return once ``seen()`` holds; looked at after every observation and at each ``next_due``.

        Raises TimeoutError after ``within`` seconds of the machine's time. Cancelling it leaves no trace.
        """
        async with asyncio.timeout(within):
            while not seen():
                self._noticed.clear()
                due = self.next_due()
                waits = [asyncio.ensure_future(self._noticed.wait())]
                if due is not None:
                    pause = self.clock.sleep(max(due - self.clock.now(), 0.001))
                    waits.append(asyncio.ensure_future(_true(pause)))
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
                    await asyncio.gather(*waits, return_exceptions=True)


async def _true(pause: Awaitable[None]) -> Literal[True]:
    await pause
    return True
