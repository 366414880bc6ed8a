"""Who goes when: queues are parked where they are blocked, accounts give out what they have in fair order.

Every queue with somebody ready is parked at exactly one account, the first that blocks its head. Whatever may change
whose turn it is there (a return, time, another limit, somebody parked or gone) stirs that account; before an event
ends, every stirred account is pumped: its best queue is tried, and either goes or parks elsewhere, until nobody's
best fits. One that asks for more than a lowered limit has is passed until the limit is raised.

A part of :class:`~proxy.admission.pool.Pool`, whose invariants hold here too.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Final

from proxy.admission.accounts import Account, GateAccount
from proxy.admission.book import AccountBook
from proxy.admission.courtesy import due_back
from proxy.admission.events import Effect, Granted, Relimit
from proxy.admission.queue import Holding, Queue, Ticket
from proxy.admission.room import WaitingRoom
from proxy.admission.timers import Timers
from proxy.admission.view import TicketState
from proxy.domain.ids import GATE, Instant, LimitName, Scope, Seconds

_HOLDING: Final = TicketState.HOLDING


class Turns:
    """Takes seats for tickets and gives them back. ``calm`` is the last of every event."""

    def __init__(self, book: AccountBook, room: WaitingRoom, timers: Timers) -> None:
        self._book = book
        self._room = room
        self._timers = timers
        self._stirred: list[Account] = []
        self.effects: list[Effect] = []
        """What came of the event so far, in order; every event begins a list of its own."""

    # -- places -------------------------------------------------------------------------------------
    def remove(self, ticket: Ticket) -> None:
        """Take a ticket out of its queue. A parked head is unparked; the caller reconsiders the queue."""
        queue = ticket.queue
        if queue.parked_at is not None and queue.parked_for == ticket.seq:
            self._unpark(queue)
        self._room.remove(ticket)

    def reconsider(self, queue: Queue, now: Instant) -> None:
        """After a change: the heads go while they can, then the next is parked where it is blocked."""
        parked = queue.parked_at
        if parked is not None and (queue.parked_for != queue.head.seq or parked is queue.courtesy):
            self._unpark(queue)
        while queue.ready and queue.parked_at is None:
            blocker = self.blocker(queue.head, now)
            if blocker is None:
                head = queue.head
                self.remove(head)
                self.grant(head, now)
            else:
                self._park(queue, blocker)

    # -- granting -----------------------------------------------------------------------------------
    def blocker(self, ticket: Ticket, now: Instant, chosen: Account | None = None) -> Account | None:
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
        return self._courtesy(ticket, now)

    def _courtesy(self, ticket: Ticket, now: Instant) -> Account | None:
        """Where a ticket that could go waits for an older place that is due back about now."""
        queue = ticket.queue
        until = due_back(queue, ticket, now) if queue.away else None
        if until is None:
            return None
        if queue.courtesy is None:
            queue.courtesy = GateAccount(GATE, Scope(queue.tenant))
        queue.courtesy.open_at = until
        return queue.courtesy

    def _park(self, queue: Queue, account: Account) -> None:
        account.park(queue)
        queue.parked_at, queue.parked_for = account, queue.head.seq
        self.stir(account)

    def _unpark(self, queue: Queue) -> None:
        account = queue.parked_at
        assert account is not None, "only parked queues are unparked"
        account.unpark(queue)
        queue.parked_at = None
        self.stir(account)

    def stir(self, account: Account) -> None:
        """Somebody at this account may go now; who, is decided when the event's own changes are made."""
        if not account.stirred:
            account.stirred = True
            self._stirred.append(account)

    def calm(self, now: Instant) -> None:
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
            blocker = self.blocker(queue.head, now, chosen=account)
            if blocker is None:
                head = queue.head
                self.remove(head)
                self.grant(head, now)
                self.reconsider(queue, now)
            else:
                self._park(queue, blocker)
        if account.parked:
            self._timers.alarm(account)
        else:
            account.settle()

    def grant(self, ticket: Ticket, now: Instant) -> None:
        """All that a ticket needs, to one that is in no queue."""
        queue = ticket.queue
        ticket.state = _HOLDING
        ticket.granted = now
        ticket.departed = False
        for need in ticket.needs:
            account = self._book.account(need)
            charged = account.take(queue.tenant, ticket.weight, need.cost, now)
            ticket.holdings.append((account, need.cost, charged))
            if account.parked:
                self.stir(account)
        queue.holding += 1
        queue.dispatched(now)
        self.effects.append(Granted(ticket.id, ticket.visit))

    def departs(self, ticket: Ticket | None, now: Instant) -> None:
        """What a holder took is sent upstream: rates count from now."""
        if ticket is None or ticket.state is not _HOLDING or ticket.departed:
            return
        ticket.departed = True
        for account, _, _ in ticket.holdings:
            account.departs(now)
            self._timers.alarm(account)

    def give_back(self, ticket: Ticket, now: Instant) -> None:
        """All that a ticket holds."""
        holdings, ticket.holdings = ticket.holdings, []
        ticket.queue.holding -= 1
        self._return(ticket, holdings, now)

    def keep(self, ticket: Ticket, limits: Set[LimitName], now: Instant) -> None:
        """All that a ticket holds but the seats of some limits, which are given back later."""
        given = [holding for holding in ticket.holdings if holding[0].limit not in limits]
        ticket.holdings = [holding for holding in ticket.holdings if holding[0].limit in limits]
        self._return(ticket, given, now)

    def _return(self, ticket: Ticket, holdings: Iterable[Holding], now: Instant) -> None:
        elapsed = Seconds(now - ticket.granted)
        for account, cost, charged in holdings:
            account.give(ticket.queue.tenant, cost, charged, elapsed)
            if not ticket.departed:
                account.forgone()
            if account.parked:
                self.stir(account)
        self._book.sweep(now)

    def relimit(self, event: Relimit, now: Instant) -> None:
        """Follow new limits; whoever was parked at an account that is no more is tried again."""
        changed, gone = self._book.relimit(event.limits, now)
        for account in changed:
            if account.parked:
                self.stir(account)
        for queue in [queue for account in gone for queue in account.queues()]:
            if queue.parked_at in gone:
                self._unpark(queue)
                self.reconsider(queue, now)
