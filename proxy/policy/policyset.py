"""The compiled policy: frozen values that a request takes once and keeps to its end.

A :class:`PolicySet` is never edited. Reload builds a new one and swaps the reference, so a request that
began under one policy ends under it. Looking things up lives in :mod:`proxy.policy.resolve`.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from proxy.domain.ids import LimitName, RouteName, Seconds, SinkName, TenantName, UpstreamName
from proxy.domain.paths import PathTemplate
from proxy.domain.pods import PodRules
from proxy.domain.quantities import Rate
from proxy.policy.templates import JsonTemplate, TextTemplate

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


READY_WITHIN = Seconds(600.0)
"""How long ``hold: ready`` waits for a pod at most, unless the policy says otherwise."""


class Hold(Enum):
    """How long a seat is held. ``resource`` takes its place here when it comes."""

    REQUEST = "request"
    READY = "ready"
    """Until the pod is seen Ready, or its mains are final (design.md §2.9)."""


class Mode(Enum):
    """What a route's decisions do."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """Decides and counts but never delays or refuses."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an upstream is. ``base`` is its path without a trailing slash, often empty.

    ``{port}`` and ``{sandbox}`` may stand in ``host`` (dialect ``e2b-sandbox``).
    """

    scheme: str
    host: str
    port: int
    base: str = ""

    @property
    def authority(self) -> str:
        """What the Host header says: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def templated(self) -> bool:
        """Whether the host depends on the request."""
        return "{" in self.host


@dataclass(frozen=True, slots=True)
class UpstreamTls:
    """How to trust an upstream and how to be known to it. Paths of PEM files."""

    ca_file: str | None = None
    client_cert_file: str | None = None
    client_key_file: str | None = None
    server_name: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class Listen:
    """A listener of an upstream's own, mounted at ``/``."""

    host: str
    port: int
    tls: bool = False
    """``tls: auto``: a certificate of the process's own local authority (design.md §2.2)."""


@dataclass(frozen=True, slots=True)
class OwnAuth:
    """``auth: own``: Headgate speaks to the upstream with its own bearer token and refuses impersonation headers."""

    token_file: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """An API behind Headgate and how it is mounted."""

    name: UpstreamName
    origin: Origin
    dialect: str
    prefix: str | None = None
    listen: Listen | None = None
    hosts: tuple[str, ...] = ()
    keep_host: bool = False
    """``host: caller`` in the policy: the upstream sees the caller's Host."""
    via: bool = False
    forward_idempotency_key: bool = False
    tls: UpstreamTls = UpstreamTls()
    auth: OwnAuth | None = None
    """None: callers' credentials pass through."""
    pods: PodRules | None = None
    """Dialect ``kubernetes``: which pods tell the truth; None: those that say so themselves, by annotation."""

    @property
    def own_credential(self) -> bool:
        """Whether requests arrive upstream as Headgate's: by its token, or by its client certificate."""
        return self.auth is not None or self.tls.client_cert_file is not None


class IdentifyBy(Enum):
    """Where a tenant's name is found."""

    PATH = "path"
    HEADER = "header"
    CREDENTIAL = "credential"
    NAMESPACE = "namespace"
    """The namespace in the path (dialect ``kubernetes``): always there, and checked upstream (kubernetes.md §8)."""


@dataclass(frozen=True, slots=True)
class IdentifyRule:
    """One way to a tenant's name; the first that yields one wins."""

    by: IdentifyBy
    header: bytes = b""
    """Lower-case header name, for ``header`` rules."""
    trusted: tuple[Network, ...] = LOOPBACK
    forward: bool = False

    def believes(self, address: Address) -> bool:
        """Whether a caller at this address may name its tenant by this rule."""
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address.version == network.version and address in network for network in self.trusted)


