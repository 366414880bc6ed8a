"""``python -m bench.inside PORT serve …``: the command ``headgate``, with a look at its event loop from within.

A timer is due every millisecond; what passes between two of its calls is what the loop did in one go, give or take that
millisecond. Counted are seconds of the thread's CPU time, which other work on the machine does not lengthen, and wall
time beside it. Whoever connects to PORT on loopback gets the longest of both since the last connection, as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Coroutine
from typing import Any

import uvloop

from proxy.cli import main

EVERY_SECONDS = 0.001


class Blocks:
    """The longest stretches in which the loop did not come back, in seconds."""

    def __init__(self) -> None:
        self._cpu = self._wall = 0.0
        self._longest_cpu = self._longest_wall = 0.0

    def start(self) -> None:
        """Begin anew. Needs a running loop."""
        self._longest_cpu = self._longest_wall = 0.0
        self._cpu, self._wall = time.thread_time(), time.monotonic()
        self._later()

    def _later(self) -> None:
        asyncio.get_running_loop().call_later(EVERY_SECONDS, self._look)

    def _look(self) -> None:
        cpu, wall = time.thread_time(), time.monotonic()
        self._longest_cpu = max(self._longest_cpu, cpu - self._cpu)
        self._longest_wall = max(self._longest_wall, wall - self._wall)
        self._cpu, self._wall = cpu, wall
        self._later()

    async def tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say what was seen, and forget it."""
        self._look_back(writer)
        writer.close()
        await writer.wait_closed()

    def _look_back(self, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps({"cpu": self._longest_cpu, "wall": self._longest_wall}).encode())
        self._longest_cpu = self._longest_wall = 0.0


async def watched(work: Coroutine[Any, Any, None], port: int) -> None:
    """Run the proxy, and look."""
    blocks = Blocks()
    server = await asyncio.start_server(blocks.tell, "127.0.0.1", port)
    blocks.start()
    async with server:
        await work


if __name__ == "__main__":
    _run, _port = uvloop.run, int(sys.argv[1])

    def run(work: Coroutine[Any, Any, None]) -> None:
        """In place of uvloop.run, through which the command serves."""
        _run(watched(work, _port))

    setattr(uvloop, "run", run)  # noqa: B010 - an assignment would want the generic type of what it replaces
    sys.argv = ["headgate", *sys.argv[2:]]
    sys.exit(main())
