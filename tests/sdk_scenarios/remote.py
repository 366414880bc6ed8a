"""Drives a client script ``remote`` of a real SDK: many calls at once from one process, each awaited on its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncIterator
from typing import Any, Final

from tests.sdk.client import KEPT, KEY
from tests.sdk.environments import Sdk

_LONGEST_LINE: Final = 1 << 22


class Remote:
    """One SDK process. Calls return futures, so that a test can look at what is *not* done yet."""

    def __init__(self, sdk: Sdk, process: asyncio.subprocess.Process) -> None:
        self.sdk = sdk
        self._process = process
        self._numbers = itertools.count()
        self._calls: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reader = asyncio.create_task(self._read(), name=f"remote {sdk.label}")

    def call(self, do: str, name: str = "", arg: Any = None, **options: Any) -> asyncio.Future[dict[str, Any]]:
        """Start a call; the future is its outcome: ``class`` null and ``value``, or how it failed."""
        number = next(self._numbers)
        order = {"id": number, "do": do, "name": name, "arg": arg, "options": options}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        future = self._calls[number] = asyncio.get_running_loop().create_future()
        return future

    async def done(self, do: str, name: str = "", arg: Any = None, **options: Any) -> Any:
        """Make a call that must succeed; returns its value."""
        told = await self.call(do, name, arg, **options)
        assert told["class"] is None, told
        return told.get("value")  # JavaScript has no null for "nothing"

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            told = json.loads(line)
            future = self._calls.pop(told.pop("id"))
            if not future.done():
                future.set_result(told)
        for future in self._calls.values():
            if not future.done():
                future.set_exception(EOFError("the client process ended"))
                future.exception()

    async def close(self) -> None:
        """End the process, finished or not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(30):
                await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
            await self._reader


@contextlib.asynccontextmanager
async def remote(
    sdk: Sdk, *, url: str = "http://127.0.0.1:1", sandbox_url: str = "", key: str = KEY
) -> AsyncIterator[Remote]:
    """A client process with no more of this environment than it needs, ended with the block."""
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"E2B_API_URL": url, "E2B_API_KEY": key, "NO_PROXY": "*"}
    if sandbox_url:
        environment["E2B_SANDBOX_URL"] = sandbox_url
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *sdk.command("remote"), env=environment, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE
    )
    client = Remote(sdk, process)
    try:
        yield client
    finally:
        await client.close()
