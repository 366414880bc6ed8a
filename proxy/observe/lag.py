"""How late the event loop is: a timer that looks at the clock when it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

SAMPLE_EVERY: Final = 0.25
"""Seconds between two samples: four wake-ups a second cost nothing, and a stall of 20 ms is met by one sample
in twelve."""


class LagSampler:
    """Calls ``observe`` with seconds of lateness until it is stopped. Needs a running loop to start."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._observe = observe
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin; a second call begins anew."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + SAMPLE_EVERY, self._sample, loop, loop.time() + SAMPLE_EVERY)

    def stop(self) -> None:
        """No more samples."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sample(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        now = loop.time()
        self._observe(max(0.0, now - due))
        self._timer = loop.call_at(now + SAMPLE_EVERY, self._sample, loop, now + SAMPLE_EVERY)
