"""A policy with a bit of everything that metrics are labelled by, and arrivals at its routes."""

from __future__ import annotations

from itertools import count

from proxy.admission.events import Arrive, Bounds, Need
from proxy.dialects.registry import OPERATIONS
from proxy.domain.ids import LimitName, RouteName, Scope, Seconds, TenantName, TicketId, VisitId
from proxy.policy.compile import load_policy
from proxy.policy.policyset import PolicySet

TEXT = """
version: 1
upstreams:
  e2b: {url: "https://api.e2b.app", dialect: e2b, prefix: /e2b}
  temper: {url: "http://temper:3000", dialect: http, prefix: /temper}
tenants:
  known:
    acme: {weight: 4, limits: {creates: {seats: 8}}}
    "batch-*": {weight: 1}
limits:
  creates: {seats: 2, per: tenant}
  shared: {seats: 20, per: upstream}
  create-rate: {rate: 1000/s, burst: 100, per: tenant}
routes:
  - {name: create, match: {upstream: e2b, operation: [create]}, limits: [creates, shared, create-rate], progress: [job]}
  - {name: rest, match: {upstream: e2b}}
progress:
  job: {to: "http://temper:3000/jobs/{ticket}", body: {log: "queued"}}
"""

_visits = count(1)


def policy(text: str = TEXT) -> PolicySet:
    """The compiled policy."""
    return load_policy([("policy.yaml", text.encode())], {}, OPERATIONS)


def arrival(tenant: str, ticket: str) -> Arrive:
    """A create of a tenant."""
    needs = (
        Need(LimitName("creates"), Scope(tenant)),
        Need(LimitName("shared"), Scope("e2b")),
        Need(LimitName("create-rate"), Scope(tenant)),
    )
    return Arrive(
        ticket=TicketId(ticket),
        visit=VisitId(next(_visits)),
        tenant=TenantName(tenant),
        route=RouteName("create"),
        needs=needs,
        weight=1.0,
        patience=Seconds(600),
        linger=Seconds(30),
        bounds=Bounds(500, 2000),
        gate=Scope("e2b"),
    )
