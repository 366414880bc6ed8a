"""One policy, made ready for requests: a request takes a snapshot once and keeps it to its end.

Snapshots are replaced as a whole on reload, never edited.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.dialects.base import Dialect
from proxy.dialects.registry import DIALECTS
from proxy.domain.ids import UpstreamName
from proxy.policy.policyset import PolicySet, Sink, Upstream
from proxy.policy.resolve import Resolver

IDEMPOTENCY_KEY = b"idempotency-key"


@dataclass(frozen=True, slots=True)
class Serving:
    """What a request to one upstream needs again and again."""

    upstream: Upstream
    dialect: Dialect
    dropped: frozenset[bytes]
    """Lower-case names of the caller's fields that the upstream does not get."""
    authority: bytes | None
    """The Host the upstream gets; None leaves the caller's."""
    added: bytes
    """Header lines added towards the upstream."""


class Snapshot:
    """A policy set with everything derived from it."""

    __slots__ = ("policies", "protected", "resolver", "servings", "sinks")

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self.resolver = Resolver(policies, lambda dialect, method, path: DIALECTS[dialect].classify(method, path))
        self.protected = _spellings(policies.identifying_headers())
        self.servings: dict[UpstreamName, Serving] = {
            name: self._serving(upstream) for name, upstream in policies.upstreams.items()
        }
        self.sinks: dict[str, tuple[Sink, ...]] = {
            route.name: tuple(policies.sinks[name] for name in route.progress) for route in policies.routes
        }

    def _serving(self, upstream: Upstream) -> Serving:
        kept = {rule.header for rule in self.policies.tenants.identify if rule.forward}
        dropped = self.protected - kept
        if not upstream.forward_idempotency_key:
            dropped |= {IDEMPOTENCY_KEY}
        authority = None if upstream.keep_host or upstream.origin.templated else upstream.origin.authority.encode()
        return Serving(
            upstream,
            DIALECTS[upstream.dialect],
            dropped,
            authority,
            b"Via: 1.1 headgate\r\n" if upstream.via else b"",
        )


def _spellings(names: frozenset[bytes]) -> frozenset[bytes]:
    """Every name also with ``_`` for ``-``: some servers take one for the other (CVE-2025-64484)."""
    return names | {name.replace(b"-", b"_") for name in names}
