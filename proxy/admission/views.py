"""How pools are read: positions, estimates, what is held. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from proxy.admission.accounts import Account, RateAccount, SeatAccount
from proxy.admission.book import AccountBook
from proxy.admission.queue import Queue, Ticket
from proxy.admission.view import LimitView, QueueView, StoreView, TicketState, TicketView
from proxy.domain.ids import GATE, Instant, LimitName, Seconds

_ETA_CAP: Final = 3600.0
"""Seconds; no estimate goes beyond (Prefect once told people 140 hours: peers.md §0.4)."""


def look(ticket: Ticket, now: Instant) -> TicketView:
    """One ticket as of now."""
    queue = ticket.queue
    holding = ticket.state is TicketState.HOLDING
    return TicketView(
        ticket=ticket.id,
        tenant=queue.tenant,
        route=queue.route,
        state=ticket.state,
        position=0 if holding else queue.position(ticket),
        eta=None if holding else eta(ticket, now),
        blocker=None if holding else blocker(ticket),
        waited=Seconds((ticket.granted if holding else now) - ticket.since),
        attempt=ticket.attempt,
    )


def blocker(ticket: Ticket) -> LimitName:
    """The limit that blocks a waiting ticket: what its queue's head is parked for; the gate while it rests."""
    at = ticket.queue.parked_at
    return GATE if at is None or ticket.resting else at.limit


def eta(ticket: Ticket, now: Instant) -> Seconds | None:
    """Seconds until its turn: position over the tenant's own dispatch rate, else over what the blocker lets through.

    What is shut until a known moment adds the time until then. None where nothing is known (peers.md §5.3).
    """
    queue = ticket.queue
    at = queue.parked_at
    opens = ticket.wake if ticket.resting else at.opens_at() if at is not None else None
    shut = 0.0 if opens is None else max(0.0, opens - now)
    pace = _pace(queue, at, now)
    if pace is None:
        return Seconds(min(_ETA_CAP, shut)) if shut and queue.position(ticket) == 1 else None
    return Seconds(min(_ETA_CAP, max(shut, queue.position(ticket) / pace)))


def forecast(queue: Queue, at: Account | None, now: Instant) -> float:
    """Seconds a new arrival would wait in a queue that is blocked by ``at``; 1 where nothing is known."""
    at = queue.parked_at or at
    opens = None if at is None else at.opens_at()
    shut = 0.0 if opens is None else opens - now
    pace = _pace(queue, at, now)
    return max(shut, (len(queue) + 1) / pace if pace else 1.0)


def _pace(queue: Queue, at: Account | None, now: Instant) -> float | None:
    return queue.dispatch_rate(now) or (None if at is None else at.pace(queue.tenant))


def survey(book: AccountBook, queues: Iterable[Queue], tickets: Iterable[Ticket], now: Instant, most: int) -> StoreView:
    """Everything as of now, with at most ``most`` tickets: those that wait, by age, then holders."""
    limits = []
    for account in book.accounts():
        if isinstance(account, SeatAccount):
            limits.append(LimitView(account.limit, account.scope, account.held, account.seats))
        elif isinstance(account, RateAccount):
            limits.append(LimitView(account.limit, account.scope, account.lacking(now), account.burst))
    lines = [QueueView(q.route, q.tenant, q.connected, q.kept) for q in queues if len(q)]
    some = sorted(islice(tickets, 10 * most), key=lambda t: (t.state is TicketState.HOLDING, t.seq))[:most]
    return StoreView(tuple(limits), tuple(lines), tuple(look(ticket, now) for ticket in some))