@dataclass(frozen=True, slots=True)
class KnownTenant:
    """What the policy says of tenants whose name matches ``pattern`` (exact, or with ``*``)."""

    pattern: str
    weight: float = 1.0
    seats: Mapping[LimitName, int] = field(default_factory=dict)
    rates: Mapping[LimitName, Rate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tenants:
    """Who is charged, and what is said of some."""

    identify: tuple[IdentifyRule, ...] = (IdentifyRule(IdentifyBy.CREDENTIAL),)
    default: TenantName = TenantName("anonymous")
    known: tuple[KnownTenant, ...] = ()

    def about(self, tenant: TenantName) -> KnownTenant | None:
        """The entry of a tenant: its exact name first, else the first pattern that fits."""
        if not self.known:
            return None
        for entry in self.known:
            if entry.pattern == tenant:
                return entry
        return next((e for e in self.known if "*" in e.pattern and fnmatch.fnmatchcase(tenant, e.pattern)), None)

    def weight(self, tenant: TenantName) -> float:
        """The tenant's share beside others; 1 unless said."""
        entry = self.about(tenant)
        return 1.0 if entry is None else entry.weight


class Per(Enum):
    """Whom a limit counts."""

    TENANT = "tenant"
    CREDENTIAL = "credential"
    UPSTREAM = "upstream"
    NAMESPACE = "namespace"
    HEADER = "header"


@dataclass(frozen=True, slots=True)
class Limit:
    """A named bound: ``seats`` at once, or a ``rate`` with its ``burst``. Exactly one of the two is set."""

    name: LimitName
    seats: int | None
    rate: Rate | None
    burst: int
    per: Per
    header: bytes = b""
    hold: Hold = Hold.REQUEST
    ready_within: Seconds = READY_WITHIN
    """With ``hold: ready``: when the seat is given back at the latest, from the create's reply on."""


@dataclass(frozen=True, slots=True)
class Queue:
    """How requests of a route wait; the defaults are the contract's (design.md §2.3)."""

    patience: Seconds = Seconds(45.0)
    linger: Seconds = Seconds(30.0)
    waiting_per_tenant: int = 500
    waiting_total: int = 2000
    refuse_early: bool = False


@dataclass(frozen=True, slots=True)
class AlsoTransient:
    """One more reply that is transient: a status, and what its body must contain."""

    status: int
    body: re.Pattern[bytes] | None


@dataclass(frozen=True, slots=True)
class Retry:
    """``attempts`` counts the first try too; back-off is full jitter between 0 and min(cap, first·2^n)."""

    attempts: int = 1
    backoff_first: Seconds = Seconds(0.5)
    backoff_cap: Seconds = Seconds(30.0)
    budget: float = 0.2
    also: tuple[AlsoTransient, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """What a route applies to. Empty ``operations`` and ``methods`` mean any."""

    upstream: UpstreamName
    operations: frozenset[str] = frozenset()
    methods: frozenset[str] = frozenset()
    path: PathTemplate | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """What happens to the requests that match."""

    name: RouteName
    match: Match
    limits: tuple[LimitName, ...] = ()
    queue: Queue = Queue()
    retry: Retry = Retry()
    progress: tuple[SinkName, ...] = ()
    mode: Mode = Mode.ENFORCE


@dataclass(frozen=True, slots=True)
class Sink:
    """Where progress goes. ``to``, ``headers`` and ``body`` are templates (design.md §2.7)."""

    name: SinkName
    to: TextTemplate
    headers: tuple[tuple[str, TextTemplate], ...]
    body: JsonTemplate
    first: Seconds = Seconds(1.0)
    every: Seconds = Seconds(10.0)
    for_at_most: Seconds = Seconds(1800.0)
    stop_on: frozenset[int] = frozenset({404, 409, 410})
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Wire timeouts in seconds; ``total`` None means no bound (design.md §2.2)."""

    header: Seconds = Seconds(10.0)
    body_stall: Seconds = Seconds(60.0)
    write_stall: Seconds = Seconds(60.0)
    idle: Seconds = Seconds(75.0)
    connect: Seconds = Seconds(5.0)
    total: Seconds | None = None


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything a request is decided by."""

    upstreams: Mapping[UpstreamName, Upstream]
    tenants: Tenants
    limits: Mapping[LimitName, Limit]
    routes: tuple[Route, ...]
    sinks: Mapping[SinkName, Sink]
    timeouts: Timeouts
    digest: str
    """Changes exactly when the meaning of the policy changes; the same on every replica."""

    def identifying_headers(self) -> frozenset[bytes]:
        """Lower-case names of the headers that name tenants."""
        return frozenset(rule.header for rule in self.tenants.identify if rule.by is IdentifyBy.HEADER)


def parse_address(text: str) -> Address:
    """An address as the socket names it; loopback for a Unix socket's empty name."""
    return ip_address(text.split("%")[0]) if text else IPv4Address("127.0.0.1")
