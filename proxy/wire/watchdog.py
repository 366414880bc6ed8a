"""Timeouts of the wire, kept by one sweep instead of a timer per request.

A connection states by when something must have happened (``deadline``, loop time); twice a second the sweep
tells those that are late. So a timeout is met within half a second after it is due, and a request costs no timer.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

NEVER: Final = float("inf")
_PERIOD: Final = 0.5


class Watched(Protocol):
    """What can be late."""

    deadline: float

    def expire(self) -> None:
        """The deadline has passed."""


class Watchdog:
    """Everything that can be late, in one set."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._watched: set[Watched] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, watched: Watched) -> None:
        """Watch a connection from now on."""
        self._watched.add(watched)
        if self._timer is None:
            self._timer = self._loop.call_later(_PERIOD, self._sweep)

    def discard(self, watched: Watched) -> None:
        """The connection is gone."""
        self._watched.discard(watched)

    def close(self) -> None:
        """Stop sweeping."""
        self._watched.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        now = self._loop.time()
        for watched in [w for w in self._watched if w.deadline <= now]:
            watched.deadline = NEVER
            watched.expire()
        self._timer = self._loop.call_later(_PERIOD, self._sweep) if self._watched else None
