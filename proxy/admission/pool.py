"""The rules of waiting: who waits, who goes. ``apply(event, now) -> effects`` is the only way in.

A pool holds accounts (what one scope has of one limit), queues (one tenant in one route) and tickets. It
never reads a clock, never awaits, never logs; ``now`` is the store's clock in seconds and never decreases.

Invariants (checked after every step by ``tests/admission/test_pool_machine.py``; names of distributed.md §2):

  I1  cap: what is held of an account never exceeds its limit, except while a lowered limit drains
  I2  conservation: an account holds exactly what its tickets hold; with nobody here, nothing is left
  I3  work-conserving: no queue's head is parked while all its needs would fit and nobody is before it
  I5  a ticket holds at most once, and all its needs or none
  I6  whoever leaves, waiting or holding, frees everything it had
  I10 fairness between tenants is the accounts' (:mod:`proxy.admission.accounts`)
  I13 bounded: callers and kept places stay within the route's bounds
  Q1-Q3 of :mod:`proxy.admission.queue`

Every queue with somebody ready is parked at exactly one account, the first that blocks its head. Whatever may change
whose turn it is there (a return, time, another limit, somebody parked or gone) stirs that account; before an event
ends, every stirred account is pumped: its best queue is tried, and either goes or parks elsewhere, until nobody's
best fits. One that asks for more than a lowered limit has is passed until the limit is raised.
"""

from __future__ import annotations

from typing import Final

