"""Accounts: what one scope has of one limit, and which queues are blocked on it.

Three kinds share one shape. **Seats** are held and given back; a **rate** lets one through per interval;
a **gate** is shut until an upstream's ``Retry-After`` is over. A queue whose head cannot go is *parked*
at exactly one account: the first that blocks it. So the account always knows whom to try next, and a
tenant at its own cap is never looked at while a shared account is being given out.

Who is next among the parked tenants:

* seats: whoever holds the least by its weight (max-min: peers.md §5.1), where every head fits into its tenant's
  guaranteed part ``seats·weight/Σweight`` of the tenants active here. Where one does not (more tenants than seats, a
  small weight, a wide request), max-min would starve it: then only those below their parts go by max-min, and
  what is left over goes by start-time fair queueing on seat-seconds, charged with an estimate at the grant and
  corrected at the return (APF). A wide head that has its turn by tag keeps it until its seats are gathered.
* rates: start-time fair queueing, one unit per grant.
* gates: the oldest head.

The order itself is :mod:`proxy.admission.shares`. Nothing reads a clock; ``now`` comes in.
"""

from __future__ import annotations

import heapq
from typing import Final

from proxy.admission.queue import Queue, Ticket
from proxy.admission.shares import Share, Shares
from proxy.domain.ids import Instant, LimitName, Scope, Seconds, TenantName

_EPSILON: Final = 1e-9
RATE_GUARD: Final = 1.02
"""Intervals are kept 2% longer than asked: the far side counts arrivals, and a request that was delayed on
its way would otherwise make one too many in some window. What delays it before it is sent is known, and counted."""
_ROUNDING: Final = 1e-6
"""Seconds; a sum of intervals may miss a moment by less. It is taken from the guard, never from the rate."""
_MEAN_WEIGHT: Final = 0.1
"""How much a new holding time moves the estimate (EWMA)."""


class Account(Shares):
    """The common part. ``stirred`` is the pool's note that somebody here may go now, ``alarm`` when it is woken."""

    __slots__ = ("alarm", "limit", "scope", "stirred")

    def __init__(self, limit: LimitName, scope: Scope) -> None:
        super().__init__()
        self.limit = limit
        self.scope = scope
        self.stirred = False
        self.alarm: Instant | None = None

    def fits(self, cost: int, now: Instant) -> bool:
        """Whether so much could be taken now."""
        raise NotImplementedError

    def opens_at(self) -> Instant | None:
        """When time alone will make room; None where only a return does."""
        raise NotImplementedError

    def take(self, tenant: TenantName, weight: float, cost: int, now: Instant) -> float:
        """Take; returns what was charged, to be handed back with ``give``."""
        raise NotImplementedError

    def give(self, tenant: TenantName, cost: int, charged: float, elapsed: Seconds) -> None:
        """Give back what was taken ``elapsed`` seconds ago. Rates and gates have nothing to give back."""

    def departs(self, now: Instant) -> None:
        """What was taken once is sent now. Only rates count sending."""

    def forgone(self) -> None:
        """What was taken once will not be sent."""

    def pace(self, tenant: TenantName) -> float | None:
        """Grants per second this tenant may expect here, None where nothing is known."""
        return None

    def idle(self, now: Instant) -> bool:
        """Whether forgetting this account would change nothing."""
        raise NotImplementedError

    def prefers(self, ticket: Ticket) -> bool:
        """Whether this ticket would be next, were its queue parked here for it."""
        asking = _Asking(ticket)
        self.park(asking)
        best = self.best()
        self.unpark(asking)
        return best is asking

    def reserve(self, queue: Queue) -> None:
        """The best queue here does not fit: whether room is kept for it whoever comes meanwhile."""

    def queues(self) -> list[Queue]:
        """Every queue parked here."""
        return [queue for share in self.active.values() for queue in share.parked]


