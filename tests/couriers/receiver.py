"""A real HTTP receiver on loopback that answers as told and remembers what it got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """What came in; ``more`` is set anew with every request."""

    url: str = ""
    targets: list[str] = field(default_factory=list)
    bodies: list[object] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    now: int = 0
    peak: int = 0
    more: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def count(self, number: int) -> None:
        """Wait until so many requests have come."""
        async with self.more:
            await self.more.wait_for(lambda: len(self.targets) >= number)


def status(code: int, **headers: str) -> Answer:
    """Answer everything with this status."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=code, headers=headers)

    return answer


@asynccontextmanager
async def receiving(answer: Answer) -> AsyncIterator[Receiver]:
    """Serve until the end of the block."""
    seen = Receiver()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        seen.targets.append(request.raw_path)
        seen.headers.append({name.lower(): value for name, value in request.headers.items()})
        seen.bodies.append(await request.json() if request.can_read_body else None)
        seen.now += 1
        seen.peak = max(seen.peak, seen.now)
        async with seen.more:
            seen.more.notify_all()
        try:
            return await answer(request)
        finally:
            seen.now -= 1

    server = web.Server(handle, access_log=None, handler_cancellation=True)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    seen.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield seen
    finally:
        await runner.cleanup()
