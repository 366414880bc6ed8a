"""What may stand in a policy: every key with its kind, its default and what it means.

The descriptions are the reference (``docs/policy.md`` is rendered from them). ``LATER`` names keys of the
contract that this version does not do. What needs more than one value to judge is in the ``compile_*`` modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import Field, model_validator

from proxy.domain.ids import Seconds
from proxy.policy.mistakes import did_you_mean, shown
from proxy.policy.schema_base import ANYWHERE, Shape, Texts
from proxy.policy.schema_kinds import (
    Backoff,
    Bound,
    Count,
    Duration,
    Flag,
    Json,
    PerText,
    PositiveDuration,
    RateText,
    Seats,
    SecretText,
    Share,
    StandIn,
    Status,
    Text,
    Version,
    Weight,
    choice,
    fault,
)
from proxy.policy.schema_upstreams import UpstreamShape

_WORDS: Final = ("path", "credential", "namespace")
"""Ways to identify that need no more than their name."""


class IdentifyShape(Shape):
    """One way to a tenant's name. Written `path`, `credential`, `namespace`, or as a map with one of `path`, `header`,
    `credential`, `namespace`."""

    path: Flag | None = Field(default=None, description="The tenant stands in the path: `/t/<tenant>/...`.")
    header: Text | None = Field(default=None, description="The tenant stands in this header.")
    credential: Flag | None = Field(default=None, description="The tenant is a short salted hash of the credential.")
    namespace: Flag | None = Field(
        default=None,
        description="The tenant is the Kubernetes namespace in the path, which the API server checks.",
    )
    trusted: list[Text] | None = Field(
        default=None,
        description="Networks whose callers are believed; left out: loopback only, so nobody makes up tenants.",
    )
    forward: Flag = Field(
        default=False, description="Forward the header to the upstream; off, because it is for Headgate."
    )

    @model_validator(mode="before")
    @classmethod
    def _word(cls, value: object) -> object:
        if isinstance(value, str):
            if value in _WORDS:
                return {str(value): True}
            hint = "write {header: Name}" if value == "header" else did_you_mean(value, _WORDS)
            raise fault(f"{shown(value)} is no way to identify a tenant", hint)
        return value


class OverrideShape(Shape):
    """A tenant's own size of a limit that counts per tenant. One of the two, as the limit has it."""

    LATER: ClassVar[Mapping[str, str]] = {"burst": "the limit's own burst applies"}

    seats: Seats | None = Field(default=None, description="This tenant's seats.")
    rate: RateText | None = Field(default=None, description="This tenant's rate.")


class KnownShape(Shape):
    """What is said of a tenant, or of all whose names fit a pattern with `*`. The exact name goes first, then
    the first pattern that fits."""

    weight: Weight = Field(
        default=1.0, description="Share between tenants that wait for the same: 4 gets four times what 1 gets."
    )
    limits: dict[str, OverrideShape] = Field(
        default={}, description="Own sizes of limits with `per: tenant`, by limit."
    )


class TenantsShape(Shape):
    """Who is charged for a request."""

    identify: list[IdentifyShape] = Field(
        default=[IdentifyShape(credential=True)], description="The first way that yields a name wins."
    )
    default: Text = Field(default="anonymous", description="The tenant of requests that no rule names.")
    known: dict[str, KnownShape] = Field(
        default={}, description="Tenants that differ from the rest, by name or pattern."
    )


