"""The rules of waiting: who waits, who goes. ``apply(event, now) -> effects`` is the only way in.

A pool holds accounts (what one scope has of one limit), queues (one tenant in one route) and tickets. It
never reads a clock, never awaits, never logs; ``now`` is the store's clock in seconds and never decreases.

Invariants (checked after every step by ``tests/admission/test_pool_machine.py``; names of distributed.md §2):

  I1  cap: what is held of an account never exceeds its limit, except while a lowered limit drains
  I2  conservation: an account holds exactly what its tickets hold; with nobody here, nothing is left
  I3  work-conserving: no queue's head is parked while all its needs would fit and nobody is before it
  I5  a ticket holds at most once, and all its needs or none; once its request is over, what outlives that
  I6  whoever leaves, waiting or holding, frees everything it had
  I10 fairness between tenants is the accounts' (:mod:`proxy.admission.accounts`)
  I13 bounded: callers and kept places stay within the route's bounds
  Q1-Q3 of :mod:`proxy.admission.queue`

This is what events do to tickets. Whose turn it is, and how seats are taken and given back, is
:mod:`proxy.admission.turns`.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from proxy.admission.accounts import Account
from proxy.admission.answers import never_fits, refusal, turn_away
from proxy.admission.book import AccountBook
from proxy.admission.courtesy import wave_ends
from proxy.admission.events import (
    Arrive,
    CloseGate,
    Departs,
    Drain,
    Effect,
    Event,
    Evict,
    Keep,
    Lapsed,
    Leave,
    Refused,
    Relimit,
    RetryLater,
    Waits,
    Why,
)
from proxy.admission.queue import Ticket
from proxy.admission.room import WaitingRoom
from proxy.admission.timers import Timers
from proxy.admission.turns import Turns
from proxy.admission.view import StoreView, TicketState, TicketView
from proxy.admission.views import forecast, look, survey
from proxy.domain.ids import Instant, LimitName, Seconds, TicketId, VisitId

_NOBODY: Final = VisitId(-1)
"""The visit of a place that lingers."""

_HOLDING: Final = TicketState.HOLDING
_WAITING: Final = TicketState.WAITING
_LINGERING: Final = TicketState.LINGERING


class Pool:
    """Limits, queues and seats that are decided together."""

    def __init__(self, relimit: Relimit) -> None:
        self._book = AccountBook(relimit.limits)
        self._room = WaitingRoom()
        self._tickets: dict[TicketId, Ticket] = {}
        self._timers = Timers(self._tickets)
        self._turns = Turns(self._book, self._room, self._timers)
        self._arrivals = 0
        self._draining = False

    # -- in and out -------------------------------------------------------------------------------
    def apply(self, event: Event, now: Instant) -> list[Effect]:
        """Let one thing happen at ``now`` (whatever time had to bring comes first) and say what follows."""
        effects = self._turns.effects = []
        due = self._timers.next()
        if due is not None and due <= now:
            self._pass_time(now)
        match event:
            case Arrive():
                self._arrive(event, now)
            case Leave():
                self._leave(self._of(event.ticket, event.visit), now)
            case Keep():
                self._keep(self._of(event.ticket, event.visit), event.limits, now)
            case Departs():
                self._turns.departs(self._of(event.ticket, event.visit), now)
            case RetryLater():
                self._retry_later(self._of(event.ticket, event.visit), event.rest, now)
            case CloseGate():
                gate = self._book.gate(event.scope)
                gate.open_at = Instant(max(gate.open_at, now + event.seconds))
                self._timers.alarm(gate)
            case Relimit():
                self._turns.relimit(event, now)
            case Evict():
                self._evict(event.ticket, now)
            case Drain():
                self._drain(now)
        self._turns.calm(now)
        return effects

    def next_deadline(self) -> Instant | None:
        """When time alone will next change something; call ``apply(Tick(), …)`` then. May be early, never late."""
        return self._timers.next()

    def look(self, id: TicketId, now: Instant) -> TicketView | None:
        """One ticket as of now; None once it is gone."""
        return None if (ticket := self._tickets.get(id)) is None else look(ticket, now)

    def view(self, now: Instant, tickets: int) -> StoreView:
        """Everything as of now, with at most so many tickets (those that wait first)."""
        return survey(self._book, self._room.queues(), self._tickets.values(), now, tickets)

    def holds(self, id: TicketId) -> bool:
        """Whether the ticket is here, and not waiting."""
        return (ticket := self._tickets.get(id)) is not None and ticket.state is _HOLDING

    def _of(self, id: TicketId, visit: VisitId) -> Ticket | None:
        ticket = self._tickets.get(id)
        return ticket if ticket is not None and ticket.visit == visit else None

    # -- arriving ---------------------------------------------------------------------------------
    def _arrive(self, event: Arrive, now: Instant) -> None:
        place = self._room.find(event, self._tickets)
        if place is None:
            self._arrivals += 1
            self._be_new(Ticket(event, self._room.queue_of(event), self._arrivals, now), event, now)
        else:
            self._come_back(place, event, now)

    def _be_new(self, ticket: Ticket, event: Arrive, now: Instant) -> None:
        queue = ticket.queue
        if self._draining:
            self._turns.effects.append(turn_away(ticket, Why.DRAINING, None, now))
        elif (excess := self._book.excess(event.needs)) is not None:
            self._turns.effects.append(never_fits(ticket, excess, now))
        else:
            blocker = queue.parked_at or self._turns.blocker(ticket, now)
            if blocker is None:
                self._tickets[ticket.id] = ticket
                self._turns.grant(ticket, now)
                return
            if self._has_room(ticket, event, blocker, now):
                self._tickets[ticket.id] = ticket
                self._sit_down(ticket, event, now)
                return
        self._room.forget(queue)

    def _has_room(self, ticket: Ticket, event: Arrive, blocker: Account, now: Instant) -> bool:
        """Whether one more may wait here; turns it away where not."""
        queue = ticket.queue
        full = self._room.full(queue, event.bounds)
        if full is not None:
            why, number, bound = full
            self._turns.effects.append(turn_away(ticket, why, blocker, now, number=number, bound=bound))
            return False
        if event.refuse_early and forecast(queue, blocker, now) > event.patience + event.linger:
            self._turns.effects.append(turn_away(ticket, Why.EARLY, blocker, now))
            return False
        return True

    # -- coming back ----------------------------------------------------------------------------------
    def _come_back(self, ticket: Ticket, event: Arrive, now: Instant) -> None:
        refused = self._no_return(ticket, event, now)
        if refused is not None:
            self._turns.effects.append(refused)
            return
        if ticket.state is _WAITING:
            self._turns.effects.append(refusal(ticket, ticket.visit, Why.SUPERSEDED, now, kept=False))
        self._turns.remove(ticket)
        ticket.state = _WAITING
        ticket.renew(event)
        self._sit_down(ticket, event, now)

    def _no_return(self, ticket: Ticket, event: Arrive, now: Instant) -> Refused | None:
        """Why this caller may not take the place back; the place itself stays as it is."""
        if (excess := self._book.excess(event.needs)) is not None:
            return never_fits(Ticket(event, ticket.queue, 0, now), excess, now)
        if self._draining:
            return refusal(ticket, event.visit, Why.DRAINING, now, kept=True)
        full = self._room.full(ticket.queue, event.bounds)
        if ticket.state is _LINGERING and full is not None:
            why, number, bound = full
            return refusal(ticket, event.visit, why, now, kept=True, number=number, bound=bound)
        return None

    def _sit_down(self, ticket: Ticket, event: Arrive, now: Instant) -> None:
        """A caller waits at the ticket from now on."""
        ticket.bounds, ticket.linger = event.bounds, event.linger
        ticket.deadline = Instant(now + event.patience)
        self._turns.effects.append(Waits(ticket.id, ticket.visit))
        self._wait(ticket, now)

    def _wait(self, ticket: Ticket, now: Instant) -> None:
        """Put it into its queue, until its turn, the end of its rest or of its patience."""
        ticket.resting = ticket.rests_until > now
        ticket.wake = min(ticket.deadline, ticket.rests_until) if ticket.resting else ticket.deadline
        self._room.enter(ticket)
        self._timers.set(ticket)
        self._turns.reconsider(ticket.queue, now)

    # -- leaving ------------------------------------------------------------------------------------
    def _leave(self, ticket: Ticket | None, now: Instant) -> None:
        if ticket is None:
            return
        del self._tickets[ticket.id]
        if ticket.state is _HOLDING:
            self._turns.give_back(ticket, now)
        else:
            self._turns.remove(ticket)
            self._turns.reconsider(ticket.queue, now)
        self._room.forget(ticket.queue)

    def _keep(self, ticket: Ticket | None, limits: Set[LimitName], now: Instant) -> None:
        if ticket is None or ticket.state is not _HOLDING:
            return
        ticket.answered = True
        self._turns.keep(ticket, limits, now)

    def _retry_later(self, ticket: Ticket | None, rest: Seconds, now: Instant) -> None:
        if ticket is None or ticket.state is not _HOLDING or ticket.answered:
            return
        self._turns.give_back(ticket, now)
        if self._draining:
            del self._tickets[ticket.id]
            self._turns.effects.append(turn_away(ticket, Why.DRAINING, None, now))
            return
        ticket.state = _WAITING
        ticket.attempt += 1
        ticket.deadline = Instant(now + max(0.0, ticket.deadline - ticket.granted))
        ticket.rests_until = Instant(now + rest)
        self._wait(ticket, now)

    def _evict(self, id: TicketId, now: Instant) -> None:
        ticket = self._tickets.get(id)
        if ticket is None or ticket.state is _HOLDING:
            return
        if ticket.state is _WAITING:
            self._turns.effects.append(refusal(ticket, ticket.visit, Why.EVICTED, now, kept=False))
        else:
            self._turns.effects.append(Lapsed(ticket.id))
        self._leave(ticket, now)

    def _drain(self, now: Instant) -> None:
        """Refuse whoever waits. All leave before anybody's turn is considered, so nobody is granted on the way."""
        self._draining = True
        waiting = [ticket for ticket in self._tickets.values() if ticket.state is _WAITING]
        for ticket in waiting:
            self._turns.effects.append(refusal(ticket, ticket.visit, Why.DRAINING, now, kept=False))
        for ticket in waiting:
            self._turns.remove(ticket)
            del self._tickets[ticket.id]

    # -- time ---------------------------------------------------------------------------------------
    def _pass_time(self, now: Instant) -> None:
        while (whose := self._timers.pop(now)) is not None:
            if isinstance(whose, Account):
                self._turns.stir(whose)
            else:
                self._wake(whose, now)
            self._turns.calm(now)

    def _wake(self, ticket: Ticket, now: Instant) -> None:
        """A lingering place lapses, patience ends, or a rest is over."""
        if ticket.state is _LINGERING:
            self._turns.effects.append(Lapsed(ticket.id))
            self._leave(ticket, now)
        elif now >= ticket.deadline:
            self._patience_over(ticket, now)
        else:
            self._turns.remove(ticket)
            self._wait(ticket, now)

    def _patience_over(self, ticket: Ticket, now: Instant) -> None:
        refused_at = wave_ends(ticket)
        if refused_at > now:
            ticket.wake = refused_at
            self._timers.set(ticket)
            return
        kept = self._room.may_keep(ticket)
        refused = refusal(ticket, ticket.visit, Why.PATIENCE, now, kept=kept)
        self._turns.effects.append(refused)
        if not kept:
            self._leave(ticket, now)
            return
        self._turns.remove(ticket)
        ticket.due = Instant(now + refused.retry_after)
        ticket.state = _LINGERING
        ticket.visit = _NOBODY
        ticket.resting = False
        ticket.wake = Instant(now + ticket.linger)
        self._room.enter(ticket)
        self._timers.set(ticket)
        self._turns.reconsider(ticket.queue, now)
