"""Names and units as types, so that a tenant is never passed where a ticket is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NewType

if TYPE_CHECKING:
    Seconds = NewType("Seconds", float)
    """A length of time."""

    Instant = NewType("Instant", float)
    """A moment on the store's clock, in seconds; only differences mean anything."""

    TenantName = NewType("TenantName", str)
    UpstreamName = NewType("UpstreamName", str)
    RouteName = NewType("RouteName", str)
    LimitName = NewType("LimitName", str)
    SinkName = NewType("SinkName", str)

    TicketId = NewType("TicketId", str)
    """One request's place in a pool; kept when the caller comes back for it."""

    VisitId = NewType("VisitId", int)
    """One connection's presence at a ticket: the caller who comes back is a new visit of the same ticket."""

    Scope = NewType("Scope", str)
    """Whom a limit counts: a tenant's name, a credential's hash, an upstream's name or a header's value."""
else:  # at run time they are what they hold: a NewType is a call in Python, and a request makes dozens
    Seconds = Instant = float
    TenantName = UpstreamName = RouteName = LimitName = SinkName = TicketId = Scope = str
    VisitId = int

GATE: Final = LimitName("retry-after")
"""The name under which a closed gate (an upstream's ``Retry-After``) is reported as the blocker."""
