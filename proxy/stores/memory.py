"""The memory store: one pool in this process, driven by the loop's clock.

Visits are futures waiting for the pool's word. Every change is one synchronous ``apply``; its effects are
delivered before anything else runs, so there is no moment in which a grant is neither taken nor given back:
whoever leaves gives up whatever the pool has given it by then (I6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Set

from proxy.admission.events import (
    Arrive,
    CloseGate,
    Departs,
    Drain,
    Effect,
    Event,
    Evict,
    Granted,
    Keep,
    Lapsed,
    Leave,
    Refused,
    Relimit,
    RetryLater,
    Tick,
    Waits,
)
from proxy.admission.pool import Pool
from proxy.admission.view import StoreView, TicketView
from proxy.domain.errors import HeadgateError
from proxy.domain.ids import Instant, LimitName, Scope, Seconds, TicketId, VisitId
from proxy.policy.policyset import PolicySet
from proxy.stores.limits import limit_specs
from proxy.stores.refusals import refusal_error


class MemoryVisit:
    """A caller's presence at its ticket (see :class:`proxy.ports.Visit`)."""

    __slots__ = ("_future", "_store", "error", "granted", "id", "ticket")

    def __init__(self, store: MemoryStore, arrival: Arrive) -> None:
        self._store = store
        self._future: asyncio.Future[None] | None = None
        self.id: VisitId = arrival.visit
        self.ticket: TicketId = arrival.ticket
        self.granted = False
        self.error: HeadgateError | None = None

    async def turn(self) -> None:
        """Wait for the seats; raises when refused. Cancelled: ``leave`` gives everything back."""
        if self.granted or self.error is not None:
            self._raise()
            return
        self._future = self._store.loop.create_future()
        try:
            await self._future
        finally:
            self._future = None
        self._raise()

    def look(self) -> TicketView | None:
        """The ticket as of now; None once it is gone."""
        return self._store.look(self.ticket)

    def departs(self) -> None:
        """The request is sent at this moment."""
        self._store.post(Departs(self.ticket, self.id))

    def retry_later(self, rest: Seconds) -> None:
        """Give the seats back, keep the place; ``turn`` waits for it again."""
        self.granted = False
        self._store.post(RetryLater(self.ticket, self.id, rest))

    def keep(self, limits: Set[LimitName]) -> bool:
        """The request is over, the seats of these limits stay held; False where none do."""
        return self.granted and self._store.keep(self, limits)

    def leave(self) -> None:
        """The end; a second call does nothing."""
        self._store.depart(self)

    def settle(self, error: HeadgateError | None) -> None:
        """The pool's word: granted, or refused with an error."""
        self.granted = error is None
        self.error = error
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error


class MemoryStore:
    """One pool for all limits of a process. Not for use from several threads."""

    def __init__(self, policies: PolicySet, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._pool = Pool(Relimit(limit_specs(policies)))
        self._visits: dict[VisitId, MemoryVisit] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = Instant(float("inf"))

    def arrive(self, arrival: Arrive) -> MemoryVisit:
        """A caller arrives, or comes back. Refusals are raised by ``turn``."""
        visit = self._visits[arrival.visit] = MemoryVisit(self, arrival)
        self.post(arrival)
        return visit

    def close_gate(self, scope: Scope, seconds: Seconds) -> None:
        """Nobody of this scope goes upstream for so long."""
        self.post(CloseGate(scope, seconds))

    def reconfigure(self, policies: PolicySet) -> None:
        """Take over a new policy's limits at once."""
        self.post(Relimit(limit_specs(policies)))

    def view(self, tickets: int = 1000) -> StoreView:
        """What is held and who waits."""
        return self._pool.view(self._now(), tickets)

    def look(self, ticket: TicketId) -> TicketView | None:
        """One ticket as of now."""
        return self._pool.look(ticket, self._now())

    def evict(self, ticket: TicketId) -> bool:
        """End a waiting or lingering ticket; False where there is none."""
        if self._pool.look(ticket, self._now()) is None or self._pool.holds(ticket):
            return False
        self.post(Evict(ticket))
        return True

    def drain(self) -> None:
        """Refuse every waiter, and whoever comes from now on."""
        self.post(Drain())

    def close(self) -> None:
        """Stop the timer, for good. Waiters are not told: drain first."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, Instant(float("-inf"))

    # -- the pool's driver ------------------------------------------------------------------------
    def post(self, event: Event) -> None:
        """Let one thing happen now, deliver what follows, and set the alarm for what time will bring."""
        self._deliver(self._pool.apply(event, self._now()))
        due = self._pool.next_deadline()
        if due is not None and due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = self.loop.call_at(due, self._tick)

    def keep(self, visit: MemoryVisit, limits: Set[LimitName]) -> bool:
        """The visit's request is over; whether it is still here and anything stays held."""
        if visit.id not in self._visits:
            return False
        self.post(Keep(visit.ticket, visit.id, limits))
        return bool(limits)

    def depart(self, visit: MemoryVisit) -> None:
        """The visit is over, however far it got."""
        if self._visits.pop(visit.id, None) is not None:
            self.post(Leave(visit.ticket, visit.id))

    def _tick(self) -> None:
        self._timer = None
        self._timer_at = Instant(float("inf"))
        self.post(Tick())

    def _now(self) -> Instant:
        return Instant(self.loop.time())

    def _deliver(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Lapsed):
                continue
            visit = self._visits.get(effect.visit)
            if visit is None:
                continue
            match effect:
                case Granted():
                    visit.settle(None)
                case Waits(ticket):
                    visit.ticket = ticket
                case Refused():
                    visit.settle(refusal_error(effect))