class LimitShape(Shape):
    """A named bound: `seats` (how many at once) or a `rate` (how many per time). Exactly one of the two."""

    LATER: ClassVar[Mapping[str, str]] = {
        "resync": "leave it out: it belongs to hold: resource",
        "grace": "leave it out: it belongs to hold: resource",
        "entity": "leave it out: it belongs to hold: entity",
        "from": "leave it out: it belongs to seats: auto",
        "max": "leave it out: it belongs to seats: auto",
        "of": "leave it out: limits of tokens are not counted yet",
        "reserve": "leave it out: it belongs to of: llm",
        "groups": "leave it out: it belongs to of: llm",
    }

    seats: Seats | None = Field(default=None, description="Requests at once; 0 lets nothing in.")
    rate: RateText | None = Field(
        default=None, description="Requests per time. At most burst + rate · t pass in any t seconds."
    )
    burst: Count | None = Field(
        default=None, description="Only with `rate`; left out: 1, so that no second holds more than the rate."
    )
    per: PerText = Field(
        default=("tenant", ""),
        description="Whom it counts: each tenant, each credential, each upstream, each Kubernetes namespace, each "
        "value of a header.",
    )
    hold: Annotated[str, choice("request", "ready", later=("resource", "entity", "ticket"))] | None = Field(
        default=None,
        description="Only with `seats`: how long one is held. `request`, the default: to the reply's last byte. "
        "`ready`, dialect `kubernetes`: until a reply that passes shows the new pod ready, over or gone.",
    )
    ready_within: PositiveDuration | None = Field(
        default=None,
        description="Only with `hold: ready`, there `10m` unless said: after that the seat is given back, whatever is "
        "known of the pod.",
    )


class MatchShape(Shape):
    """What a route applies to: everything that is said must hold."""

    upstream: Annotated[Text, StandIn("")] = Field(description="The upstream's name.")
    operation: Texts = Field(default=[], description="What the request does, in the dialect's words; left out: any.")
    methods: Texts = Field(default=[], description="HTTP methods; left out: any.")
    path: Text | None = Field(
        default=None,
        description="Path after the mount, in normal form. `{name}` matches within a segment, also inside quotes "
        "and brackets; `/**` at the end matches the rest.",
    )


class WaitingShape(Shape):
    """How many callers may wait, connected; as many places again are kept for those who left. More are refused."""

    per_tenant: Bound = Field(default=500, description="Callers of one tenant in this route.")
    total: Bound = Field(default=2000, description="Callers of all tenants in this route.")


class QueueShape(Shape):
    """How requests wait for the limits of their route."""

    LATER: ClassVar[Mapping[str, str]] = {"class": "leave it out: all routes of a pool wait alike"}

    patience: Duration = Field(
        default=Seconds(45.0),
        description="How long a request may wait; below the 60 s after which SDKs give up. Left out with dialect "
        "`kubernetes`: `8s`, below the 10 s after which its most hurried client does.",
    )
    linger: Duration = Field(
        default=Seconds(30.0),
        description="How long the place of a caller who stopped waiting is kept, so that a retry finds it.",
    )
    waiting: WaitingShape = Field(default=WaitingShape(), description="How many may wait.")
    refuse_early: Flag = Field(
        default=False, description="Refuse at once where the wait would outlast patience and linger."
    )


class AlsoShape(Shape):
    """One more reply that is transient, for idempotent methods or requests with a key."""

    status: Annotated[Status, StandIn(500)] = Field(description="The reply's status.")
    body: Text | None = Field(
        default=None,
        description="Texts of which its body holds one, divided by `|`, taken literally; left out: any body.",
    )


class RetryShape(Shape):
    """When a request is sent again. Left out: one try. Only what is provably not processed, or idempotent."""

    LATER: ClassVar[Mapping[str, str]] = {
        "look_for": "leave it out: a create that may have been processed is never sent again"
    }

    attempts: Count = Field(default=5, description="Tries in all, the first one too.")
    backoff: Backoff = Field(
        default=(Seconds(0.5), Seconds(30.0)),
        description="First and longest pause: full jitter below the first, doubled after each try.",
    )
    budget: Share = Field(default=0.2, description="Retries as a share of requests: a failing upstream is not flooded.")
    also: list[AlsoShape] = Field(default=[], description="More replies that are transient.")


