"""One policy, made ready for requests: a request takes a snapshot once and keeps it to its end.

Snapshots are replaced as a whole on reload, never edited.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from proxy.admission.events import Bounds
from proxy.dialects.base import Dialect
from proxy.dialects.registry import DIALECTS
from proxy.dialects.translation import Translator
from proxy.domain.ids import UpstreamName
from proxy.domain.messages import RequestHead
from proxy.pipeline.own_token import OwnToken
from proxy.policy.policyset import Origin, PolicySet, Sink, Upstream
from proxy.policy.resolve import Resolver
from proxy.ports import Destination

IDEMPOTENCY_KEY = b"idempotency-key"
_MOST_PLACES = 4096
"""Filled templated origins that are remembered."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What a request to one upstream needs again and again."""

    upstream: Upstream
    dialect: Dialect
    translator: Translator | None
    """What the dialect changes on the way; None: nothing."""
    destination: Destination
    """Where requests go. With a templated origin, the pattern of it: :meth:`towards` has the filled ones."""
    own: OwnToken | None = None
    """The credential of requests to it, where that is Headgate's own."""
    _filled: dict[str, Destination] = field(default_factory=dict)

    def towards(self, head: RequestHead) -> Destination:
        """Where this request goes. BadRequest where it names a templated place badly; NoTokenOfOurOwn."""
        if self.own is not None:
            return self.own.destination()
        origin = self.upstream.origin
        if not origin.templated:
            return self.destination
        host = origin.host.format_map(self.dialect.origin_values(head))
        known = self._filled.get(host)
        if known is None:
            if len(self._filled) >= _MOST_PLACES:
                self._filled.clear()
            filled = Origin(origin.scheme, host, origin.port, origin.base)
            authority = None if self.upstream.keep_host else filled.authority.encode()
            known = replace(self.destination, origin=filled, authority=authority)
            self._filled[host] = known
        return known


class Snapshot:
    """A policy set with everything derived from it."""

    __slots__ = ("bounds", "paced", "policies", "protected", "resolver", "servings", "sinks")

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        self.resolver = Resolver(policies, lambda dialect, *asked: DIALECTS[dialect].classify(*asked))
        self.protected = _spellings(policies.identifying_headers())
        self.servings: dict[UpstreamName, Serving] = {
            name: self._serving(upstream) for name, upstream in policies.upstreams.items()
        }
        self.bounds = {
            route.name: Bounds(route.queue.waiting_per_tenant, route.queue.waiting_total) for route in policies.routes
        }
        self.paced = frozenset(
            route.name for route in policies.routes if any(policies.limits[name].rate for name in route.limits)
        )
        """Routes with a rate."""
        self.sinks: dict[str, tuple[Sink, ...]] = {
            route.name: tuple(policies.sinks[name] for name in route.progress) for route in policies.routes
        }

    def _serving(self, upstream: Upstream) -> Serving:
        kept = {rule.header for rule in self.policies.tenants.identify if rule.forward}
        dropped = self.protected - kept
        if not upstream.forward_idempotency_key:
            dropped |= {IDEMPOTENCY_KEY}
        if upstream.auth is not None:
            dropped |= {b"authorization"}
        authority = None if upstream.keep_host or upstream.origin.templated else upstream.origin.authority.encode()
        via = b"Via: 1.1 headgate\r\n" if upstream.via else b""
        destination = Destination(upstream, upstream.origin, authority, dropped, via)
        dialect = DIALECTS[upstream.dialect]
        own = None if upstream.auth is None else OwnToken(upstream.auth.token_file, destination)
        return Serving(upstream, dialect, dialect.translator(upstream.pods), destination, own)

    def find_tokens(self) -> None:
        """Read Headgate's own tokens before they are needed, so that the log tells what is missing at once."""
        for serving in self.servings.values():
            if serving.own is not None:
                serving.own.look()


def _spellings(names: frozenset[bytes]) -> frozenset[bytes]:
    """Every name also with ``_`` for ``-``: some servers take one for the other (CVE-2025-64484)."""
    return names | {name.replace(b"-", b"_") for name in names}
