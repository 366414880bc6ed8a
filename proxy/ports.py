"""What the journey needs of the world, as narrow protocols: a store, couriers, an observer.

Adapters stand in ``stores``, ``couriers`` and ``observe``; tests put their own here. Acquiring is async,
releasing is sync: whoever leaves cannot be cancelled half-way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal, Protocol

from proxy.admission.events import Arrive
from proxy.admission.view import StoreView, TicketView
from proxy.dialects.translation import Transform
from proxy.domain.ids import Instant, LimitName, RouteName, Scope, Seconds, SinkName, TicketId, UpstreamName
from proxy.domain.messages import Reply, RequestHead, ResponseHead
from proxy.policy.policyset import Origin, PolicySet, Sink, Upstream
from proxy.policy.templates import Values

Outcome = Literal["ok", "upstream-error", "refused", "left", "failed", "bad-request"]
"""How a request ended: relayed 1xx-4xx · relayed 5xx or 429 · refused by admission · caller went away ·
502, 503 or 504 of our making · malformed."""

BeatResult = Literal["ok", "stale", "throttled", "failed", "skipped", "missed"]
"""One progress beat: 2xx · 404/409/410 (the sink stops) · 429/5xx · no reply, a redirect or another status ·
the request lacks what the template names · the one before was still under way."""

LookResult = Literal["starting", "ready", "over", "gone", "refused", "failed"]
"""What a look at a starting pod of our own showed: the pod's state, 404 for ``gone`` · 401/403 (no more looks at this
pod) · no reply, another status, or nothing that can be read."""

HoldEnd = Literal["ready", "over", "gone", "late", "unread", "closed"]
"""Why seats of ``hold: ready`` were given back: what the pod came to · ``ready_within`` is over · the create's reply
told no pod, so at once · this process ends."""


@dataclass(slots=True)
class RequestRecord:
    """One finished request, for metrics and the access log. Seconds everywhere; ``path`` has no query."""

    method: str
    path: str
    upstream: str = ""
    route: str = ""
    tenant: str = ""
    ticket: str = ""
    outcome: Outcome = "ok"
    status: int = 0
    error: str = ""
    waited: float = 0.0
    connect: float = 0.0
    upstream_seconds: float = 0.0
    relay: float = 0.0
    tries: int = 0
    queued: bool = False


@dataclass(frozen=True, slots=True)
class CallersView:
    """How many callers are connected, how many may be, and how many had to go so far for want of room."""

    connected: int = 0
    bound: int = 0
    gave_way: int = 0
    turned_away: int = 0


class Observer(Protocol):
    """Counts and logs. Never raises, never blocks."""

    def finished(self, record: RequestRecord) -> None:
        """One request is over (called exactly once for each)."""

    def retried(self, upstream: str, route: str) -> None:
        """A try failed in a way that allows another, which is about to be made."""

    def beat(self, sink: SinkName, result: BeatResult) -> None:
        """A progress beat was due and ended so."""

    def bad_head(self) -> None:
        """A message was refused before it was a request."""


class HoldObserver(Protocol):
    """Counts what becomes of seats that are held beyond their requests. Never raises, never blocks."""

    def looked(self, upstream: UpstreamName, result: LookResult) -> None:
        """Headgate looked at a starting pod by itself."""

    def hold_ended(self, route: RouteName, why: HoldEnd) -> None:
        """The last seats that a create took with ``hold: ready`` are given back."""


class Vigil(Protocol):
    """Progress for one waiting request."""

    async def end(self) -> None:
        """Send nothing more. When this returns no delivery is in flight: it was awaited (briefly) or cancelled.

        Cancelled while waiting for a delivery: the delivery is cancelled too, and nothing more is sent.
        """


class Couriers(Protocol):
    """Carry "queued" to those who watch over the callers. A progress call can never fail the work."""

    def begin(self, sinks: Sequence[Sink], fixed: Values, describe: Callable[[], Values], waited: Seconds) -> Vigil:
        """Start beats to every sink: ``first`` after the beginning, then ``every``, at most ``for_at_most``.

        ``fixed`` are the placeholders that do not change, ``describe`` gives the others at the moment of a
        beat. ``waited`` is how long the ticket has waited already (a place taken back): ``first`` and
        ``for_at_most`` count from its first arrival.
        """


class Visit(Protocol):
    """A caller's presence at its ticket, from arrival to the last byte, or beyond (``keep``). Ended by ``leave``."""

    ticket: TicketId

    @property
    def granted(self) -> bool:
        """Whether the seats are held now."""

    async def turn(self) -> None:
        """Wait for the seats. Raises a :class:`~proxy.domain.errors.HeadgateError` when refused.

        Cancelled: the caller must ``leave``; a grant that came in the same moment is given back by it.
        """

    def look(self) -> TicketView | None:
        """The ticket as of now; None once it is gone."""

    def departs(self) -> None:
        """The request goes upstream at this moment: rates count from here. Needed only where the route has one."""

    def retry_later(self, rest: Seconds) -> None:
        """Give the seats back but keep the place, at its age; not granted again for ``rest`` seconds."""

    def keep(self, limits: Set[LimitName]) -> bool:
        """The request is over: only the seats of these limits stay held until ``leave``, all others are given back.

        May be said again with fewer. False where nothing stays held: the visit has left, or was never granted.
        """

    def leave(self) -> None:
        """The end: seats are given back, the place is gone. Never fails; a second call does nothing."""


