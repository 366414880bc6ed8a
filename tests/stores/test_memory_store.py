"""The memory store on a loop: whoever leaves, at whatever moment, leaves nothing behind.

Most run in virtual time. The last part runs on a real loop (asyncio's and uvloop), where the order of callbacks in
one turn is the loop's own: it checks what must hold in any order, and measures nothing.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest
import uvloop

from proxy.admission.events import Arrive, Bounds, Need
from proxy.domain.errors import Draining, Evicted, NeverFits, PatienceOver, QueueFull, Superseded
from proxy.domain.ids import LimitName, RouteName, Scope, Seconds, TenantName, TicketId, VisitId
from proxy.domain.quantities import Rate
from proxy.policy.policyset import KnownTenant, Limit, Per, PolicySet, Tenants, Timeouts
from proxy.stores.memory import MemoryStore, MemoryVisit
from tests.admission.invariants import accounts
from tests.support.virtual_time import virtual

CREATES, PACE = LimitName("creates"), LimitName("pace")
PLENTY = Bounds(5000, 5000)


def policy(seats: int, *, per_second: float | None = None, own: Mapping[str, int] | None = None) -> PolicySet:
    """A policy of one limit of seats, and of one rate where asked for."""
    limits = {CREATES: Limit(CREATES, seats, None, 1, Per.TENANT)}
    if per_second is not None:
        limits[PACE] = Limit(PACE, None, Rate(per_second, Seconds(1.0)), 1, Per.UPSTREAM)
    known = tuple(KnownTenant(name, seats={CREATES: number}) for name, number in (own or {}).items())
    return PolicySet({}, Tenants(known=known), limits, (), {}, Timeouts(), "digest")


class Callers:
    """Makes arrivals, each with a name and a visit of its own."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.count = 0

    def arrive(
        self,
        *,
        tenant: str = "acme",
        scope: str = "all",
        cost: int = 1,
        patience: float = 45.0,
        linger: float = 30.0,
        bounds: Bounds = PLENTY,
        claims: TicketId | None = None,
        pace: bool = False,
    ) -> MemoryVisit:
        self.count += 1
        needs = (Need(CREATES, Scope(scope), cost), *((Need(PACE, Scope("all")),) if pace else ()))
        return self.store.arrive(
            Arrive(
                TicketId(f"t{self.count}"),
                VisitId(self.count),
                TenantName(tenant),
                RouteName("create"),
                needs,
                1.0,
                Seconds(patience),
                Seconds(linger),
                bounds,
                Scope("gate"),
                claims,
            )
        )


@asynccontextmanager
async def callers(seats: int, *, per_second: float | None = None) -> AsyncIterator[Callers]:
    """A store, its callers, and at the end the proof that nothing is left."""
    store = MemoryStore(policy(seats, per_second=per_second), asyncio.get_running_loop())
    try:
        yield Callers(store)
    finally:
        store.close()
    assert_nothing_left(store)


def assert_nothing_left(store: MemoryStore) -> None:
    """No visits, tickets, seats, queues or places; the timer is off for good."""
    pool = store._pool
    assert not store._visits
    assert not pool._tickets
    assert not len(pool._room._places)
    assert not pool._room._connected
    assert not pool._room._kept
    assert all(not len(queue) and not queue.holding for queue in pool._room.queues())
    for account in accounts(pool):
        assert not account.active
        assert not account.parked
    assert sum(limit.held for limit in store.view().limits if limit.name == CREATES) == 0
    assert store._timer is None


# -- turns and refusals -----------------------------------------------------------------------------------
@virtual
async def test_a_seat_is_handed_on_when_its_holder_leaves() -> None:
    async with callers(1) as some:
        first, second = some.arrive(), some.arrive()
        await first.turn()
        assert first.granted
        waiting = asyncio.ensure_future(second.turn())
        await asyncio.sleep(1)
        assert not waiting.done()
        first.leave()
        await waiting
        assert second.granted
        second.leave()
        second.leave()


