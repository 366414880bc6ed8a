"""Stories: what happens to a pool at which time, and every effect that must follow, in order.

    story = Story(creates=seats(2))
    story.at(0).arrive("a", "b", "c").expect(Granted("a"), Granted("b"), Waits("c"))
    story.at(1).leave("a").expect(Granted("c"))

A name is a caller and, unless it comes back to an older place, its ticket. ``at`` lets every deadline before pass at
its own moment; an effect that nobody expected fails the story. The invariants are checked after every step.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from proxy.admission import events
from proxy.admission.events import Arrive, Bounds, Event, LimitSpec, Need, Relimit, Why
from proxy.admission.pool import Pool
from proxy.admission.view import TicketView
from proxy.domain.ids import Instant, LimitName, RouteName, Scope, Seconds, TenantName, TicketId, VisitId
from tests.admission.invariants import Watch


@dataclass(frozen=True)
class Granted:
    caller: str
    ticket: str = ""


@dataclass(frozen=True)
class Waits:
    caller: str
    ticket: str = ""


@dataclass(frozen=True)
class Refused:
    caller: str
    why: Why
    kept: bool = False
    ticket: str = ""


@dataclass(frozen=True)
class Lapsed:
    ticket: str


Line = Granted | Waits | Refused | Lapsed


def seats(number: int, **own: int) -> LimitSpec:
    """A limit of seats; ``own`` are the numbers of single scopes."""
    return LimitSpec(seats=number, own_seats=own)


def rate(per_second: float, burst: int = 1, **own: float) -> LimitSpec:
    """A limit of a rate."""
    return LimitSpec(per_second=per_second, burst=burst, own_rates=own)


class Story:
    """A pool and its history. Every caller needs one seat of each limit named at the beginning, scope ``all``."""

    def __init__(self, **limits: LimitSpec) -> None:
        self.pool = Pool(Relimit(_named(limits)))
        self.now = 0.0
        self.quiet = False
        """Neither note effects nor check invariants, for steps by the thousand."""
        self.last: list[events.Effect] = []
        """The effects of the last step, in full."""
        self._needs = tuple(need(name) for name in limits)
        self._visits: dict[str, int] = {}
        self._tickets: dict[str, str] = {}
        self._unread: list[tuple[float, Line]] = []
        self._watch = Watch(self.pool)

    # -- what happens -------------------------------------------------------------------------------
    def at(self, now: float) -> Story:
        """Let time pass until ``now``."""
        assert not self._unread, f"nobody expected {self._unread}"
        self.last = []
        while (due := self.pool.next_deadline()) is not None and due <= now:
            self.now = max(self.now, due)
            self._apply(events.Tick())
        self.now = now
        return self._step(events.Tick())

    def arrive(self, *names: str, **how: Any) -> Story:
        """Callers arrive one after the other; see :meth:`arrival` for how."""
        self.last = []
        for name in names:
            self._apply(self.arrival(name, **how))
        return self

    def leave(self, *names: str) -> Story:
        self.last = []
        for name in names:
            self._apply(events.Leave(self._ticket(name), self._visit(name)))
        return self

    def keep(self, name: str, *limits: str) -> Story:
        """Its request is over; of what it holds these limits' seats stay held."""
        return self._step(events.Keep(self._ticket(name), self._visit(name), {LimitName(limit) for limit in limits}))

    def depart(self, *names: str) -> Story:
        """What they were granted is sent upstream now."""
        for name in names:
            self._apply(events.Departs(self._ticket(name), self._visit(name)))
        return self

    def retry_later(self, name: str, rest: float = 0.0) -> Story:
        return self._step(events.RetryLater(self._ticket(name), self._visit(name), Seconds(rest)))

    def close_gate(self, scope: str, seconds: float) -> Story:
        return self._step(events.CloseGate(Scope(scope), Seconds(seconds)))

    def relimit(self, **limits: LimitSpec) -> Story:
        return self._step(Relimit(_named(limits)))

    def evict(self, name: str) -> Story:
        return self._step(events.Evict(self._ticket(name)))

    def drain(self) -> Story:
        return self._step(events.Drain())

    def arrival(
        self,
        name: str,
        *,
        tenant: str = "acme",
        route: str = "create",
        needs: tuple[Need, ...] | None = None,
        weight: float = 1.0,
        patience: float = 45.0,
        linger: float = 30.0,
        bounds: tuple[int, int] = (500, 2000),
        gate: str = "key",
        claims: str | None = None,
        identity: bytes | None = None,
        refuse_early: bool = False,
    ) -> Arrive:
        return Arrive(
            TicketId(name),
            self._visit(name),
            TenantName(tenant),
            RouteName(route),
            self._needs if needs is None else needs,
            weight,
            Seconds(patience),
            Seconds(linger),
            Bounds(*bounds),
            Scope(gate),
            None if claims is None else TicketId(claims),
            identity,
            refuse_early,
        )

    # -- what must follow ---------------------------------------------------------------------------
    def take(self) -> list[Line]:
        """The effects since the last ``expect``, for a story that goes on by what they say."""
        lines, self._unread = [line for _, line in self._unread], []
        return lines

    def expect(self, *expected: Line) -> Story:
        """Exactly these effects since the last ``expect``, in this order."""
        actual = [f"{now:g}  {line}" for now, line in self._unread]
        wanted = [f"{now:g}  {line}" for now, line in zip(self._times(len(expected)), expected, strict=True)]
        if [line for _, line in self._unread] != list(expected):
            diff = "\n".join(difflib.ndiff(wanted, actual))
            raise AssertionError(f"at {self.now:g} (- expected, + actual)\n{diff}")
        self._unread = []
        return self

    def look(self, name: str) -> TicketView:
        view = self.pool.look(self._ticket(name), Instant(self.now))
        assert view is not None, f"{name} is gone"
        return view

    def refusal(self) -> events.Refused:
        """The last refusal, in full."""
        return next(effect for effect in reversed(self.last) if isinstance(effect, events.Refused))

    def _times(self, count: int) -> list[float]:
        times = [now for now, _ in self._unread][:count]
        return times + [self.now] * (count - len(times))

    def _step(self, event: Event) -> Story:
        if not isinstance(event, events.Tick):
            self.last = []
        self._apply(event)
        return self

    def _apply(self, event: Event) -> None:
        effects = self.pool.apply(event, Instant(self.now))
        self.last += effects
        if self.quiet:
            return
        for effect in effects:
            self._unread.append((self.now, self._line(effect)))
        self._watch.check(event, effects, Instant(self.now))

    def _line(self, effect: events.Effect) -> Line:
        if isinstance(effect, events.Lapsed):
            return Lapsed(effect.ticket)
        caller = next(name for name, visit in self._visits.items() if visit == effect.visit)
        self._tickets[caller] = effect.ticket
        ticket = "" if effect.ticket == caller else effect.ticket
        if isinstance(effect, events.Granted):
            return Granted(caller, ticket)
        if isinstance(effect, events.Waits):
            return Waits(caller, ticket)
        return Refused(caller, effect.why, effect.kept, ticket)

    def _visit(self, name: str) -> VisitId:
        return VisitId(self._visits.setdefault(name, len(self._visits) + 1))

    def _ticket(self, name: str) -> TicketId:
        return TicketId(self._tickets.get(name, name))


def need(limit: str, scope: str = "all", cost: int = 1) -> Need:
    return Need(LimitName(limit), Scope(scope), cost)


def _named(limits: dict[str, LimitSpec]) -> dict[LimitName, LimitSpec]:
    return {LimitName(name): spec for name, spec in limits.items()}
