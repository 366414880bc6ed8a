"""How many callers may be connected at once, and who makes room when one more comes.

The system bounds what a process may have open, and who runs into that bound by accident fails somewhere at random: at
a connection to an upstream, at a file. So callers have a bound of their own, well below. Beyond it, a newcomer takes
the place of the caller that has been awaited longest: idle between two requests, or slow with a head. nginx does so
with its kept connections; HAProxy leaves newcomers in the backlog, where they learn nothing. A request under way is
never touched: where everybody has one, the newcomer hears 503 as soon as it asks, and may go to another replica.

The few heads that are longer than usual have a bound of their own, so that it is memory that is bounded, whatever a
listener allows: one more, and the one that began first is broken off.
"""

from __future__ import annotations

import heapq
import resource
from collections.abc import Callable, Set
from typing import Final, Protocol

from proxy.domain.errors import HeadgateError, TooManyLongHeads

_MOST: Final = 16_384
"""Callers at once, unless said otherwise: with a head of 32 kB and as much of a body each, memory stays bounded."""
LONG_HEADS: Final = 128
"""Heads longer than usual that may be on their way at once: 56 MiB of them, where each may have 440 KiB."""
_FILES: Final = 128
"""Open files that are no caller's: listeners, the admin's, policies, progress deliveries."""
_AT_THE_DOOR: Final = 256
"""Callers that may be on their way out at once; who comes beyond them is cut without a word."""
_LOOKED_OUT: Final = 512
"""Callers that are looked out at a time, to go one by one: so looking through all of them is seldom."""
_LOOK_AGAIN: Final = 0.1
"""Seconds until all are looked through again, where none was idle."""


class Guest(Protocol):
    """A caller's connection."""

    awaited_since: float
    """When its next request began to be awaited, in loop time."""
    leaving: bool
    """Whether it was told to go."""

    @property
    def awaited(self) -> bool:
        """Whether it has no request under way, and its next one may come."""

    def give_way(self) -> None:
        """Go: another caller needs the room."""

    def break_off(self, error: HeadgateError) -> None:
        """What has come of its head is dropped, and ``error`` is the answer."""

    def turn_away(self) -> None:
        """Go, as soon as that can be answered to whatever is asked."""

    def abort(self) -> None:
        """Go at once."""


class Crowd:
    """All callers that are connected."""

    def __init__(self, inside: Set[Guest], bound: int, clock: Callable[[], float]) -> None:
        """``inside`` is looked at, and kept by whoever gives it; ``clock`` is the loop's time in seconds."""
        self.bound = bound
        self.gave_way = 0
        """Callers that were awaited and had to go, so far."""
        self.turned_away = 0
        """Callers for whom there was no room, so far."""
        self._inside = inside
        self._clock = clock
        self._leaving = 0
        self._long_heads: dict[Guest, None] = {}
        """Who is in the middle of a head longer than usual, the one that began first in front."""
        self._next: list[tuple[float, Guest]] = []
        """Who goes next, the next one last; some may have become busy meanwhile, or have gone."""
        self._look_at = 0.0

    def entered(self, guest: Guest) -> bool:
        """A caller has connected. Whether there is room for it; if need be, another one goes."""
        if len(self._inside) - self._leaving <= self.bound:
            return True
        longest = self._awaited_longest(guest)
        if longest is not None:
            self.gave_way += 1
            self._goes(longest)
            longest.give_way()
            return True
        self.turned_away += 1
        crowded = self._leaving >= _AT_THE_DOOR
        self._goes(guest)
        if crowded:
            guest.abort()
        else:
            guest.turn_away()
        return False

    def left(self, guest: Guest) -> None:
        """A caller is gone."""
        self._long_heads.pop(guest, None)
        if guest.leaving:
            self._leaving -= 1

    def long_head(self, guest: Guest) -> None:
        """More of a head has come than most have in all, and it goes on: there is room for so many of those."""
        self._long_heads[guest] = None
        if len(self._long_heads) > LONG_HEADS:
            first = next(iter(self._long_heads))
            del self._long_heads[first]
            self.gave_way += 1
            first.break_off(TooManyLongHeads(LONG_HEADS))

    @property
    def long_heads(self) -> int:
        """Heads longer than usual that are on their way."""
        return len(self._long_heads)

    def long_head_over(self, guest: Guest) -> None:
        """The guest's head has come, or was refused; nothing where it was not a long one."""
        self._long_heads.pop(guest, None)

    def _goes(self, guest: Guest) -> None:
        guest.leaving = True
        self._leaving += 1

    def _awaited_longest(self, newcomer: Guest) -> Guest | None:
        if (found := self._look_out()) is not None or self._clock() < self._look_at:
            return found
        idle = (guest for guest in self._inside if guest.awaited and not guest.leaving and guest is not newcomer)
        self._next = [(one.awaited_since, one) for one in heapq.nsmallest(_LOOKED_OUT, idle, _since)]
        self._next.reverse()
        if not self._next:
            self._look_at = self._clock() + _LOOK_AGAIN
        return self._look_out()

    def _look_out(self) -> Guest | None:
        while self._next:
            since, guest = self._next.pop()
            stays = guest in self._inside and not guest.leaving
            if stays and guest.awaited and guest.awaited_since == since:
                return guest
        return None


def _since(guest: Guest) -> float:
    return guest.awaited_since


def usual_bound() -> int:
    """Half of what the process may have open, so that each caller can have a connection to its upstream."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_MOST, max(1, (files - _FILES) // 2))
