"""The queue of one tenant in one route: who waits, in which order; and the tickets in it.

Order is the order of first arrival. Nobody overtakes: a ticket that fits does not pass an earlier one that
does not, because a tenant must be able to predict its own work. Only a ticket whose owner is *away* (its place
lingers, or it rests between two tries) is passed, and finds its place again when it is back.

A queue is a value owned by its :class:`~proxy.admission.pool.Pool`; it never reads a clock.

  Q1  a ticket is in at most one queue, and never waiting and holding at once
  Q2  the position of a ticket never grows, but where an older one has to try again
  Q3  ``ready`` and ``away`` are disjoint, sorted, and hold exactly the queue's waiting tickets

Cost: O(log n) to find a position, a short memmove to leave.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import TYPE_CHECKING, Final

from proxy.admission.events import Arrive
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant, RouteName, TenantName

if TYPE_CHECKING:
    from proxy.admission.accounts import Account, GateAccount

Holding = tuple["Account", int, float]
"""What a ticket holds of one account: how much, and what was charged for it."""

_REMEMBERED: Final = 64
"""How many grants a queue remembers for its dispatch rate."""
_RATE_WINDOW: Final = 30.0
"""Seconds over which the dispatch rate is taken (peers.md §5.3)."""
_RATE_SAMPLES: Final = 5
"""Fewer grants than these tell nothing."""


class Ticket:
    """One request's place. ``deadline`` bounds the waiting; ``wake`` is when time alone changes its state."""

    __slots__ = (
        "answered",
        "attempt",
        "bounds",
        "deadline",
        "departed",
        "due",
        "gate",
        "granted",
        "holdings",
        "id",
        "identity",
        "linger",
        "needs",
        "queue",
        "resting",
        "rests_until",
        "seq",
        "since",
        "state",
        "visit",
        "wake",
        "weight",
    )

    def __init__(self, arrival: Arrive, queue: Queue, seq: int, now: Instant) -> None:
        self.id = arrival.ticket
        self.visit = arrival.visit
        self.queue = queue
        self.needs = arrival.needs
        self.weight = arrival.weight
        self.gate = arrival.gate
        self.identity = arrival.identity
        self.bounds = arrival.bounds
        self.linger = arrival.linger
        self.departed = False
        """While it holds: whether what it was granted was sent."""
        self.since = now
        """The first arrival."""
        self.granted = now
        self.deadline = self.wake = Instant(now + arrival.patience)
        self.due = Instant(float("-inf"))
        """While it lingers: when its owner was told to be back."""
        self.state = TicketState.WAITING
        self.rests_until = now
        """Not granted again before this, whoever presents the ticket."""
        self.resting = False
        self.attempt = 1
        self.seq = seq
        """Its age among all tickets of the pool; kept over retries and returns."""
        self.holdings: list[Holding] = []
        self.answered = False
        """Its request is over; what it holds still is what outlives that."""

    def renew(self, arrival: Arrive) -> None:
        """Another request waits here from now on: what it needs may differ from what the one before needed."""
        self.visit = arrival.visit
        self.needs = arrival.needs
        self.weight = arrival.weight
        self.gate = arrival.gate
        if arrival.identity is not None:
            self.identity = arrival.identity

    def cost_of(self, account: Account) -> int:
        """What it takes of an account."""
        for need in self.needs:
            if need.limit == account.limit and need.scope == account.scope:
                return need.cost
        return 1


class Queue:
    """One tenant's queue in one route. ``parked_at`` is the account that blocks its head, if it has one."""

    __slots__ = (
        "_grants",
        "_tickets",
        "away",
        "connected",
        "courtesy",
        "holding",
        "kept",
        "parked_at",
        "parked_for",
        "ready",
        "route",
        "tenant",
    )

    def __init__(self, tenant: TenantName, route: RouteName) -> None:
        self.tenant = tenant
        self.route = route
        self.ready: list[int] = []
        self.away: list[int] = []
        self.connected = 0
        """Callers that wait now (resting ones too)."""
        self.kept = 0
        """Places that linger."""
        self.holding = 0
        """Grants that are held still: who tries again comes back here."""
        self.courtesy: GateAccount | None = None
        """Where it is parked while its head lets an older place go first; made when first needed."""
        self.parked_at: Account | None = None
        self.parked_for = 0
        """The head's ``seq`` when it was parked."""
        self._tickets: dict[int, Ticket] = {}
        self._grants: deque[Instant] = deque(maxlen=_REMEMBERED)

    @property
    def head(self) -> Ticket:
        """The first ticket that could go. Only where ``ready`` is not empty."""
        return self._tickets[self.ready[0]]

    def at(self, seq: int) -> Ticket:
        """The ticket of this age."""
        return self._tickets[seq]

    def enter(self, ticket: Ticket) -> None:
        """Take its place, by age; resting and lingering tickets are away."""
        self._tickets[ticket.seq] = ticket
        away = ticket.resting or ticket.state is TicketState.LINGERING
        insort(self.away if away else self.ready, ticket.seq)
        if ticket.state is TicketState.LINGERING:
            self.kept += 1
        else:
            self.connected += 1

    def remove(self, ticket: Ticket) -> None:
        """Leave the place; the ticket's state must still be the one it entered with."""
        away = ticket.resting or ticket.state is TicketState.LINGERING
        places = self.away if away else self.ready
        del places[bisect_left(places, ticket.seq)]
        del self._tickets[ticket.seq]
        if ticket.state is TicketState.LINGERING:
            self.kept -= 1
        else:
            self.connected -= 1

    def __len__(self) -> int:
        return len(self._tickets)

    def position(self, ticket: Ticket) -> int:
        """1 for the next; kept places count, so that it never grows."""
        return bisect_left(self.ready, ticket.seq) + bisect_left(self.away, ticket.seq) + 1

    def dispatched(self, now: Instant) -> None:
        """Remember a grant, for the dispatch rate."""
        self._grants.append(now)

    def dispatch_rate(self, now: Instant) -> float | None:
        """Grants per second over the last half minute; None where too few are known."""
        grants = self._grants
        while grants and grants[0] < now - _RATE_WINDOW:
            grants.popleft()
        if len(grants) < _RATE_SAMPLES or now <= grants[0]:
            return None
        return len(grants) / (now - grants[0])