class _Asking(Queue):
    """A queue of one ticket, to ask what would be if it were parked."""

    __slots__ = ("_ticket",)

    def __init__(self, ticket: Ticket) -> None:
        super().__init__(ticket.queue.tenant, ticket.queue.route)
        self._ticket = ticket

    @property
    def head(self) -> Ticket:
        return self._ticket


class SeatAccount(Account):
    """So many at once. ``seats`` may change at any time; lowering it below ``held`` drains by attrition."""

    __slots__ = ("_asks", "_by_ratio", "_reserved", "held", "mean", "seats")

    def __init__(self, limit: LimitName, scope: Scope, seats: float) -> None:
        super().__init__(limit, scope)
        self.seats = seats
        self.held = 0
        self.mean: float | None = None
        """Estimated holding time in seconds."""
        self._by_ratio: list[tuple[float, float, int, int, Share]] = []
        self._asks: dict[float, int] = {}
        """What the parked heads ask for, each by its weight, and how many ask so."""
        self._reserved: Queue | None = None

    def fits(self, cost: int, now: Instant) -> bool:
        return self.held + cost <= self.seats

    def opens_at(self) -> Instant | None:
        return None

    def set_seats(self, seats: float) -> None:
        """New numbers from now on. Whoever asks for more than there are is passed until there are more again."""
        self.seats = seats
        self._reserved = None
        for share in self.active.values():
            self.restate(share)

    def take(self, tenant: TenantName, weight: float, cost: int, now: Instant) -> float:
        share = self.share(tenant, weight)
        self.held += cost
        share.held += cost
        if not self.busy:
            return 0.0
        charged = cost * (self.mean or 1.0)
        self.charge(share, charged)
        self.restate(share)
        return charged

    def give(self, tenant: TenantName, cost: int, charged: float, elapsed: Seconds) -> None:
        share = self.active[tenant]
        self.held -= cost
        share.held -= cost
        if charged:
            share.finish += (cost * elapsed - charged) / share.weight
        self.mean = elapsed if self.mean is None else self.mean + _MEAN_WEIGHT * (elapsed - self.mean)
        if self.busy:
            self.restate(share)
        elif not share.held:
            self._deactivate(share)

    def pace(self, tenant: TenantName) -> float | None:
        share = self.active.get(tenant)
        if share is None or not self.mean or self.seats <= 0:
            return None
        return self.seats * share.weight / self.weights / self.mean

    def idle(self, now: Instant) -> bool:
        return not self.held and not self.parked

    def first(self, share: Share) -> Queue | None:
        first = super().first(share)
        if first is None or first.head.cost_of(self) <= self.seats:
            return first
        fitting = [queue for queue in share.parked if queue.head.cost_of(self) <= self.seats]
        return min(fitting, key=lambda queue: queue.head.seq, default=None)

    def best(self) -> Queue | None:
        if self._reserved is not None:
            return self._reserved
        share = self._least()
        return super().best() if share is None else self.first(share)

    def reserve(self, queue: Queue) -> None:
        """A wide head whose turn it is keeps its turn. Else those within their guaranteed parts would, one after the
        other, take every seat that it gathers."""
        if queue.head.cost_of(self) > 1 and self._least() is None:
            self._reserved = queue

    def unpark(self, queue: Queue) -> None:
        if queue is self._reserved:
            self._reserved = None
        super().unpark(queue)

    def restate(self, share: Share) -> None:
        if share.ask:
            self._note(share.ask, -1)
            share.ask = 0.0
        super().restate(share)

    def _note(self, ask: float, number: int) -> None:
        number += self._asks.get(ask, 0)
        if number:
            self._asks[ask] = number
        else:
            del self._asks[ask]

    def _least(self) -> Share | None:
        """The least share, if max-min is fair to everybody or it is below its guaranteed part."""
        heap = self._by_ratio
        while heap and heap[0][3] != heap[0][4].version:
            heapq.heappop(heap)
        if not heap:
            return None
        part = (self.seats + _EPSILON) / self.weights
        return heap[0][4] if heap[0][0] <= part or max(self._asks) <= part else None

    def rank(self, share: Share, queue: Queue) -> None:
        super().rank(share, queue)
        head = queue.head
        cost = head.cost_of(self)
        share.ask = cost / share.weight
        self._note(share.ask, 1)
        ratio = (share.held + cost) / share.weight
        heapq.heappush(self._by_ratio, (ratio, share.start, head.seq, share.version, share))
        if len(self._by_ratio) > 64 + 4 * len(self.active):
            self._by_ratio = [item for item in self._by_ratio if item[3] == item[4].version]
            heapq.heapify(self._by_ratio)

    def settle(self) -> None:
        super().settle()
        self._by_ratio.clear()


