"""Courtesy: callers who are refused, told when to be back, and are, keep the order in which they first came.

Callers that came together run out of patience together, are away together and come back together, each a few
milliseconds early or late. Without courtesy whoever happens to be present at such a moment would take the seat of who
is next. So refusals of a wave fall on one moment, and about when an older place is due back, a seat waits for it.
Beyond these fractions of a second a free seat goes to the next one present (design.md §2.5). Pure look-ups.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from proxy.admission.queue import Queue, Ticket
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant

WAVE: Final = 0.1
"""Seconds; callers whose patience ends within so much of each other are refused at the same moment, the last one's."""
GRACE: Final = 0.25
"""Seconds before and after the moment an older place is due back, within which nobody takes the seat before it. What an
SDK's sleep and a new connection are late by on a busy machine; twice that is the longest a seat stands free for it."""
_NEAR: Final = 10
"""Positions that a seat may come to within a wave; those further back are refused when their own time is over."""
_LOOKED_AT: Final = 256
"""Tickets looked at for one answer, so that a long queue costs no more than a short one."""


def wave_ends(ticket: Ticket) -> Instant:
    """When a waiting ticket whose patience is over is refused: now, or with the last of its wave."""
    queue, bound = ticket.queue, ticket.deadline + WAVE
    if queue.position(ticket) > _NEAR:
        return ticket.deadline
    waiting = (queue.at(seq) for seq in islice(queue.ready, _LOOKED_AT))
    return max((other.deadline for other in waiting if other.deadline <= bound), default=ticket.deadline)


def due_back(queue: Queue, ticket: Ticket, now: Instant) -> Instant | None:
    """Until when a seat is kept from this ticket because an older place of its queue is due back about now."""
    for seq in islice(queue.away, _LOOKED_AT):
        if seq > ticket.seq:
            return None
        other = queue.at(seq)
        until = Instant(other.due + GRACE)  # the same sum that opens the gate: rounding must not hold it shut
        if other.state is TicketState.LINGERING and other.due - GRACE < now < until:
            return until
    return None
