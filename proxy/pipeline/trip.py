"""What is known of one request on its way, and what the way needs from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.dialects.translation import Passage, Witness
from proxy.domain.ids import TicketId
from proxy.pipeline.claims import Caller
from proxy.pipeline.identity import Credentials
from proxy.pipeline.ready import Start, StartingPods
from proxy.pipeline.snapshot import Serving, Snapshot
from proxy.policy.policyset import Mode, Queue, Retry, Route
from proxy.policy.resolve import Resolution
from proxy.ports import Clock, Couriers, Edits, Exchange, Observer, RequestRecord, Store, UpstreamClient


@dataclass(frozen=True, slots=True)
class World:
    """What journeys need from outside; every source of time, chance and names is here."""

    store: Store
    client: UpstreamClient
    couriers: Couriers
    observer: Observer
    witness: Witness
    starts: StartingPods
    credentials: Credentials
    clock: Clock
    epoch: Callable[[], float]
    """The time of day in seconds, for dates in ``Retry-After``."""
    chance: Callable[[], float]
    """A number from 0 to 1."""
    new_ticket: Callable[[], TicketId]
    crashed: Callable[[BaseException], None]
    """Told of what nobody expected."""


class Trip:
    """One request: where it goes, who is charged, and how far it got."""

    __slots__ = (
        "caller",
        "edits",
        "exchange",
        "passage",
        "patience",
        "record",
        "resolution",
        "route",
        "sent",
        "serving",
        "snapshot",
        "start",
    )

    def __init__(
        self,
        exchange: Exchange,
        record: RequestRecord,
        snapshot: Snapshot,
        resolution: Resolution,
        serving: Serving,
        caller: Caller,
    ) -> None:
        self.exchange = exchange
        self.record = record
        self.snapshot = snapshot
        self.resolution = resolution
        self.route: Route | None = resolution.route
        self.serving = serving
        self.caller = caller
        self.patience = _NO_QUEUE.patience if resolution.route is None else resolution.route.queue.patience
        """How long it may wait in all, in seconds; the caller may have shortened it."""
        self.passage: Passage | None = None
        """What the dialect changes in this request and its reply; None: nothing."""
        self.edits: Edits | None = None
        """What it changes in the request, known once the body is here where it takes the body."""
        self.start: Start | None = None
        """The pod it makes, where seats are held until that is ready; None: they are given back with the reply."""
        self.sent = False
        """Whether an upstream may have seen the request."""

    @property
    def retry(self) -> Retry:
        """The route's rule for further tries; one try without a route."""
        return _ONE_TRY if self.route is None else self.route.retry

    @property
    def paced(self) -> bool:
        """Whether a rate counts when the request is sent."""
        return self.route is not None and self.route.name in self.snapshot.paced

    @property
    def shadow(self) -> bool:
        """Whether the route only counts what it would do."""
        return self.route is not None and self.route.mode is Mode.SHADOW


_ONE_TRY = Retry()
_NO_QUEUE = Queue()
