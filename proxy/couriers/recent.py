"""When a ticket's last beat was, for a caller who comes back to its place before the next is due."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

KEPT: Final = 10_000
"""So many at most; a forgotten one costs one beat that is early."""


class RecentBeats:
    """The earliest next beat by ticket and sink. Rows whose time has come say nothing and go first."""

    def __init__(self) -> None:
        self._next: OrderedDict[tuple[str, str], float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._next)

    def keep(self, ticket: str, sink: str, next_beat: float, now: float) -> None:
        """The next beat of this ticket to this sink is not due before ``next_beat``."""
        while self._next:
            key, when = next(iter(self._next.items()))
            if when > now and len(self._next) < KEPT:
                break
            del self._next[key]
        self._next[ticket, sink] = next_beat
        self._next.move_to_end((ticket, sink))

    def get(self, ticket: str, sink: str) -> float | None:
        """What was kept; None where nothing was."""
        return self._next.get((ticket, sink))