@virtual
async def test_time_alone_grants_and_refuses() -> None:
    loop = asyncio.get_running_loop()
    async with callers(9, per_second=2) as some:
        begin = loop.time()
        visits = [some.arrive(pace=True) for _ in range(3)]
        for visit in visits:
            await visit.turn()
        assert loop.time() - begin == pytest.approx(1.02)
        late = some.arrive(pace=True, patience=0.3, linger=0)
        with pytest.raises(PatienceOver) as refused:
            await late.turn()
        assert loop.time() - begin == pytest.approx(1.32)
        assert refused.value.ticket is None
        for visit in [*visits, late]:
            visit.leave()


@virtual
async def test_a_refused_caller_that_leaves_can_come_back_to_its_place() -> None:
    async with callers(1) as some:
        holder, first, other = some.arrive(), some.arrive(patience=2), some.arrive()
        with pytest.raises(PatienceOver) as refused:
            await first.turn()
        first.leave()
        again = some.arrive(claims=refused.value.ticket)
        assert again.ticket == first.ticket
        holder.leave()
        await again.turn()
        assert not other.granted, "the older place goes first"
        assert again.look() is not None
        again.leave()
        await other.turn()
        other.leave()


@virtual
async def test_a_kept_place_lapses_by_itself() -> None:
    async with callers(1) as some:
        holder, first = some.arrive(), some.arrive(patience=2, linger=3)
        with pytest.raises(PatienceOver):
            await first.turn()
        first.leave()
        assert some.store.look(first.ticket) is not None
        await asyncio.sleep(3)
        assert some.store.look(first.ticket) is None
        holder.leave()


@virtual
async def test_every_refusal_is_raised_by_turn_even_when_it_came_before() -> None:
    async with callers(1) as some:
        holder = some.arrive()
        wide = some.arrive(cost=2)
        waiting = some.arrive()
        full = some.arrive(bounds=Bounds(1, 1))
        newer = some.arrive(claims=waiting.ticket)
        assert some.store.evict(newer.ticket)
        assert not some.store.evict(holder.ticket)
        assert not some.store.evict(TicketId("nobody"))
        drained = some.arrive()
        some.store.drain()
        expected = ((wide, NeverFits), (waiting, Superseded), (full, QueueFull), (newer, Evicted), (drained, Draining))
        for visit, error in expected:
            with pytest.raises(error):
                await visit.turn()
            visit.leave()
        assert holder.granted
        holder.leave()


@virtual
async def test_trying_again_waits_out_the_rest() -> None:
    loop = asyncio.get_running_loop()
    async with callers(1) as some:
        visit = some.arrive()
        await visit.turn()
        begin = loop.time()
        visit.retry_later(Seconds(5))
        assert not visit.granted
        await visit.turn()
        assert loop.time() - begin == 5
        visit.leave()


@virtual
async def test_seats_stay_held_beyond_the_request() -> None:
    async with callers(1) as some:
        first, second = some.arrive(), some.arrive()
        assert not second.keep({CREATES}), "it waits"
        assert first.keep({CREATES})
        assert not second.granted
        assert not first.keep(set()), "nothing is left to be held"
        await second.turn()
        first.leave()
        assert not first.keep({CREATES}), "it has left"
        assert second.keep({CREATES})
        second.leave()


@virtual
async def test_new_limits_and_gates_reach_the_pool() -> None:
    loop = asyncio.get_running_loop()
    async with callers(1) as some:
        first, second, acme = some.arrive(), some.arrive(), some.arrive(scope="acme")
        some.store.reconfigure(policy(1, own={"all": 2}))
        await second.turn()
        begin = loop.time()
        some.store.close_gate(Scope("gate"), Seconds(4))
        late = some.arrive(tenant="beta", scope="beta")
        await late.turn()
        assert loop.time() - begin == 4
        for visit in (first, second, acme, late):
            visit.leave()


@virtual
async def test_after_close_no_timer_is_set() -> None:
    store = MemoryStore(policy(1), asyncio.get_running_loop())
    some = Callers(store)
    holder, waiting = some.arrive(), some.arrive(patience=9)
    store.close()
    later = some.arrive(patience=1)
    assert store._timer is None
    for visit in (later, waiting, holder):
        visit.leave()
    assert_nothing_left(store)