class RateAccount(Account):
    """One per interval, with a burst: GCRA. ``due`` is the theoretical arrival time of the next request.

    A grant counts from its own moment until the request is really sent, and then from that one: whatever delays it in
    this process (a busy loop, a connection to be made) moves the next ones too, and no window holds one too many.
    """

    __slots__ = ("_interval", "_pending", "_sent", "burst", "due")

    def __init__(self, limit: LimitName, scope: Scope, per_second: float, burst: int) -> None:
        super().__init__(limit, scope)
        self.due = Instant(float("-inf"))
        self.burst = burst
        self._interval = RATE_GUARD / per_second
        self._sent = Instant(float("-inf"))
        """What ``due`` would be had only what is sent by now been let through."""
        self._pending = 0
        """Grants that are not sent yet."""

    def set_rate(self, per_second: float, burst: int, now: Instant) -> None:
        """New numbers from now on; what was let through stays counted, in requests and not in seconds."""
        interval = RATE_GUARD / per_second
        if self.due > now:
            self.due = Instant(now + (self.due - now) * interval / self._interval)
        if self._sent > now:
            self._sent = Instant(now + (self._sent - now) * interval / self._interval)
        self.burst = burst
        self._interval = interval

    def fits(self, cost: int, now: Instant) -> bool:
        return now + min(_ROUNDING, (RATE_GUARD - 1) / 2 * self._interval) >= self.opens_at()

    def opens_at(self) -> Instant:
        return Instant(self.due - (self.burst - 1) * self._interval)

    def take(self, tenant: TenantName, weight: float, cost: int, now: Instant) -> float:
        self.due = Instant(max(self.due, now) + self._interval)
        self._pending += 1
        if self.busy:
            share = self.share(tenant, weight)
            self.charge(share, 1.0)
            self.restate(share)
        return 0.0

    def departs(self, now: Instant) -> None:
        self._pending -= 1
        self._sent = Instant(max(self._sent, now) + self._interval)
        self.due = Instant(max(self.due, self._sent + self._pending * self._interval))

    def forgone(self) -> None:
        self._pending -= 1

    def lacking(self, now: Instant) -> float:
        """How much of the burst is used up at this moment."""
        if not self._interval:
            return 0.0
        return min(float(self.burst), max(0.0, (self.due - now) / self._interval))

    def pace(self, tenant: TenantName) -> float | None:
        share = self.active.get(tenant)
        if share is None or not self._interval:
            return None
        return share.weight / self.weights / self._interval

    def idle(self, now: Instant) -> bool:
        return not self.parked and not self._pending and self.due <= now


class GateAccount(Account):
    """Shut until a moment an upstream named. Nothing is charged here, so that the oldest head goes first."""

    __slots__ = ("open_at",)

    def __init__(self, limit: LimitName, scope: Scope) -> None:
        super().__init__(limit, scope)
        self.open_at = Instant(float("-inf"))

    def fits(self, cost: int, now: Instant) -> bool:
        return now >= self.open_at

    def opens_at(self) -> Instant:
        return self.open_at

    def take(self, tenant: TenantName, weight: float, cost: int, now: Instant) -> float:
        return 0.0

    def idle(self, now: Instant) -> bool:
        return not self.parked and now >= self.open_at
