"""The pods that are starting, and the seats their creates hold until that is over (``hold: ready``).

A create's reply names its pod. From then on whatever passes tells of it, whoever asked: a GET, LIST or WATCH that
shows it, a DELETE, a 404. The seats are given back when it is Ready, when its mains are final or it is being deleted
(what was starting is over, whatever the sidecar does: design.md §2.9), and ``ready_within`` after the create's reply
whatever is known. Where nobody else looks, Headgate does: :mod:`proxy.pipeline.looking`.

A pod is its uid: one of the same name made anew is another. A status alone (a 404) tells no uid and counts for a pod
of that name that was known when its request was sent: a GET may be answered before the create, and pass after it.

A create without a pod gives its seats back with its reply: one that failed, and one whose reply cannot be read, which
is counted as ``unread``. There are at most as many starts here as seats and creates under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from proxy.dialects.translation import PassedAsItWas, PodSeen, PodState, Translator, Witness
from proxy.domain.ids import Instant, LimitName, RouteName, UpstreamName
from proxy.pipeline.looking import Errand, Looking
from proxy.policy.policyset import Hold, Limit
from proxy.ports import Clock, HoldEnd, HoldObserver, Looker, Visit

if TYPE_CHECKING:
    from proxy.pipeline.trip import Trip

_CREATE: Final = "create"
"""The operation, in every dialect, whose reply names what it made."""


class Start:
    """One create with ``hold: ready``: the witness of its own reply, then what holds its seats.

    ``settle`` is called once, when its request is over, however it ended.
    """

    expecting: Final = True

    def __init__(self, book: StartingPods, trip: Trip, translator: Translator, limits: tuple[Limit, ...]) -> None:
        self._book = book
        self._trip: Trip | None = trip
        self._translator = translator
        self._limits = limits
        self.route = RouteName(trip.record.route)
        self.upstream: UpstreamName = trip.serving.upstream.name
        self.pod: PodSeen | None = None
        """The pod as the create's reply showed it."""
        self.since = self.heard = Instant(0.0)
        """When that was; when anything was last heard of it."""
        self.end: HoldEnd | None = None
        self.visit: Visit | None = None
        """Whose seats are held for it, once its request is over."""
        self.timer: asyncio.TimerHandle | None = None
        self.looks: asyncio.Task[None] | None = None

    # -- the witness of the create's own reply -----------------------------------------------------------
    def saw(self, pod: PodSeen) -> None:
        """The first pod that the reply shows is the one that was made."""
        if self.pod is None and pod.uid:
            self._book.enter(self, pod)
        else:
            self._book.saw(pod)

    def rewritten(self) -> None:
        self._book.rewritten()

    def passed(self, why: PassedAsItWas) -> None:
        self._book.passed(why)

    # -- its seats -----------------------------------------------------------------------------------------
    def settle(self, visit: Visit) -> None:
        """The request is over: keep the seats that its pod still needs, and give back all others."""
        trip, self._trip = self._trip, None
        assert trip is not None, "a request is over once"
        if self.pod is None:
            visit.leave()
            if 200 <= trip.record.status < 300:
                self._book.observer.hold_ended(self.route, "unread")
        elif self.end is None and visit.keep(self.due(self._book.clock())[0]):
            self.visit = visit
            self._book.set_timer(self)  # first: whatever goes wrong now, the seats are not lost
            self.looks = self._book.looking.follow(self, Errand(trip, self._translator, self.pod))
        else:
            self._book.end(self, "late")
            visit.leave()
            self._book.observer.hold_ended(self.route, self.end or "late")

    def due(self, now: Instant) -> tuple[frozenset[LimitName], float]:
        """The limits whose ``ready_within`` is not over, and the seconds until the next one is."""
        left = {limit.name: self.since + limit.ready_within - now for limit in self._limits}
        left = {name: seconds for name, seconds in left.items() if seconds > 0}
        return frozenset(left), min(left.values(), default=0.0)


