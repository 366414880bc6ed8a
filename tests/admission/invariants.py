"""The named invariants of :mod:`proxy.admission.pool`, recomputed from the tickets alone.

Nothing here trusts a counter, a heap or a version of the pool's: what is held, who is parked where and whose turn it
is are counted anew from the tickets and queues (of the shares only the start tags are read).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Set

from proxy.admission.accounts import Account, GateAccount, RateAccount, SeatAccount
from proxy.admission.events import Drain, Effect, Event, Evict, Granted, Keep, Leave, Relimit, RetryLater
from proxy.admission.pool import Pool
from proxy.admission.queue import Queue, Ticket
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant, LimitName, TenantName, TicketId

RETURNS = (RetryLater,)
"""Events after which a position may grow: an older ticket comes back to its place."""


class Watch:
    """Checks one pool after every step; remembers what only a comparison with the step before can show."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._held: dict[int, int] = {}
        self._positions: dict[TicketId, int] = {}
        self._grants: dict[int, list[Instant]] = defaultdict(list)
        self._rates: dict[int, RateAccount] = {}
        self._peak = 0
        self._kept: dict[TicketId, Set[LimitName]] = {}
        """What tickets keep whose requests are over."""

    def check(self, event: Event, effects: Iterable[Effect], now: Instant) -> None:
        """All of them."""
        self._cap()
        self._conservation()
        self._work_conserving(now)
        self._all_or_none(event)
        self._gone(event)
        self._places()
        self._order(effects)
        self._positions_never_grow(event)
        self._paced(event, effects, now)

    # -- I1, I2 -------------------------------------------------------------------------------------
    def _cap(self) -> None:
        """I1: above its limit an account only drains."""
        for account in accounts(self.pool):
            if isinstance(account, SeatAccount):
                before = self._held.get(id(account), 0)
                assert account.held <= account.seats or account.held <= before, f"I1: {account.limit} over its cap"
                self._held[id(account)] = account.held

    def _conservation(self) -> None:
        """I2: an account holds what its tickets hold, tenant by tenant, and is idle when nobody is here."""
        held = held_by_tenant(self.pool)
        for account in accounts(self.pool):
            mine = held[id(account)]
            parked = parked_at(self.pool, account)
            assert account.parked == len(parked), f"I2: {account.limit} counts {account.parked} parked queues"
            assert sorted(map(id, account.queues())) == sorted(map(id, parked)), "I2: parked somewhere else"
            tenants = {tenant for tenant, number in mine.items() if number} | {queue.tenant for queue in parked}
            if isinstance(account, SeatAccount):
                assert account.held == sum(mine.values()), f"I2: {account.limit} does not hold what its tickets hold"
                assert {t: s.held for t, s in account.active.items() if s.held} == {t: n for t, n in mine.items() if n}
            assert set(account.active) == tenants, f"I2: {account.limit} remembers who is gone"
            weights = sum(share.weight for share in account.active.values())
            assert abs(account.weights - weights) < 1e-6, "I2: weights do not add up"
            assert account.busy or not parked, "I2: parked, and not busy"
            assert parked or not account.busy, "I2: an account that nobody waits for is settled"

    # -- I3 -----------------------------------------------------------------------------------------
    def _work_conserving(self, now: Instant) -> None:
        """I3: who is first by the rule at its account does not fit there, and nobody waits but behind such a one."""
        for queue in queues(self.pool):
            if not queue.ready:
                assert queue.parked_at is None, "I3: parked for nobody"
                continue
            assert queue.parked_at is not None, f"I3: {queue.head.id} could be tried and is not parked"
            assert queue.parked_for == queue.head.seq, "I3: parked for another head"
            if queue.parked_at is queue.courtesy:
                assert is_due_back(queue, now), f"I3: {queue.head.id} lets nobody go first"
        for account in accounts(self.pool):
            first = first_by_rule(self.pool, account)
            if first is not None:
                fits = room(account, now) >= cost(first, account)
                assert not fits, f"I3: {first.id} waits for {account.limit}, which has room for it"

    # -- I5, I6 -------------------------------------------------------------------------------------
    def _all_or_none(self, event: Event) -> None:
        """I5: all its needs while it holds, none while it waits; what it keeps once its request is over."""
        for ticket in self.pool._tickets.values():
            kept = self._kept.get(ticket.id)
            if isinstance(event, Keep) and ticket.state is TicketState.HOLDING and ticket.visit == event.visit:
                kept = self._kept[ticket.id] = event.limits & (event.limits if kept is None else kept)
            holdings = [(account.limit, account.scope, number) for account, number, _ in ticket.holdings]
            needs = [(n.limit, n.scope, n.cost) for n in ticket.needs if kept is None or n.limit in kept]
            assert holdings == (needs if ticket.state is TicketState.HOLDING else []), f"I5: {ticket.id}"

    def _gone(self, event: Event) -> None:
        """I6: whoever left or was evicted is nowhere; after a drain nobody waits."""
        if isinstance(event, Leave):
            ticket = self.pool._tickets.get(event.ticket)
            assert ticket is None or ticket.visit != event.visit, "I6: left, and still here"
        elif isinstance(event, Evict):
            assert self.pool.holds(event.ticket) or event.ticket not in self.pool._tickets, "I6: evicted, and here"
        if isinstance(event, Drain) or self.pool._draining:
            assert all(t.state is not TicketState.WAITING for t in self.pool._tickets.values()), "I11: waits on"

    # -- I13, Q1-Q3 ---------------------------------------------------------------------------------
    def _places(self) -> None:
        """I13, Q1, Q3: every waiting ticket is in its queue once, on the right side; the counts are right."""
        pool = self.pool
        connected: dict[str, int] = defaultdict(int)
        kept: dict[str, int] = defaultdict(int)
        expected: dict[int, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for ticket in pool._tickets.values():
            if ticket.state is TicketState.HOLDING:
                continue
            away = ticket.state is TicketState.LINGERING or ticket.resting
            expected[id(ticket.queue)][away].append(ticket.seq)
            (kept if ticket.state is TicketState.LINGERING else connected)[ticket.queue.route] += 1
        for queue in queues(pool):
            ready, away_ = expected.pop(id(queue), ([], []))
            assert queue.ready == sorted(ready), "Q3: ready"
            assert queue.away == sorted(away_), "Q3: away"
            mine = [t for t in pool._tickets.values() if t.queue is queue]
            lingering = [t for t in mine if t.state is TicketState.LINGERING]
            waiting = [t for t in mine if t.state is TicketState.WAITING]
            assert (queue.connected, queue.kept) == (len(waiting), len(lingering)), "I13: counts"
            assert queue.holding == len(mine) - len(waiting) - len(lingering), "I13: holders"
            for ticket in lingering:
                assert len(lingering) <= ticket.bounds.per_tenant, "I13: kept places"
            first_tries = [t for t in waiting if t.attempt == 1]
            assert len(first_tries) <= max((t.bounds.per_tenant for t in waiting), default=0), "I13: per tenant"
        assert not expected, "Q1: a ticket waits in a queue that the pool does not know"
        assert pool._room._connected == dict(connected), "I13: callers of a route"
        assert pool._room._kept == dict(kept), "I13: kept places of a route"
        lingering = [t for t in pool._tickets.values() if t.state is TicketState.LINGERING and t.identity is not None]
        assert len(pool._room._places) == len(lingering), "I6: a kept place that is gone can be found"
        self._peak = max(self._peak, len(pool._tickets))
        assert len(pool._timers) <= 257 + 4 * self._peak, "I13: timers"

    def _order(self, effects: Iterable[Effect]) -> None:
        """First come, first served: nobody ready in a queue is older than what was granted from it just now."""
        for effect in effects:
            if isinstance(effect, Granted):
                ticket = self.pool._tickets.get(effect.ticket)
                if ticket is not None and ticket.state is TicketState.HOLDING and ticket.queue.ready:
                    assert ticket.queue.ready[0] > ticket.seq, f"FIFO: {ticket.id} overtook {ticket.queue.head.id}"

    def _positions_never_grow(self, event: Event) -> None:
        """Q2."""
        positions = {
            ticket.id: ticket.queue.position(ticket)
            for ticket in self.pool._tickets.values()
            if ticket.state is not TicketState.HOLDING
        }
        if not isinstance(event, RETURNS):
            for id, position in positions.items():
                assert position <= self._positions.get(id, position), f"Q2: {id} fell back"
        self._positions = positions

    # -- rates ----------------------------------------------------------------------------------------
    def _paced(self, event: Event, effects: Iterable[Effect], now: Instant) -> None:
        """At most b + r·t requests in any t, counted here; a change of limits starts the count anew."""
        if isinstance(event, Relimit):
            self._grants.clear()
        spec = self.pool._book._limits
        for effect in effects:
            ticket = self.pool._tickets.get(effect.ticket) if isinstance(effect, Granted) else None
            for account, _, _ in [] if ticket is None else ticket.holdings:
                if not isinstance(account, RateAccount) or account.limit not in spec:
                    continue
                per_second, burst = spec[account.limit].per_second, spec[account.limit].burst
                if per_second is None or spec[account.limit].own_rates:
                    continue
                grants = self._grants[id(account)]
                grants.append(now)
                self._rates[id(account)] = account  # keeps it alive: an id must not be used again
                for index, then in enumerate(grants):
                    number = len(grants) - index
                    assert number <= burst + per_second * (now - then) + 1e-6, f"rate: {number} in {now - then}"


# -- counted anew ---------------------------------------------------------------------------------------
def accounts(pool: Pool) -> list[Account]:
    """Every account that is in the book, or held, or waited for."""
    found: dict[int, Account] = {id(account): account for account in pool._book.accounts()}
    found |= {id(gate): gate for gate in pool._book.gates.values()}
    for ticket in pool._tickets.values():
        found |= {id(account): account for account, _, _ in ticket.holdings}
    found |= {id(queue.parked_at): queue.parked_at for queue in queues(pool) if queue.parked_at is not None}
    return list(found.values())


def queues(pool: Pool) -> list[Queue]:
    """Every queue, those too that only a ticket knows."""
    found = {id(queue): queue for queue in pool._room.queues()}
    found |= {id(ticket.queue): ticket.queue for ticket in pool._tickets.values()}
    return list(found.values())


def held_by_tenant(pool: Pool) -> dict[int, dict[TenantName, int]]:
    """What each account's tickets hold."""
    held: dict[int, dict[TenantName, int]] = defaultdict(lambda: defaultdict(int))
    for ticket in pool._tickets.values():
        for account, number, _ in ticket.holdings:
            if isinstance(account, SeatAccount):
                held[id(account)][ticket.queue.tenant] += number
    return held


def parked_at(pool: Pool, account: Account) -> list[Queue]:
    return [queue for queue in queues(pool) if queue.parked_at is account]


def cost(ticket: Ticket, account: Account) -> int:
    return next((n.cost for n in ticket.needs if (n.limit, n.scope) == (account.limit, account.scope)), 1)


def room(account: Account, now: Instant) -> float:
    """How much of an account could be taken now."""
    if isinstance(account, SeatAccount):
        return account.seats - account.held
    if isinstance(account, GateAccount):
        return float("inf") if now >= account.open_at else 0.0
    assert isinstance(account, RateAccount)
    return float("inf") if now >= account.due - (account.burst - 1) * account._interval else 0.0


def first_by_rule(pool: Pool, account: Account) -> Ticket | None:
    """Whose turn it is at an account: by least share, where fair or below the guaranteed part; else by start tag."""
    total = account.seats if isinstance(account, SeatAccount) else float("inf")
    oldest: dict[TenantName, Ticket] = {}
    for queue in parked_at(pool, account):
        head = queue.head
        if cost(head, account) <= total and (queue.tenant not in oldest or head.seq < oldest[queue.tenant].seq):
            oldest[queue.tenant] = head
    if not oldest:
        return None
    if isinstance(account, SeatAccount) and account._reserved is not None:
        assert cost(account._reserved.head, account) > 1, "only wide heads reserve"
        return account._reserved.head
    held = held_by_tenant(pool)[id(account)]
    starts = {tenant: account.active[tenant].start for tenant in oldest}
    if isinstance(account, SeatAccount):
        weights = {tenant: account.active[tenant].weight for tenant in account.active}
        total_weight = sum(weights.values())
        ratio = {t: (held.get(t, 0) + cost(head, account)) / weights[t] for t, head in oldest.items()}
        least = min(oldest, key=lambda tenant: (ratio[tenant], starts[tenant], oldest[tenant].seq))
        all_fit = all(cost(head, account) / weights[t] * total_weight <= total + 1e-9 for t, head in oldest.items())
        if all_fit or ratio[least] * total_weight <= total + 1e-9:
            return oldest[least]
    return min(oldest.values(), key=lambda head: (starts[head.queue.tenant], head.seq))


def is_due_back(queue: Queue, now: Instant) -> bool:
    """Whether an older place than the head's was told to be back within a quarter of a second of now."""
    older = [queue.at(seq) for seq in queue.away if seq < queue.head.seq]
    return any(t.state is TicketState.LINGERING and t.due - 0.25 < now < t.due + 0.25 for t in older)
