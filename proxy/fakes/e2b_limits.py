"""The fake E2B's arithmetic: who may pass, and what the refusal says. Pure; time comes in as an argument.

Three kinds of limit, as in the real service (reference: the published limits and the open-source server):

* ``Pending``: starts under way, which count against the account's live limit beside what lives already;
* ``Gcra``: the per-route rate limiter, which tells callers when to come back;
* ``Window``: the edge's sliding window, which tells them nothing.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

PENDING_SECONDS = 90.0
"""A start that has been pending longer no longer counts: the real server's safety against its own crashes."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` on average, ``burst`` at once."""

    per_second: float
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rate limiter decided. ``reset`` and ``retry_after`` are seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset: float
    retry_after: float = 0.0

    def headers(self) -> dict[str, str]:
        """``RateLimit-*`` on every answer, ``Retry-After`` (an integer, at least 1) on refusals only."""
        said = {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(math.ceil(self.reset)),
        }
        if not self.allowed:
            said["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return said


@dataclass(slots=True)
class Gcra:
    """The generic cell rate algorithm: one number of state, ``_arrival``, the theoretical arrival time."""

    rate: Rate
    _arrival: float = -math.inf

    def take(self, now: float) -> Verdict:
        """Let one request through, or say in how many seconds one could pass."""
        interval = 1.0 / self.rate.per_second
        tolerance = self.rate.burst * interval
        arrival = max(self._arrival, now)
        early = arrival + interval - tolerance - now
        if early > 1e-9:  # the sums above are floats: a request exactly on time must pass
            return Verdict(False, self.rate.burst, 0, arrival - now, early)
        self._arrival = arrival + interval
        remaining = int((tolerance - (self._arrival - now)) / interval + 1e-9)
        return Verdict(True, self.rate.burst, remaining, self._arrival - now)


@dataclass(slots=True)
class Window:
    """At most ``count`` in any ``seconds``; what is refused does not count."""

    count: float
    seconds: float
    _passed: deque[float] = field(default_factory=deque)

    def take(self, now: float) -> bool:
        """Whether one more may pass at ``now``."""
        while self._passed and self._passed[0] <= now - self.seconds:
            self._passed.popleft()
        if len(self._passed) >= self.count:
            return False
        self._passed.append(now)
        return True


@dataclass(slots=True)
class Pending:
    """The starts of one team that have been let in and are not yet registered."""

    _since: dict[int, float] = field(default_factory=dict)
    _number: int = 0

    def reserve(self, *, live: int, limit: int, now: float) -> int | None:
        """Take a place if ``live`` plus what is pending leaves one: its number, else ``None``."""
        if live + self.count(now) >= limit:
            return None
        self._number += 1
        self._since[self._number] = now
        return self._number

    def release(self, number: int) -> None:
        """Give the place back. One that was dropped for its age is gone already, and that is fine."""
        self._since.pop(number, None)

    def count(self, now: float) -> int:
        """How many count at ``now``."""
        for number in [n for n, since in self._since.items() if now - since > PENDING_SECONDS]:
            del self._since[number]
        return len(self._since)