class StartingPods:
    """Every start of a process by its pod's name. The witness of all replies but those of creates with seats here.

    ``others`` counts what passes.
    """

    def __init__(
        self,
        others: Witness,
        looker: Looker,
        observer: HoldObserver,
        clock: Clock,
        chance: Callable[[], float],
        epoch: Callable[[], float],
        crashed: Callable[[BaseException], None],
    ) -> None:
        self.observer = observer
        self.clock = clock
        self._others = others
        self.looking = Looking(self, looker, observer, clock, chance, epoch, crashed)
        self._starts: dict[tuple[str, str], list[Start]] = {}
        self._stopped = False

    def begin(self, trip: Trip) -> Start | None:
        """The start of a create with ``hold: ready``; None for every other request."""
        translator = trip.serving.translator
        if trip.resolution.operation != _CREATE or translator is None or trip.route is None:
            return None
        known = trip.snapshot.policies.limits
        limits = tuple(known[name] for name in trip.route.limits if known[name].hold is Hold.READY)
        return Start(self, trip, translator, limits) if limits else None

    def stop(self) -> None:
        """The process ends: all seats are given back, no pod is looked at, none is waited for from now on."""
        self._stopped = True
        for start in [start for starts in self._starts.values() for start in starts]:
            self.end(start, "closed")

    async def close(self) -> None:
        """Stop, and wait until no look is under way."""
        self.stop()
        await self.looking.close()

    # -- the witness -----------------------------------------------------------------------------------
    @property
    def expecting(self) -> bool:
        """Whether any pod is starting."""
        return bool(self._starts)

    def saw(self, pod: PodSeen) -> None:
        """A reply showed this pod."""
        for start in tuple(self._starts.get((pod.namespace, pod.name), ())):
            if start.pod is not None and start.pod.uid == pod.uid:
                self._hear(start, pod.state)

    def told(self, upstream: UpstreamName, pod: PodSeen, asked: Instant) -> None:
        """A reply's status alone told this of a pod by its name; its request was sent at ``asked``."""
        for start in tuple(self._starts.get((pod.namespace, pod.name), ())):
            if start.upstream == upstream and start.since < asked:
                self._hear(start, pod.state)

    def rewritten(self) -> None:
        self._others.rewritten()

    def passed(self, why: PassedAsItWas) -> None:
        self._others.passed(why)

    # -- starts ------------------------------------------------------------------------------------------
    def enter(self, start: Start, pod: PodSeen) -> None:
        """The reply to the create names its pod: it is waited for from now on, though its request is not over."""
        key = (pod.namespace, pod.name)
        for older in tuple(self._starts.get(key, ())):
            if older.upstream == start.upstream and older.pod is not None and older.pod.uid != pod.uid:
                self.end(older, "gone")  # or this one could not have been made
        start.pod = pod
        start.since = start.heard = self.clock()
        self._starts.setdefault(key, []).append(start)
        if self._stopped:
            self.end(start, "closed")
        else:
            self._hear(start, pod.state)

    def set_timer(self, start: Start) -> None:
        """Its request is over, and seats are held for it; some of them not beyond the next ``ready_within``."""
        seconds = start.due(self.clock())[1]
        start.timer = asyncio.get_running_loop().call_later(seconds, self._time_is_over, start)

    def end(self, start: Start, why: HoldEnd) -> None:
        """It is over; what is held for it is given back. A second word changes nothing."""
        if start.end is not None or start.pod is None:
            return
        start.end = why
        key = (start.pod.namespace, start.pod.name)
        self._starts[key].remove(start)
        if not self._starts[key]:
            del self._starts[key]
        if start.timer is not None:
            start.timer.cancel()
        if start.looks is not None:
            start.looks.cancel()
        if start.visit is not None:
            start.visit.leave()
            self.observer.hold_ended(start.route, why)

    def _hear(self, start: Start, state: PodState) -> None:
        if state == "starting":
            start.heard = self.clock()
        else:
            self.end(start, state)

    def _time_is_over(self, start: Start) -> None:
        """Of one limit, and the others go on; or of the last one."""
        kept = start.due(self.clock())[0]
        if kept and start.visit is not None and start.visit.keep(kept):
            self.set_timer(start)
        else:
            self.end(start, "late")
