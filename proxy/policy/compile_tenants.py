"""Tenants: who may be named by what, and what is said of some of them."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network

from proxy.domain.ids import LimitName, TenantName
from proxy.domain.quantities import Rate
from proxy.policy.mistakes import Mistakes, Path, shown
from proxy.policy.names import check_defined, check_field, check_tenant, check_tenant_pattern
from proxy.policy.policyset import LOOPBACK, IdentifyBy, IdentifyRule, KnownTenant, Network, Tenants
from proxy.policy.schema import IdentifyShape, KnownShape, LimitShape, PolicyShape

_IDENTIFY = ("tenants", "identify")
_SELF_EVIDENT = {
    IdentifyBy.CREDENTIAL: "leave it out: nobody can make one up",
    IdentifyBy.NAMESPACE: "leave it out: the API server checks who may use it",
}
"""Ways that believe every address, and why."""


def compile_tenants(policy: PolicyShape, mistakes: Mistakes) -> Tenants:
    """The policy's tenants. What is wrong goes to ``mistakes``."""
    shape = policy.tenants
    rules: list[IdentifyRule] = []
    for number, item in enumerate(shape.identify):
        rule = _rule((*_IDENTIFY, number), item, mistakes)
        if rule is not None and any((rule.by, rule.header) == (r.by, r.header) for r in rules):
            mistakes.add((*_IDENTIFY, number), "stands twice: the first decides", "leave it out")
        if rule is not None:
            rules.append(rule)
    check_tenant(("tenants", "default"), shape.default, mistakes)
    known = [
        _known(("tenants", "known", pattern), pattern, entry, policy.limits, mistakes)
        for pattern, entry in shape.known.items()
    ]
    return Tenants(tuple(rules), TenantName(str(shape.default)), tuple(known))


def _rule(path: Path, shape: IdentifyShape, mistakes: Mistakes) -> IdentifyRule | None:
    said = [by for by in IdentifyBy if getattr(shape, by.value)]
    if len(said) != 1:
        problem = "says nothing to identify by" if not said else "says more than one way to identify by"
        mistakes.add(path, problem, "one of: path, {header: Name}, credential, namespace")
        return None
    by = said[0]
    if by in _SELF_EVIDENT and shape.trusted is not None:
        mistakes.add((*path, "trusted"), f"a {by.value} needs no trust", _SELF_EVIDENT[by])
    if by is not IdentifyBy.HEADER and "forward" in shape.model_fields_set:
        mistakes.add((*path, "forward"), "only a header can be forwarded", "leave it out")
    if shape.header is not None:
        check_field((*path, "header"), shape.header, mistakes)
    trusted = LOOPBACK
    if shape.trusted is not None:
        trusted = _networks((*path, "trusted"), shape.trusted, mistakes)
    header = (shape.header or "").lower().encode("ascii", "replace")
    return IdentifyRule(by, header, trusted, shape.forward)


def _networks(path: Path, texts: list[str], mistakes: Mistakes) -> tuple[Network, ...]:
    made: list[Network] = []
    for number, text in enumerate(texts):
        try:
            made.append(ip_network(str(text)))
        except ValueError:
            hint = "write for example 10.0.0.0/8, 10.1.2.3 or ::1; no bits may be set behind the slash's length"
            mistakes.add((*path, number), f"{shown(text)} is not a network", hint)
    return tuple(made)


def _known(
    path: Path, pattern: str, shape: KnownShape, limits: Mapping[str, LimitShape], mistakes: Mistakes
) -> KnownTenant:
    check_tenant_pattern(path, pattern, mistakes)
    seats: dict[LimitName, int] = {}
    rates: dict[LimitName, Rate] = {}
    for name, own in shape.limits.items():
        here: Path = (*path, "limits", name)
        if not check_defined(here, "a limit", name, limits, "limits", mistakes):
            continue
        _check_override(here, own.seats is not None, own.rate is not None, limits[name], mistakes)
        if own.seats is not None:
            seats[LimitName(name)] = own.seats
        if own.rate is not None:
            rates[LimitName(name)] = own.rate
    return KnownTenant(pattern, shape.weight, seats, rates)


def _check_override(path: Path, seats: bool, rate: bool, limit: LimitShape, mistakes: Mistakes) -> None:
    if mistakes.spoiled(("limits", str(path[-1]))):
        return
    if limit.per[0] != "tenant":
        problem = f'the limit "{path[-1]}" counts per {limit.per[0]}, so a tenant has no size of its own'
        mistakes.add(path, problem, "write per: tenant at the limit, or leave this out")
    elif seats is rate:
        mistakes.add(path, "wants either seats or rate", "write the one that the limit has")
    elif seats is not (limit.seats is not None):
        mistakes.add(path, f'the limit "{path[-1]}" has {"no seats" if seats else "no rate"}', "write the one it has")
