"""Write lines to a file descriptor without ever making the event loop wait for whoever reads them.

Lines are collected and handed over in chunks to one thread, which does nothing but ``os.write``. A reader
that is slow fills a bounded store; chunks that do not fit are dropped and their lines counted, and so is everything
once the reader is gone (a closed pipe).
"""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Final

FLUSH_EVERY: Final = 0.5
"""Seconds until a line is handed over at the latest."""

FLUSH_SIZE: Final = 64 * 1024
"""Bytes that are handed over at once; what a pipe takes by default on Linux."""

BOUND: Final = 4 * 1024 * 1024
"""Bytes that wait for a slow reader: about half a second of lines at 30,000 requests a second."""


class LineWriter:
    """Buffered lines to ``fd``, which stays the caller's. Call from one event loop; :meth:`close` at the end."""

    def __init__(self, fd: int, bound: int = BOUND) -> None:
        self.dropped = 0
        """Lines that nobody took in time."""
        self._fd = fd
        self._bound = bound
        self._lines: list[bytes] = []
        self._size = 0
        self._given = 0
        self._taken = 0  # written by the thread only
        self._broken = False
        self._timer: asyncio.TimerHandle | None = None
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: Thread | None = None
        self.owed: Callable[[], None] | None = None
        """Writes the lines that are due but not made yet; called before every flush."""

    def expect(self) -> None:
        """A line will be due: flush after a while, whether or not more comes. Needs a running loop."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_EVERY, self.flush)

    def write(self, line: bytes) -> None:
        """Take one line with its end. Never waits; needs a running loop for the flush after a while."""
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_SIZE:
            self.flush()
        else:
            self.expect()

    def flush(self) -> None:
        """Hand over what is there, or drop it where too much waits already. Never waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.owed is not None:
            self.owed()
            if self._timer is not None:  # what was owed is on its way out now
                self._timer.cancel()
                self._timer = None
        lines, size = self._lines, self._size
        self._lines, self._size = [], 0
        if self._broken or self._given - self._taken + size > self._bound:
            self.dropped += len(lines)
        elif lines:
            self._given += size
            self._chunks.put(b"".join(lines))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="access-log", daemon=True)
                self._thread.start()

    def close(self, seconds: float = 2.0) -> None:
        """Flush, and wait at most so long for a reader that is slow. The only call that waits."""
        self.flush()
        if self._thread is not None:
            self._chunks.put(None)
            self._thread.join(seconds)

    def _run(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            try:
                self._write_all(chunk)
            except OSError:
                self._broken = True
            self._taken += len(chunk)

    def _write_all(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        while rest and not self._broken:
            try:
                rest = rest[os.write(self._fd, rest) :]
            except BlockingIOError:  # somebody who shares the terminal made it non-blocking
                select.select([], [self._fd], [])
