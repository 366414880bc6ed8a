"""When which beat is due: one heap and one timer for all of them.

Ten thousand waiters cost ten thousand small rows, not ten thousand tasks or timers. Rows of watches that are
over stay until they are due or outnumber the living, as in asyncio's own scheduler.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final, Generic, Protocol, TypeVar

EARLY: Final = 0.001
"""A beat may go out this many seconds early: uvloop's timers have the resolution of a millisecond, and a
timer that fires just before its time must not be armed again for nothing."""

SLICE: Final = 256
"""As many due beats are handled before the loop gets a turn (each takes a few microseconds)."""

KEEP_DEAD: Final = 64
"""So many rows of watches that are over are never worth a rebuild of the heap."""


class Timed(Protocol):
    """What stands in a timetable."""

    over: bool


T = TypeVar("T", bound=Timed)


class Timetable(Generic[T]):
    """Calls ``due(item, now)`` once for every :meth:`add`, at its time, unless the item is over by then."""

    def __init__(self, due: Callable[[T, float], None]) -> None:
        self._due = due
        self._rows: list[tuple[float, int, T]] = []
        self._count = 0
        self._dead = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # uvloop's handle of a time already past has no when()

    def __len__(self) -> int:
        return len(self._rows) - self._dead

    def add(self, when: float, item: T) -> None:
        """Have the item called at ``when`` (the running loop's clock)."""
        self._count += 1
        heapq.heappush(self._rows, (when, self._count, item))
        if self._timer is None or when < self._timer_at:
            self._arm()

    def forget(self) -> None:
        """One item that stands here has become over."""
        self._dead += 1
        if self._dead > KEEP_DEAD and self._dead * 2 > len(self._rows):
            self._rows = [row for row in self._rows if not row[2].over]
            heapq.heapify(self._rows)
            self._dead = 0

    def close(self) -> None:
        """Nothing is called any more."""
        self._rows.clear()
        self._dead = 0
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._rows:
            self._timer_at = self._rows[0][0]
            self._timer = asyncio.get_running_loop().call_at(self._timer_at, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for _ in range(SLICE):
            if not self._rows or self._rows[0][0] > now + EARLY:
                break
            item = heapq.heappop(self._rows)[2]
            if item.over:
                self._dead -= 1
            else:
                self._due(item, now)
        self._arm()
