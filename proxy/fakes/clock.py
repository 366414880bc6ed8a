"""Time for the fakes: the machine's own, or one that a test moves by hand.

Everything in this package that waits or looks at the time goes through a ``Clock``, so that a liveness timer
of half an hour can be watched in a millisecond. Seconds everywhere; the zero of a clock means nothing.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Final, Protocol

EPOCH: Final = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Clock(Protocol):
    """What the fakes need of time."""

    def now(self) -> float:
        """Seconds since some fixed moment; never decreases."""
        ...

    def wall(self) -> float:
        """The same moment as seconds since 1970, for timestamps that callers read."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return once ``seconds`` have passed; at once for zero and below. Cancellable."""
        ...


class RealClock:
    """The monotonic clock of the machine."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds of ``time.monotonic``."""
        return time.monotonic()

    def wall(self) -> float:
        """The time of day, monotonic: as it was at the start, plus what has passed."""
        return time.monotonic() + self._offset

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running loop. A zero does not even yield, so an unhurried fake stays quick."""
        if seconds > 0:
            await asyncio.sleep(seconds)


class ManualClock:
    """A clock that stands still until a test calls ``advance``. Belongs to one event loop."""

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._changed = asyncio.Event()

    def now(self) -> float:
        """The moment the test has advanced to."""
        return self._now

    def wall(self) -> float:
        """``now`` counted from the first moment of 2026."""
        return EPOCH + self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced far enough. A cancelled sleeper is forgotten at once."""
        if seconds <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        sleeper = (self._now + seconds, next(self._order), future)
        heapq.heappush(self._sleepers, sleeper)
        self._changed.set()
        try:
            await future
        finally:
            if not future.done() or future.cancelled():
                self._sleepers = [s for s in self._sleepers if s is not sleeper]
                heapq.heapify(self._sleepers)
                self._changed.set()

    async def sleeping(self, count: int) -> None:
        """Return once exactly ``count`` sleepers wait. How a test knows that a request has got that far."""
        while len(self._sleepers) != count:
            self._changed.clear()
            await self._changed.wait()

    async def advance(self, seconds: float) -> None:
        """Move on by ``seconds``, waking each sleeper at its own moment and in order.

        The loop runs between two wake-ups, so that a sleeper may sleep again within the same stretch.
        """
        target = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= target:
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            self._changed.set()
            for _ in range(10):  # a woken handler needs a few turns of the loop before it sleeps again
                await asyncio.sleep(0)
        self._now = target
