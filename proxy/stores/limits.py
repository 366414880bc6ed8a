"""A policy's limits as a pool wants them: numbers, and who has others."""

from __future__ import annotations

from proxy.admission.events import LimitSpec
from proxy.domain.ids import LimitName
from proxy.policy.policyset import Limit, PolicySet


def limit_specs(policies: PolicySet) -> dict[LimitName, LimitSpec]:
    """Every limit of a policy, with the known tenants' own numbers."""
    return {name: _spec(limit, policies) for name, limit in policies.limits.items()}


def _spec(limit: Limit, policies: PolicySet) -> LimitSpec:
    known = policies.tenants.known
    return LimitSpec(
        seats=limit.seats,
        per_second=None if limit.rate is None else limit.rate.per_second,
        burst=limit.burst,
        own_seats={entry.pattern: entry.seats[limit.name] for entry in known if limit.name in entry.seats},
        own_rates={entry.pattern: entry.rates[limit.name].per_second for entry in known if limit.name in entry.rates},
    )
