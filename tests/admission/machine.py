"""Whatever may happen to a pool, in any order, with time as an input; checked by :class:`Watch` after every step."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.admission import events
from proxy.admission.events import Arrive, Bounds, Effect, Event, LimitSpec, Need, Relimit
from proxy.admission.pool import Pool
from proxy.admission.view import TicketState
from proxy.domain.ids import Instant, LimitName, RouteName, Scope, Seconds, TenantName, TicketId, VisitId
from tests.admission.invariants import Watch, accounts

T = TypeVar("T")

TENANTS = ["acme", "beta", "gamma"]
WEIGHTS = {"acme": 4.0, "beta": 1.0, "gamma": 0.25}
ROUTES = {
    "create": ("creates", "pace", "shared"),
    "fork": ("shared",),
    "live": ("live", "creates"),
    "paced": ("pace",),
    "rest": (),
}
STEPS = [0.0, 0.01, 0.25, 0.5, 1.0, 3.0, 11.0, 40.0]

numbers = st.integers(0, 4)
specs = st.fixed_dictionaries(
    {
        "creates": st.builds(LimitSpec, seats=numbers),
        "shared": st.builds(LimitSpec, seats=st.integers(1, 6)),
        "live": st.builds(LimitSpec, seats=numbers, own_seats=st.just({"key-acme": 2})),
        "pace": st.builds(LimitSpec, per_second=st.sampled_from([0.5, 2.0, 10.0]), burst=st.integers(1, 3)),
    }
)
changes = st.one_of(
    specs,
    specs.map(lambda limits: {name: spec for name, spec in limits.items() if name != "shared"}),
    specs.map(lambda limits: {**limits, "creates": limits["pace"]}),
    specs.map(lambda limits: {**limits, "pace": limits["creates"]}),
)


class PoolMachine(RuleBasedStateMachine):
    """Callers are visits; ``waiting`` and ``holding`` is what they were told."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.pool = Pool(Relimit({}))
        self.watch = Watch(self.pool)
        self.visits = 0
        self.told: dict[int, str] = {}
        """What each visit was last told: waits or holds. Who was refused is gone."""
        self.ticket_of: dict[int, TicketId] = {}
        self.names: list[TicketId] = []
        self.drained = False
        self.leaving: int | None = None

    @initialize(limits=specs)
    def begin(self, limits: dict[str, LimitSpec]) -> None:
        self._apply(_relimit(limits))

    # -- callers ------------------------------------------------------------------------------------
    @rule(
        tenant=st.sampled_from(TENANTS),
        route=st.sampled_from(sorted(ROUTES)),
        cost=st.sampled_from([1, 1, 1, 2, 3]),
        patience=st.sampled_from([0.0, 1.0, 10.0, 1000.0]),
        linger=st.sampled_from([0.0, 5.0, 30.0]),
        identity=st.sampled_from([None, b"x", b"y"]),
        back=st.one_of(st.none(), st.integers(0, 50)),
        early=st.booleans(),
    )
    def arrive(
        self, tenant: str, route: str, cost: int, patience: float, linger: float,
        identity: bytes | None, back: int | None, early: bool,
    ) -> None:  # fmt: skip
        self.visits += 1
        name = TicketId(f"t{self.visits}")
        claims = None if back is None or not self.names else self.names[-1 - back % len(self.names)]
        known = None if claims is None else self.pool._tickets.get(claims)
        if known is not None and cost < 3:  # mostly by its owner
            tenant, route = known.queue.tenant, known.queue.route
        self.names.append(name)
        needs = tuple(Need(LimitName(limit), _scope(limit, tenant), cost) for limit in ROUTES[route])
        self.told[self.visits] = "arrives"
        self._apply(
            Arrive(
                name, VisitId(self.visits), TenantName(tenant), RouteName(route), needs, WEIGHTS[tenant],
                Seconds(patience), Seconds(linger), Bounds(3, 6), Scope(f"key-{tenant}"), claims, identity,
                early and patience < 1000,
            )
        )  # fmt: skip
        assert self.told.get(self.visits) != "arrives", "nobody is left without a word"

    @rule(which=st.integers(0, 50))
    def leave(self, which: int) -> None:
        visit = self._pick(sorted(self.told), which)
        if visit is not None:
            self._leave(visit)

    @rule(which=st.integers(0, 50))
    def leave_after_the_end(self, which: int) -> None:
        """Whoever was refused leaves too: that is silence."""
        gone = sorted(set(self.ticket_of) - set(self.told))
        visit = self._pick(gone, which)
        if visit is not None:
            before = {id: ticket.state for id, ticket in self.pool._tickets.items()}
            effects = self._apply(events.Leave(self.ticket_of[visit], VisitId(visit)))
            if not effects:
                assert {id: ticket.state for id, ticket in self.pool._tickets.items()} == before

    @rule(which=st.integers(0, 50), limits=st.sets(st.sampled_from(["creates", "shared", "live", "pace"])))
    def keep(self, which: int, limits: set[str]) -> None:
        """A request is over, and some of what it took is held on; from anybody but a holder that is silence."""
        visit = self._pick(sorted(self.told), which)
        if visit is not None:
            before = {id: list(ticket.holdings) for id, ticket in self.pool._tickets.items()}
            if self.told[visit] == "holds":
                self.told[visit] = "keeps"
            effects = self._apply(
                events.Keep(self.ticket_of[visit], VisitId(visit), {LimitName(one) for one in limits})
            )
            if self.told.get(visit) == "waits" and not effects:
                assert {id: list(ticket.holdings) for id, ticket in self.pool._tickets.items()} == before

    @rule(which=st.integers(0, 50))
    def try_again_after_the_end(self, which: int) -> None:
        """Whoever keeps seats has had its reply: it waits never again."""
        visit = self._pick([v for v, word in sorted(self.told.items()) if word == "keeps"], which)
        if visit is not None:
            self._apply(events.RetryLater(self.ticket_of[visit], VisitId(visit), Seconds(0.0)))

    @rule(which=st.integers(0, 50), rest=st.sampled_from([0.0, 0.0, 2.0, 20.0]))
    def retry_later(self, which: int, rest: float) -> None:
        visit = self._pick([v for v, word in sorted(self.told.items()) if word == "holds"], which)
        if visit is not None:
            self.told[visit] = "waits"
            self._apply(events.RetryLater(self.ticket_of[visit], VisitId(visit), Seconds(rest)))

    # -- the world ----------------------------------------------------------------------------------
    @rule(tenant=st.sampled_from(TENANTS), seconds=st.sampled_from([0.0, 0.5, 5.0]))
    def close_gate(self, tenant: str, seconds: float) -> None:
        self._apply(events.CloseGate(Scope(f"key-{tenant}"), Seconds(seconds)))

    @rule(limits=changes)
    def relimit(self, limits: dict[str, LimitSpec]) -> None:
        self._apply(events.Tick())  # what is due now comes first
        waiting = {visit for visit, word in self.told.items() if word == "waits"}
        self._apply(_relimit(limits))
        assert waiting <= set(self.told), "nobody is evicted by new limits"

    @rule(which=st.integers(0, 50))
    def evict(self, which: int) -> None:
        name = self._pick(self.names[-20:], which)
        if name is not None:
            self._apply(events.Evict(name))

    @rule(seconds=st.sampled_from(STEPS))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self._apply(events.Tick())

    @rule()
    def pass_to_the_next_deadline(self) -> None:
        due = self.pool.next_deadline()
        if due is not None:
            self.now = max(self.now, due)
            self._apply(events.Tick())

    @rule(really=st.integers(0, 9))
    def drain(self, really: int) -> None:
        if really == 0:
            self.drained = True
            self._apply(events.Drain())

    # -- always -------------------------------------------------------------------------------------
    @invariant()
    def what_callers_were_told_is_so(self) -> None:
        """I5, I6: who was granted holds, who was told to wait waits, and nobody else has anything."""
        states = {ticket.visit: ticket.state for ticket in self.pool._tickets.values() if ticket.visit >= 0}
        words = {TicketState.HOLDING: "holds", TicketState.WAITING: "waits"}
        told = {visit: "holds" if word == "keeps" else word for visit, word in self.told.items()}
        assert {visit: words.get(state, "?") for visit, state in states.items()} == told

    @invariant()
    def time_has_brought_what_it_had_to(self) -> None:
        for ticket in self.pool._tickets.values():
            if ticket.state is not TicketState.HOLDING:
                assert ticket.wake >= self.now, "a deadline passed unnoticed"

    def teardown(self) -> None:
        """With nobody here, nothing is left (I2), whatever was before."""
        for visit in sorted(self.told):
            if visit in self.told:
                self._leave(visit)
        self.now += 5000
        self._apply(events.Tick())
        assert not self.pool._tickets
        for account in accounts(self.pool):
            assert not account.active
            assert not account.parked
            assert not account._debtors
        assert all(not len(queue) and not queue.holding for queue in self.pool._room.queues())

    # -- helpers ------------------------------------------------------------------------------------
    def _apply(self, event: Event) -> list[Effect]:
        now = Instant(self.now)
        effects = self.pool.apply(event, now)
        for effect in effects:
            self._hear(effect)
        self.watch.check(event, effects, now)
        return effects

    def _leave(self, visit: int) -> None:
        del self.told[visit]
        self.leaving = visit
        self._apply(events.Leave(self.ticket_of[visit], VisitId(visit)))
        self.leaving = None

    def _hear(self, effect: Effect) -> None:
        if not isinstance(effect, events.Lapsed) and effect.visit == self.leaving:
            return  # time had to bring that first; who leaves does not hear it
        match effect:
            case events.Granted(ticket, visit):
                assert self.told.get(visit) in ("waits", "arrives"), f"I5: {ticket} granted twice, or to nobody"
                assert not self.drained, "I11: granted while draining"
                self.told[visit], self.ticket_of[visit] = "holds", ticket
            case events.Waits(ticket, visit):
                assert self.told.get(visit) == "arrives"
                self.told[visit], self.ticket_of[visit] = "waits", ticket
            case events.Refused(ticket, visit):
                assert self.told.pop(visit, None) in ("waits", "arrives"), f"{ticket} refused, and not waiting"
                self.ticket_of[visit] = ticket
                assert effect.retry_after >= 1

    @staticmethod
    def _pick(items: list[T], which: int) -> T | None:
        return items[which % len(items)] if items else None


def _relimit(limits: dict[str, LimitSpec]) -> Relimit:
    return Relimit({LimitName(name): spec for name, spec in limits.items()})


def _scope(limit: str, tenant: str) -> Scope:
    """``creates`` per tenant, ``live`` per credential, the others one for all."""
    return Scope({"creates": tenant, "live": f"key-{tenant}"}.get(limit, "all"))