# -- leaving at any moment --------------------------------------------------------------------------------
class Journey:
    """What a request does with a visit, as a task: arrive, wait, work, leave whatever happens."""

    def __init__(self, arrive: Callable[[], MemoryVisit], seconds: float = 0.0) -> None:
        self.visit: MemoryVisit | None = None
        self.task = asyncio.ensure_future(self._go(arrive, seconds))

    def holds(self) -> bool:
        return self.visit is not None and self.visit.granted and not self.task.done()

    async def _go(self, arrive: Callable[[], MemoryVisit], seconds: float) -> str:
        self.visit = arrive()
        try:
            await self.visit.turn()
            await asyncio.sleep(seconds)
            return "served"
        except PatienceOver:
            return "patience over"
        finally:
            self.visit.leave()


@virtual
async def test_cancelled_in_the_turn_of_the_grant_gives_the_seat_on() -> None:
    async with callers(1) as some:
        holder = some.arrive()
        first, second = Journey(some.arrive), Journey(some.arrive)
        await asyncio.sleep(1)
        holder.leave()
        assert first.holds(), "granted, and its task has not run yet"
        first.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first.task
        assert await second.task == "served"
        assert not some.store.view().tickets


class Storm:
    """500 callers of five tenants on four seats, who leave at random: before their first step, while waiting, in the
    turn of their grant, while holding."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.left = dict.fromkeys(("at once", "waiting", "with the grant", "holding"), 0)
        self.alive: list[Journey] = []

    async def blow(self, some: Callers) -> None:
        dice = self.dice
        for _ in range(500):
            cost, tenant, patience = dice.choice((1, 1, 1, 2)), f"t{dice.randrange(5)}", dice.uniform(1, 60)
            arrive = functools.partial(some.arrive, cost=cost, tenant=tenant, patience=patience, linger=0)
            journey = Journey(arrive, dice.uniform(0, 2))
            if dice.random() < 0.1:
                journey.task.cancel()
                self.left["at once"] += 1
            self.alive.append(journey)
            if dice.random() < 0.7:
                await asyncio.sleep(dice.choice((0, 0, 0.1, 0.5)))
            if dice.random() < 0.6:
                self.leave_one()
        while self.alive:
            self.leave_one()
            await asyncio.sleep(dice.choice((0, 0, 0.3)))
            self.alive = [journey for journey in self.alive if not journey.task.done()]

    def leave_one(self) -> None:
        self.alive = [journey for journey in self.alive if not journey.task.done()]
        if not self.alive:
            return
        journey = self.dice.choice(self.alive)
        held = journey.holds()
        how = "holding" if held else "waiting"
        holders = [other for other in self.alive if other.holds()]
        if holders and not held:  # another one's leaving may grant it in this very turn of the loop
            other = self.dice.choice(holders)
            assert other.visit is not None
            other.visit.leave()
            other.task.cancel()
            how = "with the grant" if journey.holds() else how
        self.left[how] += 1
        journey.task.cancel()


@pytest.mark.parametrize("seed", range(4))
def test_two_thousand_callers_leave_at_random_points(seed: int) -> None:
    storm = Storm(seed)

    @virtual
    async def scenario() -> None:
        async with callers(4) as some:
            await storm.blow(some)

    scenario()
    assert min(storm.left.values()) >= 5, f"every moment was tried: {storm.left}"


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_two_thousand_callers_on_a_real_loop(factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
    dice = random.Random(1)

    async def scenario() -> None:
        async with callers(8, per_second=20_000) as some:
            for _ in range(100):
                arrive = functools.partial(some.arrive, pace=dice.random() < 0.5, linger=0.0, tenant=dice.choice("ab"))
                journeys = [Journey(arrive) for _ in range(20)]
                for journey in dice.sample(journeys, 12):
                    for _ in range(dice.randrange(3)):
                        await asyncio.sleep(0)
                    journey.task.cancel()
                results = await asyncio.gather(*(one.task for one in journeys), return_exceptions=True)
                assert all(one == "served" or isinstance(one, asyncio.CancelledError) for one in results), results
            last = some.arrive(pace=True)
            await last.turn()
            last.leave()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scenario())
