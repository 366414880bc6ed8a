"""What may be known of pools without changing them: who waits, for what, how long to go. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from proxy.domain.ids import LimitName, RouteName, Scope, Seconds, TenantName, TicketId


class TicketState(Enum):
    """How far a ticket has got."""

    WAITING = "waiting"
    """A caller is connected and waits for its turn (or rests between two tries)."""
    LINGERING = "lingering"
    """The place is kept; nobody is connected."""
    HOLDING = "holding"


@dataclass(frozen=True, slots=True)
class TicketView:
    """One ticket as of now. ``position`` counts from 1 (= next); 0 and ``blocker`` None once holding."""

    ticket: TicketId
    tenant: TenantName
    route: RouteName
    state: TicketState
    position: int
    eta: Seconds | None
    blocker: LimitName | None
    waited: Seconds
    attempt: int


@dataclass(frozen=True, slots=True)
class LimitView:
    """One account of a limit. For rates ``held`` is what the bucket lacks and ``limit`` its burst."""

    name: LimitName
    scope: Scope
    held: float
    limit: float


@dataclass(frozen=True, slots=True)
class QueueView:
    """One tenant's queue in one route."""

    route: RouteName
    tenant: TenantName
    waiting: int
    lingering: int


@dataclass(frozen=True, slots=True)
class StoreView:
    """Every pool of a store at one moment. ``tickets`` is bounded by what the caller asked for."""

    limits: tuple[LimitView, ...]
    queues: tuple[QueueView, ...]
    tickets: tuple[TicketView, ...]
