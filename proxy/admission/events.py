"""Everything that can happen to a pool, and everything it can decide. Values that nobody changes; no behaviour.

Those that every request makes are not frozen, only because a frozen one takes three times as long to make.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import Enum

from proxy.domain.ids import LimitName, RouteName, Scope, Seconds, TenantName, TicketId, VisitId


@dataclass(slots=True)
class Need:
    """What a ticket takes of one limit: ``cost`` seats of the account ``scope`` (a rate always takes 1)."""

    limit: LimitName
    scope: Scope
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many may wait in a route; kept places have the same bounds again."""

    per_tenant: int
    total: int


@dataclass(slots=True)
class Arrive:
    """A caller arrives at a route, for the first time or again.

    Again: ``claims`` names its ticket, or ``identity`` (its key's digest, or what method, target and body are)
    fits a place that lingers; the oldest such place is taken back. ``ticket`` is the name a new place gets.
    ``gate`` is the account of upstream hints it shares; ``refuse_early`` refuses where the ETA is beyond patience
    and linger.
    """

    ticket: TicketId
    visit: VisitId
    tenant: TenantName
    route: RouteName
    needs: tuple[Need, ...]
    weight: float
    patience: Seconds
    linger: Seconds
    bounds: Bounds
    gate: Scope
    claims: TicketId | None = None
    identity: bytes | None = None
    refuse_early: bool = False


@dataclass(slots=True)
class Leave:
    """The visit is over: a waiting place is gone, held seats are free. Unknown or past visits are silence."""

    ticket: TicketId
    visit: VisitId


@dataclass(frozen=True, slots=True)
class Keep:
    """The visit's request is over: what it holds of these limits stays held until it leaves, the rest is free.

    Said again: the same, with what is left. From those who hold nothing: silence.
    """

    ticket: TicketId
    visit: VisitId
    limits: Set[LimitName]


@dataclass(slots=True)
class Departs:
    """What the visit was granted is sent upstream now; for those who need a rate. Again, or unknown: silence."""

    ticket: TicketId
    visit: VisitId


@dataclass(frozen=True, slots=True)
class RetryLater:
    """A holder gives its seats back and waits again at its old place, but not within ``rest`` seconds."""

    ticket: TicketId
    visit: VisitId
    rest: Seconds


@dataclass(frozen=True, slots=True)
class CloseGate:
    """An upstream said when to come back; a shorter time than one already in force changes nothing."""

    scope: Scope
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Relimit:
    """New limits. Raised ones wake waiters at once, lowered ones drain; nobody is evicted."""

    limits: Mapping[LimitName, LimitSpec]


@dataclass(frozen=True, slots=True)
class Evict:
    """An operator ends a waiting or lingering ticket."""

    ticket: TicketId


@dataclass(frozen=True, slots=True)
class Drain:
    """Everybody who waits is refused now, and whoever arrives or has to try again from now on."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: rates refill, gates open, patience and linger end."""


Event = Arrive | Leave | Keep | Departs | RetryLater | CloseGate | Relimit | Evict | Drain | Tick


@dataclass(frozen=True, slots=True)
class LimitSpec:
    """A limit as the pool needs it: seats, or a rate per second with its burst; and who has other numbers.

    ``own_seats`` and ``own_rates`` are by scope name or pattern (``batch-*``), exact names first.
    """

    seats: int | None = None
    per_second: float | None = None
    burst: int = 1
    own_seats: Mapping[str, int] = field(default_factory=dict)
    own_rates: Mapping[str, float] = field(default_factory=dict)


class Why(Enum):
    """Why a ticket was refused."""

    PATIENCE = "patience over"
    FULL_TENANT = "the tenant's queue is full"
    FULL_TOTAL = "the route's queue is full"
    EARLY = "would wait too long"
    NEVER_FITS = "asks for more than the limit has"
    EVICTED = "ended by an operator"
    DRAINING = "this process is leaving"
    SUPERSEDED = "another connection presented the ticket"


@dataclass(slots=True)
class Granted:
    """The visit holds all its seats from now on."""

    ticket: TicketId
    visit: VisitId


@dataclass(frozen=True, slots=True)
class Waits:
    """The visit waits at this ticket (an older one where it came back)."""

    ticket: TicketId
    visit: VisitId


@dataclass(frozen=True, slots=True)
class Refused:
    """The visit is over. ``kept`` tells whether its place lingers; ``number`` and ``bound`` explain it."""

    ticket: TicketId
    visit: VisitId
    why: Why
    blocker: LimitName
    kept: bool
    position: int
    waited: Seconds
    retry_after: Seconds
    number: int = 0
    bound: int = 0


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A place that lingered is gone."""

    ticket: TicketId


Effect = Granted | Waits | Refused | Lapsed
