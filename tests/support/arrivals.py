"""An upstream in a process of its own that notes when each request came, to the moment its bytes were read.

In the process of a thousand callers a busy loop would stamp late what came in time. :func:`arrivals` runs
``python -m tests.support.arrivals``, which is that process, and reads its notes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from tests.support.waiting import until

_ROOT: Final = Path(__file__).resolve().parents[2]
_SERVICE: Final = 0.05
"""Seconds a create takes."""
_NUMBER: Final = re.compile(rb"\r\nX-Number: (-?\d+)\r\n")
_LENGTH: Final = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
_BODY: Final = b'{"sandboxID":"sb-1","clientID":"c"}'
_REPLY: Final = (
    b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
)


@dataclass
class Arrivals:
    """What came: (X-Number, seconds) in order of arrival, on the clock of ``time.monotonic``."""

    url: str = ""
    came: list[tuple[int, float]] = field(default_factory=list)


@asynccontextmanager
async def arrivals() -> AsyncIterator[Arrivals]:
    """The process; ended when the context is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.arrivals", cwd=_ROOT, stdout=asyncio.subprocess.PIPE
    )
    notes = Arrivals()
    reading = asyncio.create_task(_read(process, notes))
    try:
        await until(lambda: notes.url, "the upstream listens")
        yield notes
    finally:
        process.terminate()
        await process.wait()
        await reading


async def _read(process: asyncio.subprocess.Process, notes: Arrivals) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        said = json.loads(line)
        if isinstance(said, str):
            notes.url = said
        else:
            notes.came.append((said[0], said[1]))


class _Connection(asyncio.Protocol):
    """One kept connection: whole requests in, one answer each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._data = b""

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._data += data
        end = self._data.find(b"\r\n\r\n")
        length = _LENGTH.search(self._data, 0, max(0, end + 2))
        if end < 0 or length is None or len(self._data) < end + 4 + int(length[1]):
            return
        number = _NUMBER.search(self._data)
        self._data = b""
        _note([int(number[1]) if number else 0, now])
        asyncio.get_running_loop().call_later(_SERVICE, self._transport.write, _REPLY)


def _note(what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    _note(f"http://{host}:{port}")
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # notes what comes, not when it was let run
    asyncio.run(_serve())
