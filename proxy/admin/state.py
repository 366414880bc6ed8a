"""What ``/api/v1/state`` says: the store's view and what this process is. Read by ``headgate status`` too."""

from __future__ import annotations

import msgspec


class LimitState(msgspec.Struct, frozen=True):
    """One account of a limit."""

    name: str
    scope: str
    held: float
    limit: float


class QueueState(msgspec.Struct, frozen=True):
    """Who waits in a route, by tenant."""

    route: str
    tenant: str
    waiting: int
    lingering: int = 0


class TicketState(msgspec.Struct, frozen=True):
    """One ticket; ``eta`` and ``waited`` in seconds, ``blocker`` null once it holds."""

    ticket: str
    tenant: str
    route: str
    state: str
    position: int
    eta: float | None
    blocker: str | None
    waited: float
    attempt: int = 1


class PolicyState(msgspec.Struct, frozen=True):
    """Which policy is in force; ``stale`` while the last file read was bad."""

    digest: str
    stale: bool


class State(msgspec.Struct, frozen=True):
    """The whole document."""

    limits: tuple[LimitState, ...]
    queues: tuple[QueueState, ...]
    tickets: tuple[TicketState, ...]
    policy: PolicyState
    version: str
    mode: str
