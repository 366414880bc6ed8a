"""From a request to its claim: which accounts it needs, how long it waits, what it is when it comes back. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from proxy.admission.events import Arrive, Bounds, Need
from proxy.domain.errors import BadRequest
from proxy.domain.ids import Scope, Seconds, TenantName, TicketId, VisitId
from proxy.domain.messages import RequestHead
from proxy.domain.quantities import QuantityError, parse_duration
from proxy.pipeline.snapshot import IDEMPOTENCY_KEY
from proxy.policy.policyset import Limit, Per, PolicySet, Route, Upstream

_TICKET: Final = re.compile(rb"[A-Za-z0-9_-]{1,64}")
_MAX_KEY: Final = 255
_SHORT: Final = 64
"""Bytes up to which a request is its own identity; beyond, its digest is smaller."""
_SHORTENING: Final = frozenset({b"headgate-patience", b"prefer"})
_WAIT: Final = re.compile(rb"wait=(\d{1,6})")


@dataclass(slots=True)
class Caller:
    """Who asks: the tenant, the credential's name, the namespace asked for. Never changed, only made quickly."""

    tenant: TenantName
    credential: str
    namespace: str = ""
    """Empty where the request names none."""
    timeout: Seconds | None = None
    """How long it gives the request in the API's own words."""


def needs_of(
    policies: PolicySet, route: Route, upstream: Upstream, caller: Caller, head: RequestHead, width: int
) -> tuple[Need, ...]:
    """What a request takes of each of its route's limits. A rate takes 1, whatever the width."""
    needs = []
    for name in route.limits:
        limit = policies.limits[name]
        needs.append(Need(name, scope_of(limit, upstream, caller, head), width if limit.seats is not None else 1))
    return tuple(needs)


def scope_of(limit: Limit, upstream: Upstream, caller: Caller, head: RequestHead) -> Scope:
    """Whom a limit counts this request to."""
    match limit.per:
        case Per.TENANT:
            return Scope(caller.tenant)
        case Per.CREDENTIAL:
            return Scope(caller.credential)
        case Per.UPSTREAM:
            return Scope(upstream.name)
        case Per.NAMESPACE:
            return Scope(caller.namespace)
        case Per.HEADER:
            return Scope((head.get(limit.header) or b"").decode("latin-1")[:256])


def patience_of(route: Route, head: RequestHead, timeout: Seconds | None = None) -> Seconds:
    """How long the request may wait: the policy's time, which a caller may only shorten.

    ``timeout`` is what the caller gives it in the API's own words. BadRequest for a ``Headgate-Patience`` that is no
    duration; an odd ``Prefer`` is not ours to judge.
    """
    patience = route.queue.patience
    if timeout is not None:
        patience = min(patience, timeout)
    if not head.any_of(_SHORTENING):
        return patience
    own = head.get(b"headgate-patience")
    if own is not None:
        try:
            patience = min(patience, parse_duration(own.decode("latin-1")))
        except QuantityError as error:
            raise BadRequest(f"Headgate-Patience: {error.problem}; {error.hint}") from None
    for member in head.tokens(b"prefer"):
        wish = _WAIT.fullmatch(member.split(b";")[0].strip())
        if wish is not None:
            patience = min(patience, Seconds(float(wish[1])))
    return patience


def ticket_of(head: RequestHead) -> TicketId | None:
    """The ticket a caller presents; BadRequest for one that cannot be ours."""
    ticket = head.get(b"headgate-ticket")
    if ticket is None:
        return None
    if not _TICKET.fullmatch(ticket):
        raise BadRequest("Headgate-Ticket is no ticket")
    return TicketId(ticket.decode("ascii"))


def identity_of(head: RequestHead, body: bytes | None) -> bytes | None:
    """What makes two requests the same: the caller's key, else method, target and body.

    None where the body was too big to be read: such a request comes back by its ticket only.
    """
    key = head.get(IDEMPOTENCY_KEY)
    if key is not None:
        if not key or len(key) > _MAX_KEY:
            raise BadRequest(f"Idempotency-Key is 1 to {_MAX_KEY} characters")
        return hashlib.blake2b(b"key\0" + key, digest_size=16).digest()
    if body is None:
        return None
    whole = b"%s\0%s\0%s" % (head.method.encode(), head.target, body)
    return whole if len(whole) <= _SHORT else hashlib.blake2b(whole, digest_size=16).digest()


def arrival_of(
    route: Route,
    needs: tuple[Need, ...],
    caller: Caller,
    weight: float,
    head: RequestHead,
    body: bytes | None,
    *,
    bounds: Bounds,
    ticket: TicketId,
    visit: VisitId,
    gate: Scope,
) -> Arrive:
    """The event that lets a request into its pool."""
    queue = route.queue
    return Arrive(  # by position: keywords cost a microsecond here
        ticket,
        visit,
        caller.tenant,
        route.name,
        needs,
        weight,
        patience_of(route, head, caller.timeout),
        queue.linger,
        bounds,
        gate,
        ticket_of(head),
        identity_of(head, body),
        queue.refuse_early,
    )
