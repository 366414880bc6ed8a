"""What a pool's refusal is as an error that the journey can answer."""

from __future__ import annotations

from proxy.admission.events import Refused, Why
from proxy.domain.errors import (
    Draining,
    Evicted,
    HeadgateError,
    NeverFits,
    PatienceOver,
    QueueFull,
    Superseded,
    TooEarly,
)


def refusal_error(refused: Refused) -> HeadgateError:
    """The error of a refusal."""
    kept = refused.ticket if refused.kept else None
    match refused.why:
        case Why.PATIENCE:
            return PatienceOver(refused.blocker, refused.waited, refused.position, refused.retry_after, kept)
        case Why.FULL_TENANT | Why.FULL_TOTAL:
            return QueueFull(refused.blocker, refused.number, refused.bound, refused.retry_after, kept)
        case Why.EARLY:
            return TooEarly(refused.blocker, refused.retry_after, refused.retry_after)
        case Why.NEVER_FITS:
            return NeverFits(refused.blocker, refused.number, refused.bound)
        case Why.EVICTED:
            return Evicted(refused.ticket)
        case Why.DRAINING:
            return Draining(refused.ticket, refused.retry_after)
        case Why.SUPERSEDED:
            return Superseded(refused.ticket)
