"""What a refused caller is told: where it stands, how long it waited, when to come back."""

from __future__ import annotations

from typing import Final

from proxy.admission.accounts import Account, SeatAccount
from proxy.admission.events import Need, Refused, Why
from proxy.admission.queue import Ticket
from proxy.admission.views import blocker, forecast
from proxy.domain.ids import GATE, Instant, Seconds, VisitId

_RETRY_AFTER_CAP: Final = 30.0
"""Seconds; the longest Retry-After for a place that is not kept (peers.md §5.7)."""
_NEAR: Final = 10
"""Positions up to here come back after 1 s, later ones after 2 s."""


def turn_away(
    ticket: Ticket, why: Why, at: Account | None, now: Instant, *, number: int = 0, bound: int = 0
) -> Refused:
    """Refuse somebody who never got a place; ``at`` None means the process itself."""
    limit = GATE if at is None else at.limit
    again = _without_place(forecast(ticket.queue, at, now))
    return Refused(ticket.id, ticket.visit, why, limit, False, 0, Seconds(0.0), again, number, bound)


def never_fits(ticket: Ticket, excess: tuple[Need, SeatAccount], now: Instant) -> Refused:
    """Refuse somebody who asks for more than the limit has."""
    need, account = excess
    return turn_away(ticket, Why.NEVER_FITS, account, now, number=need.cost, bound=int(account.seats))


def refusal(
    ticket: Ticket, visit: VisitId, why: Why, now: Instant, *, kept: bool, number: int = 0, bound: int = 0
) -> Refused:
    """Refuse somebody whose ticket has a place in its queue, which is kept from now on or not."""
    queue = ticket.queue
    position = queue.position(ticket)
    if kept:
        again = Seconds(1.0 if position <= _NEAR or ticket.linger < 4 else 2.0)  # never beyond half of linger
    else:
        again = _without_place(forecast(queue, None, now))
    limit = blocker(ticket)
    return Refused(ticket.id, visit, why, limit, kept, position, Seconds(now - ticket.since), again, number, bound)


def _without_place(seconds: float) -> Seconds:
    return Seconds(min(_RETRY_AFTER_CAP, max(1.0, seconds)))