from proxy.admission.accounts import Account
from proxy.admission.answers import never_fits, refusal, turn_away
from proxy.admission.book import AccountBook
from proxy.admission.events import (
    Arrive,
    CloseGate,
    Drain,
    Effect,
    Event,
    Evict,
    Granted,
    Lapsed,
    Leave,
    Refused,
    Relimit,
    RetryLater,
    Waits,
    Why,
)
from proxy.admission.queue import Queue, Ticket
from proxy.admission.room import WaitingRoom
from proxy.admission.timers import Timers
from proxy.admission.view import StoreView, TicketState, TicketView
from proxy.admission.views import forecast, look, survey
from proxy.domain.ids import Instant, Seconds, TicketId, VisitId

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
        self._arrivals = 0
        self._draining = False
        self._stirred: list[Account] = []
        self._effects: list[Effect] = []

    # -- in and out -------------------------------------------------------------------------------
    def apply(self, event: Event, now: Instant) -> list[Effect]:
        """Let one thing happen at ``now`` (whatever time had to bring comes first) and say what follows."""
        effects = self._effects = []
        due = self._timers.next()
        if due is not None and due <= now:
            self._pass_time(now)
        match event:
            case Arrive():
                self._arrive(event, now)
            case Leave():
                self._leave(self._of(event.ticket, event.visit), now)
            case RetryLater():
                self._retry_later(self._of(event.ticket, event.visit), event.rest, now)
            case CloseGate():
                gate = self._book.gate(event.scope)
                gate.open_at = Instant(max(gate.open_at, now + event.seconds))
                self._timers.alarm(gate)
            case Relimit():
                self._relimit(event, now)
            case Evict():
                self._evict(event.ticket, now)
            case Drain():
                self._drain(now)
        if self._stirred:
            self._calm(now)
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
            self._effects.append(turn_away(ticket, Why.DRAINING, None, now))
        elif (excess := self._book.excess(event.needs)) is not None:
            self._effects.append(never_fits(ticket, excess, now))
        else:
            blocker = queue.parked_at or self._blocker(ticket, now)
            if blocker is None:
                self._tickets[ticket.id] = ticket
                self._grant(ticket, now)
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
            self._effects.append(turn_away(ticket, why, blocker, now, number=number, bound=bound))
            return False
        if event.refuse_early and forecast(queue, blocker, now) > event.patience + event.linger:
            self._effects.append(turn_away(ticket, Why.EARLY, blocker, now))
            return False
        return True

    # -- coming back ----------------------------------------------------------------------------------
    def _come_back(self, ticket: Ticket, event: Arrive, now: Instant) -> None:
        refused = self._no_return(ticket, event, now)
        if refused is not None:
            self._effects.append(refused)
            return
        if ticket.state is _WAITING:
            self._effects.append(refusal(ticket, ticket.visit, Why.SUPERSEDED, now, kept=False))
        self._remove(ticket)
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
        self._effects.append(Waits(ticket.id, ticket.visit))
        self._wait(ticket, now)

    def _wait(self, ticket: Ticket, now: Instant) -> None:
        """Put it into its queue, until its turn, the end of its rest or of its patience."""
        ticket.resting = ticket.rests_until > now
        ticket.wake = min(ticket.deadline, ticket.rests_until) if ticket.resting else ticket.deadline
        self._room.enter(ticket)
        self._timers.set(ticket)
        self._reconsider(ticket.queue, now)

    # -- leaving ------------------------------------------------------------------------------------
    def _leave(self, ticket: Ticket | None, now: Instant) -> None:
        if ticket is None:
            return
        del self._tickets[ticket.id]
        if ticket.state is _HOLDING:
            self._give_back(ticket, now)
        else:
            self._remove(ticket)
            self._reconsider(ticket.queue, now)
        self._room.forget(ticket.queue)

    def _retry_later(self, ticket: Ticket | None, rest: Seconds, now: Instant) -> None:
        if ticket is None or ticket.state is not _HOLDING:
            return
        self._give_back(ticket, now)
        if self._draining:
            del self._tickets[ticket.id]
            self._effects.append(turn_away(ticket, Why.DRAINING, None, now))
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
            self._effects.append(refusal(ticket, ticket.visit, Why.EVICTED, now, kept=False))
        else:
            self._effects.append(Lapsed(ticket.id))
        self._leave(ticket, now)

    def _drain(self, now: Instant) -> None:
        """Refuse whoever waits. All leave before anybody's turn is considered, so nobody is granted on the way."""
        self._draining = True
        waiting = [ticket for ticket in self._tickets.values() if ticket.state is _WAITING]
        for ticket in waiting:
            self._effects.append(refusal(ticket, ticket.visit, Why.DRAINING, now, kept=False))
        for ticket in waiting:
            self._remove(ticket)
            del self._tickets[ticket.id]

    # -- places -------------------------------------------------------------------------------------
    def _remove(self, ticket: Ticket) -> None:
        """Take a ticket out of its queue. A parked head is unparked; the caller reconsiders the queue."""
        queue = ticket.queue
        if queue.parked_at is not None and queue.parked_for == ticket.seq:
            self._unpark(queue)
        self._room.remove(ticket)

    def _reconsider(self, queue: Queue, now: Instant) -> None:
        """After a change: the heads go while they can, then the next is parked where it is blocked."""
        if queue.parked_at is not None and queue.parked_for != queue.head.seq:
            self._unpark(queue)
        while queue.ready and queue.parked_at is None:
            blocker = self._blocker(queue.head, now)
            if blocker is None:
                head = queue.head
                self._remove(head)
                self._grant(head, now)
            else:
                self._park(queue, blocker)

    # -- granting -----------------------------------------------------------------------------------
    def _blocker(self, ticket: Ticket, now: Instant, chosen: Account | None = None) -> Account | None:
        """The first account that blocks a ticket, full or with somebody before it; ``chosen`` chose it already."""
        gate = self._book.gates.get(ticket.gate)
        if gate is not None and not gate.fits(1, now):
            return gate
        for need in ticket.needs:
            account = self._book.account(need)
            if not account.fits(need.cost, now):
                return account
            if account.parked and account is not chosen and not account.prefers(ticket):
                return account
        return None

    def _park(self, queue: Queue, account: Account) -> None:
        account.park(queue)
        queue.parked_at, queue.parked_for = account, queue.head.seq
        self._stir(account)

    def _unpark(self, queue: Queue) -> None:
        account = queue.parked_at
        assert account is not None, "only parked queues are unparked"
        account.unpark(queue)
        queue.parked_at = None
        self._stir(account)

    def _stir(self, account: Account) -> None:
        """Somebody at this account may go now; who, is decided when the event's own changes are made."""
        if not account.stirred:
            account.stirred = True
            self._stirred.append(account)

    def _calm(self, now: Instant) -> None:
        """Pump until nobody's best fits. It ends: an account once pumped empty is refilled only by grants."""
        while self._stirred:
            account = self._stirred.pop()
            self._pump(account, now)
            account.stirred = False

    def _pump(self, account: Account, now: Instant) -> None:
        """Give out what the account has, in fair order."""
        while account.parked:
            queue = account.best()
            if queue is None:
                break
            if not account.fits(queue.head.cost_of(account), now):
                account.reserve(queue)
                break
            self._unpark(queue)
            blocker = self._blocker(queue.head, now, chosen=account)
            if blocker is None:
                head = queue.head
                self._remove(head)
                self._grant(head, now)
                self._reconsider(queue, now)
            else:
                self._park(queue, blocker)
        if account.parked:
            self._timers.alarm(account)
        else:
            account.settle()

    def _grant(self, ticket: Ticket, now: Instant) -> None:
        """All that a ticket needs, to one that is in no queue."""
        queue = ticket.queue
        ticket.state = _HOLDING
        ticket.granted = now
        for need in ticket.needs:
            account = self._book.account(need)
            charged = account.take(queue.tenant, ticket.weight, need.cost, now)
            ticket.holdings.append((account, need.cost, charged))
            if account.parked:
                self._stir(account)
        queue.holding += 1
        queue.dispatched(now)
        self._effects.append(Granted(ticket.id, ticket.visit))

    def _give_back(self, ticket: Ticket, now: Instant) -> None:
        holdings, ticket.holdings = ticket.holdings, []
        ticket.queue.holding -= 1
        elapsed = Seconds(now - ticket.granted)
        for account, cost, charged in holdings:
            account.give(ticket.queue.tenant, cost, charged, elapsed)
            if account.parked:
                self._stir(account)
        self._book.sweep(now)

    def _relimit(self, event: Relimit, now: Instant) -> None:
        changed, gone = self._book.relimit(event.limits, now)
        for account in changed:
            if account.parked:
                self._stir(account)
        for queue in [queue for account in gone for queue in account.queues()]:
            if queue.parked_at in gone:
                self._unpark(queue)
                self._reconsider(queue, now)

    # -- time ---------------------------------------------------------------------------------------
    def _pass_time(self, now: Instant) -> None:
        while (whose := self._timers.pop(now)) is not None:
            if isinstance(whose, Account):
                self._stir(whose)
            else:
                self._wake(whose, now)
            if self._stirred:
                self._calm(now)

    def _wake(self, ticket: Ticket, now: Instant) -> None:
        """A lingering place lapses, patience ends, or a rest is over."""
        if ticket.state is _LINGERING:
            self._effects.append(Lapsed(ticket.id))
            self._leave(ticket, now)
        elif now >= ticket.deadline:
            self._patience_over(ticket, now)
        else:
            self._remove(ticket)
            self._wait(ticket, now)

    def _patience_over(self, ticket: Ticket, now: Instant) -> None:
        kept = self._room.may_keep(ticket)
        self._effects.append(refusal(ticket, ticket.visit, Why.PATIENCE, now, kept=kept))
        if not kept:
            self._leave(ticket, now)
            return
        self._remove(ticket)
        ticket.state = _LINGERING
        ticket.visit = _NOBODY
        ticket.resting = False
        ticket.wake = Instant(now + ticket.linger)
        self._room.enter(ticket)
        self._timers.set(ticket)
        self._reconsider(ticket.queue, now)
