"""When time alone will change something: places lapse, patience and rests end, rates and gates open.

A timer is never cancelled: one that no longer says what its owner says is outdated, and dropped when it comes up
or when the outdated are the many. An account has one alarm at a time. Of what is due at the same moment accounts come
first, then tickets by age.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Final

from proxy.admission.accounts import Account
from proxy.admission.queue import Ticket
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant, TicketId

_SLACK: Final = 256
"""So many outdated timers are no burden."""


class Timers:
    """The timers of one pool, whose tickets it may look at."""

    def __init__(self, tickets: Mapping[TicketId, Ticket]) -> None:
        self._tickets = tickets
        self._heap: list[tuple[Instant, int, int, Ticket | Account]] = []
        self._sequence = 0

    def __len__(self) -> int:
        return len(self._heap)

    def set(self, ticket: Ticket) -> None:
        """Wake a waiting or lingering ticket at its ``wake``."""
        self._push(ticket.wake, ticket.seq, ticket)

    def alarm(self, account: Account) -> None:
        """Wake an account when it opens by itself, if anybody is parked there."""
        opens = account.opens_at() if account.parked else None
        if opens is not None and opens != account.alarm:
            account.alarm = opens
            self._push(opens, 0, account)

    def next(self) -> Instant | None:
        """The first moment; may be an outdated one."""
        return self._heap[0][0] if self._heap else None

    def pop(self, now: Instant) -> Ticket | Account | None:
        """The next whose moment has come, None where there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, _, _, whose = heapq.heappop(heap)
            if not self._live(due, whose):
                continue
            if isinstance(whose, Account):
                whose.alarm = None
            return whose
        return None

    def _push(self, due: Instant, age: int, whose: Ticket | Account) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (due, age, self._sequence, whose))
        if len(self._heap) > _SLACK + 4 * len(self._tickets):
            self._heap = [item for item in self._heap if self._live(item[0], item[3])]
            heapq.heapify(self._heap)

    def _live(self, due: Instant, whose: Ticket | Account) -> bool:
        if isinstance(whose, Account):
            return whose.alarm == due
        return whose.wake == due and whose.state is not TicketState.HOLDING and self._tickets.get(whose.id) is whose