class RouteShape(Shape):
    """What happens to the requests that match; the first route that matches wins."""

    LATER: ClassVar[Mapping[str, str]] = {
        "share": "leave it out: every create makes its own call",
        "look_for": "leave it out: a create that may have been processed is never sent again",
    }

    name: Annotated[Text, StandIn("")] = Field(description="Stands in metrics, logs and `explain`.")
    match: Annotated[MatchShape, StandIn({"upstream": ""})] = Field(description="What it applies to.")
    limits: list[Text] = Field(default=[], description="Taken all or none, atomically. Left out: never queued.")
    queue: QueueShape = Field(default=QueueShape(), description="How requests wait.")
    retry: RetryShape | None = Field(default=None, description="When they are sent again; left out: one try.")
    progress: Texts = Field(default=[], description="Sinks that hear of the wait, each by its name under `progress`.")
    mode: Annotated[str, choice("enforce", "shadow")] = Field(
        default="enforce", description="`shadow` decides and counts but never delays or refuses."
    )


class SinkShape(Shape):
    """Where to say that a request is queued. Templates hold `{waited}`, `{position}`, `{eta}`, `{blocker}`,
    `{attempt}`, `{ticket}`, `{tenant}` and `{header:Name}`, escaped for their place; a request that lacks
    what a template names skips the sink."""

    to: Annotated[Text, StandIn(ANYWHERE)] = Field(
        description="URL template; scheme, host and port are fixed. Redirects are not followed."
    )
    method: Annotated[str, choice("POST", "PUT", "PATCH")] = Field(default="POST", description="HTTP method.")
    headers: dict[str, SecretText] = Field(
        default={}, description="Header templates by name. Content-Type is JSON unless said."
    )
    body: Json = Field(default={}, description="JSON document; the texts in it are templates.")
    first: Duration = Field(default=Seconds(1.0), description="When the first one is sent, from the request's arrival.")
    every: PositiveDuration = Field(
        default=Seconds(10.0), description="Time between two; at most a third of the shortest timer it keeps alive."
    )
    for_at_most: Duration = Field(
        default=Seconds(1800.0),
        description="The end, from the first arrival: queued work must not keep a dead job alive for ever.",
    )
    stop_on: list[Status] = Field(
        default=[404, 409, 410],
        description="Replies that mean that nobody listens any more: the sink stops, nothing else.",
    )


class TimeoutsShape(Shape):
    """Timeouts of the wire."""

    header: PositiveDuration = Field(default=Seconds(10.0), description="Until a caller's head is complete.")
    body_stall: PositiveDuration = Field(
        default=Seconds(60.0), description="Without a byte of a body that is under way."
    )
    write_stall: PositiveDuration = Field(default=Seconds(60.0), description="Without a byte taken by a slow reader.")
    idle: PositiveDuration = Field(default=Seconds(75.0), description="Kept connections without a request.")
    connect: PositiveDuration = Field(
        default=Seconds(5.0), description="Until an upstream's connection stands, TLS included."
    )
    total: PositiveDuration | None = Field(
        default=None, description="Waiting, tries and reply together; ends in 504. Left out: no bound."
    )


class PolicyShape(Shape):
    """The whole policy: one file, or the files of a folder together."""

    LATER: ClassVar[Mapping[str, str]] = {
        "callbacks": "leave it out: Headgate-Progress-Url is not read yet; write a sink under progress",
        "dialects": "leave it out: this version has the dialects e2b, e2b-sandbox, kubernetes and http",
        "guards": "leave it out: replies with 409 pass unchanged",
    }

    version: Annotated[Version, StandIn(1)] = Field(description="The format's version: `1`.")
    upstreams: Annotated[dict[str, UpstreamShape], StandIn({})] = Field(
        description="The APIs behind Headgate, by name."
    )
    tenants: TenantsShape = Field(default=TenantsShape(), description="Who is charged.")
    limits: dict[str, LimitShape] = Field(default={}, description="The bounds, by name.")
    routes: list[RouteShape] = Field(
        default=[], description="What happens to which request. No match: forwarded at once."
    )
    progress: dict[str, SinkShape] = Field(default={}, description="The sinks, by name.")
    timeouts: TimeoutsShape = Field(default=TimeoutsShape(), description="Timeouts of the wire.")