class Store(Protocol):
    """Where pools live."""

    def arrive(self, arrival: Arrive) -> Visit:
        """A caller arrives (or comes back, see :class:`Arrive`). Returns at once; refusals are raised by ``turn``."""

    def close_gate(self, scope: Scope, seconds: Seconds) -> None:
        """Nobody of this scope goes upstream for so long (an upstream's ``Retry-After``)."""

    def reconfigure(self, policies: PolicySet) -> None:
        """Take over a new policy's limits. Raised limits wake waiters now; lowered ones drain; nobody is evicted."""

    def view(self, tickets: int = 1000) -> StoreView:
        """What is held and who waits, with at most so many tickets."""

    def evict(self, ticket: TicketId) -> bool:
        """End a waiting or lingering ticket on an operator's word; False where there is none."""

    def drain(self) -> None:
        """Refuse every waiter, and whoever would have to wait from now on."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look of Headgate's own came back with. ``body`` is without frames, coded as the head says."""

    head: ResponseHead
    body: bytes


class Looker(Protocol):
    """Sends small requests of Headgate's own, never through a queue."""

    async def look(self, destination: Destination, head: RequestHead) -> Sight | None:
        """Send a request without a body and read its reply; None where none came, or one too big to be a pod.

        ``head`` goes as it is, with Host, and with Headgate's own credential where the upstream says so.
        Cancelled: the connection is closed.
        """


class Exchange(Protocol):
    """One request as the journey sees it, and the way back to its caller."""

    head: RequestHead
    peer: str
    """The caller's address as the socket names it; empty for a Unix socket."""
    listener: UpstreamName | None
    """The upstream whose own listener this came in by; None on the main one."""
    shielded: bool
    """Set it where the work must be finished even if the caller leaves: then nothing is cancelled."""

    departing: Callable[[], None] | None
    """Called whenever the request's first byte goes upstream, connection made and all."""

    @property
    def gone(self) -> bool:
        """Whether the caller has left."""

    @property
    def started(self) -> bool:
        """Whether a byte of a final reply was sent already."""

    @property
    def repeatable(self) -> bool:
        """Whether the request can be sent again: its whole body is still here."""

    @property
    def bodyless(self) -> bool:
        """Whether the request has no body at all."""

    async def small_body(self, limit: int) -> bytes | None:
        """The whole body, without chunk frames, if it is at most so long, else None.

        What was read stays with the exchange and is sent on. Not read at all after ``Expect: 100-continue``.
        """

    async def whole_body(self, limit: int) -> bytes | None:
        """The whole body, without chunk frames, however slowly it comes; None where it has more bytes than that.

        A caller that waits for a 100 gets it now. What was read stays with the exchange, as with ``small_body``.
        Cancelled: what came is kept.
        """

    def respond(self, reply: Reply, *, close: bool) -> None:
        """Send a whole reply of our own making, and close the connection if told to."""


class UpstreamReply(Protocol):
    """A reply whose head is here and whose body is not yet."""

    head: ResponseHead
    connect_seconds: float
    """What making the connection took; 0 on a kept one."""

    async def small_body(self, limit: int) -> bytes | None:
        """The whole decoded body if it is at most so long, else None. The reply can still be relayed.

        Raises UpstreamBroke if it ends early. Cancelled: the connection is closed.
        """

    def relay_whole(self, added: bytes) -> bool:
        """Pass head (with ``added`` header lines) and body to the caller if all of it is here already.

        False where it is not, and nothing was passed: then ``relay``.
        """

    async def relay(self, added: bytes) -> None:
        """Pass head (with ``added`` header lines) and body to the caller, to the last byte; a tunnel to its end.

        Raises UpstreamBroke if the upstream ends early. Cancelled: both connections are closed.
        """

    async def relay_changed(self, added: bytes, transform: Transform, *, streams: bool) -> None:
        """Pass head (with ``added`` header lines) and what ``transform`` makes of the body, to the last byte.

        The body is changed as it comes and sent in chunks; without ``streams`` whole, so that it keeps a
        Content-Length, up to :data:`~proxy.dialects.translation.LONGEST_WHOLE` bytes. A whole body that the transform
        leaves alone goes as it came, frames too. A reply without a body is relayed.
        Raises UpstreamBroke and is cancelled as ``relay``.
        """

    def discard(self) -> None:
        """The reply is not wanted: its connection is closed unless it is free already."""


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """Where requests go, and what changes in their heads on the way. Made once per policy and origin.

    Compared by identity: connections are kept per destination, so a reloaded policy starts with new ones.
    """

    upstream: Upstream
    origin: Origin
    authority: bytes | None
    """The Host; None keeps the caller's."""
    dropped: frozenset[bytes]
    """Lower-case names of fields that are not forwarded."""
    added: bytes
    """Whole header lines added, each ended by CRLF."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What a dialect changes in a request besides its target (see :class:`~proxy.dialects.translation.Passage`)."""

    fields: Mapping[bytes, bytes | None]
    body: bytes | None = None
    """The whole body that goes instead of the caller's, with a Content-Length; None: the caller's goes as it comes."""


class UpstreamClient(Protocol):
    """Sends requests to upstreams over kept connections."""

    async def send(
        self, exchange: Exchange, destination: Destination, target: bytes, *, fresh: bool, edits: Edits | None = None
    ) -> UpstreamReply:
        """Send the exchange's request and body, and wait for the reply's head. 1xx pass to the caller.

        ``fresh`` asks for a new connection: the kept one before turned out to be closed. An edited body needs the
        caller's to be here already (``whole_body``).
        Raises UpstreamUnreachable (provably not processed) or UpstreamBroke. Cancelled: the connection is closed.
        """


Clock = Callable[[], Instant]
"""Seconds that never go back; only differences mean anything."""
