"""Scenarios in virtual time against an independent max-min oracle (peers.md §6.2, distributed.md T6).

Measured in seats in use, not in requests served: a tenant of slow requests has a right to as many seats as one of
quick ones (k8s#110499). ``margin`` is relative to the fair answer. The last test shows that FIFO fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from proxy.admission.events import LimitSpec
from tests.simulation.oracle import max_min
from tests.simulation.schedulers import Fifo, PoolScheduler, pool_world
from tests.simulation.world import Job, World, closed_loop

MARGIN = 0.1
"""For all scenarios that state none (distributed.md T6)."""


def fair(world: World, begin: float, end: float, answer: dict[str, float], margin: float = MARGIN) -> bool:
    """Whether everybody had its fair number of seats over a window, within a margin."""
    had = world.concurrency(begin, end)
    return all(abs(had[tenant] - seats) <= margin * seats for tenant, seats in answer.items())


def uniform(world: World) -> bool:
    """Equal tenants, equal work, one with ten times the clients."""
    for tenant, clients in (("a", 8), ("b", 8), ("c", 80)):
        closed_loop(world, tenant, clients, 5.0)
    world.run(600)
    return fair(world, 50, 600, max_min({"a": 8, "b": 8, "c": 80}, 12), 0.02)


def unequal_demand(world: World) -> bool:
    """One wants less than its part and gets it all; the others share the rest."""
    closed_loop(world, "modest", 2, 5.0)
    closed_loop(world, "greedy", 50, 5.0)
    closed_loop(world, "greedier", 100, 5.0)
    world.run(600)
    return fair(world, 50, 600, max_min({"modest": 2, "greedy": 50, "greedier": 100}, 12))


def weights(world: World) -> bool:
    """Weights 1:2:3 on twelve seats."""
    parts = {"a": 1.0, "b": 2.0, "c": 3.0}
    for tenant, weight in parts.items():
        closed_loop(world, tenant, 40, 5.0, weight=weight)
    world.run(600)
    return fair(world, 50, 600, max_min(dict.fromkeys(parts, 40), 12, parts), 0.03)


def part_below_one_seat(world: World) -> bool:
    """A tenant whose part is 0.12 of a seat still gets it: seats alone would starve it or overfeed it."""
    parts = {"small": 1.0, "big": 99.0}
    closed_loop(world, "big", 60, 3.0, weight=99.0)
    closed_loop(world, "small", 5, 3.0, weight=1.0)
    world.run(2500)
    return fair(world, 100, 2500, max_min(dict.fromkeys(parts, 60), 12, parts), 0.1)


def many_tenants_few_seats(world: World) -> bool:
    """Forty tenants on twelve seats, one of them with a hundred clients."""
    names = [f"t{number}" for number in range(40)]
    for number, tenant in enumerate(names):
        closed_loop(world, tenant, 100 if number == 0 else 3, 2.0)
    world.run(2000)
    return fair(world, 100, 2000, max_min(dict.fromkeys(names, 3), 12), 0.05)


def unequal_durations(world: World) -> bool:
    """Requests of 1 s and of 30 s: the same seats, not the same number of requests."""
    closed_loop(world, "quick", 40, 1.0)
    closed_loop(world, "slow", 40, 30.0)
    world.run(2000)
    return fair(world, 200, 2000, max_min({"quick": 40, "slow": 40}, 12), 0.06)


def unequal_durations_below_one_seat(world: World) -> bool:
    """The same among more tenants than seats, where only the account of seat-seconds can be fair."""
    names = {f"quick{number}": 1.0 for number in range(15)} | {f"slow{number}": 10.0 for number in range(15)}
    for tenant, service in names.items():
        closed_loop(world, tenant, 4, service)
    world.run(4000)
    return fair(world, 500, 4000, max_min(dict.fromkeys(names, 4), 12), 0.15)


def late_joiner(world: World) -> bool:
    """Who comes late has its part from then on, no less and no more."""
    closed_loop(world, "early", 120, 5.0)
    closed_loop(world, "late", 40, 5.0, begin=300)
    world.run(900)
    alone = fair(world, 50, 300, {"early": 12}, 0.01)
    return alone and fair(world, 310, 900, max_min({"early": 120, "late": 40}, 12), 0.03)


def windup(world: World) -> bool:
    """Idling earns nothing: after an hour away, a tenant has its part and not what it left unused."""
    closed_loop(world, "busy", 120, 5.0)
    closed_loop(world, "idler", 40, 5.0, end=100)
    closed_loop(world, "idler", 40, 5.0, begin=3700)
    world.run(3900)
    soon = fair(world, 3705, 3720, max_min({"busy": 120, "idler": 40}, 12), 0.26)
    return soon and fair(world, 3705, 3900, max_min({"busy": 120, "idler": 40}, 12), 0.03)


def windup_below_one_seat(world: World) -> bool:
    """The same where parts are below one seat, and by a neighbour's long-run numbers."""
    names = [f"t{number}" for number in range(24)]
    for tenant in names:
        closed_loop(world, tenant, 4, 5.0)
    closed_loop(world, "idler", 40, 5.0, end=100)
    closed_loop(world, "idler", 40, 5.0, begin=3700)
    world.run(4700)
    return fair(world, 3720, 4700, max_min({**dict.fromkeys(names, 4), "idler": 40}, 12), 0.15)


SCENARIOS: list[Callable[[World], bool]] = [
    uniform,
    unequal_demand,
    weights,
    part_below_one_seat,
    many_tenants_few_seats,
    unequal_durations,
    unequal_durations_below_one_seat,
    late_joiner,
    windup,
    windup_below_one_seat,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_everybody_has_its_fair_part(scenario: Callable[[World], bool]) -> None:
    world = pool_world(12)
    assert scenario(world), world.concurrency(world.now * 0.2, world.now)
    assert world.most == 12, "never above the cap, and no seat was left empty"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_the_control_fifo_is_not_fair(scenario: Callable[[World], bool]) -> None:
    assert not scenario(World(Fifo(12)))


# -- single rules -----------------------------------------------------------------------------------------
def test_a_capped_tenant_leaves_its_part_to_the_others_and_delays_nobody() -> None:
    world = pool_world(12, own={"capped": 2})
    closed_loop(world, "capped", 200, 5.0)
    closed_loop(world, "free", 40, 5.0)
    closed_loop(world, "light", 1, 1.0, think=9.0)
    world.run(600)
    assert fair(world, 50, 600, {"capped": 2, "free": 9.9}, 0.02)
    assert world.waits("light")[-1] <= 5.0 / 10 + 5.0, "the one that waits longest waits for one seat"


def test_a_wide_request_is_neither_starved_nor_overfed() -> None:
    world = pool_world(12)
    closed_loop(world, "narrow", 60, 1.0)
    closed_loop(world, "wide", 4, 1.0, cost=6)
    world.run(400)
    assert fair(world, 20, 400, max_min({"narrow": 60, "wide": 24}, 12), 0.1)


def test_a_request_of_all_seats_gets_them() -> None:
    world = pool_world(12)
    closed_loop(world, "narrow", 60, 5.0)
    world.at(50, lambda: world.submit(Job("whole", 5.0, cost=12)))
    world.run(200)
    (wait,) = world.waits("whole")
    assert wait <= 5.0 * 3


def test_a_storm_of_leavers_leaves_nothing_behind_and_costs_nobody_a_seat() -> None:
    world = pool_world(12)
    dice = random.Random(7)
    closed_loop(world, "steady", 40, 5.0)

    def storm() -> None:
        for _ in range(300):
            job = world.submit(Job("storm", 5.0))
            world.at(world.now + dice.random() * 3, lambda job=job: world.give_up(job))  # type: ignore[misc]

    for second in range(60, 200, 20):
        world.at(second, storm)
    world.run(400)
    had = world.concurrency(10, 400)
    assert sum(had.values()) == pytest.approx(12, rel=0.01), "every seat was always in use"
    assert had["steady"] >= 6
    assert all(job.started is not None for job in world.jobs if job.tenant == "steady" and job.arrived < 380)
    assert isinstance(world.scheduler, PoolScheduler)
    assert {queue.tenant for queue in world.scheduler.pool._room.queues() if len(queue)} == {"steady"}


def test_a_newcomers_single_create_on_a_shared_rate_is_next_or_nearly() -> None:
    """A5: a thousand creates at 20/s, and a second tenant's single one in between."""
    world = World(PoolScheduler(LimitSpec(per_second=20)))
    for _ in range(1000):
        world.at(0, lambda: world.submit(Job("heavy", 1.0)))
    for when in (5.0, 17.0, 29.0):
        world.at(when, lambda: world.submit(Job("single", 1.0)))
    world.run(100)
    assert world.waits("single")[-1] <= 2 * 1.02 / 20, "at most one foreign grant goes before it"
    assert max(job.started or 0 for job in world.jobs) <= 51.2
    heavy = [job.number for job in sorted(world.jobs, key=lambda job: job.started or 0) if job.tenant == "heavy"]
    assert heavy == sorted(heavy), "first come, first served within the tenant"


def test_weights_share_a_rate() -> None:
    world = World(PoolScheduler(LimitSpec(per_second=10)))
    for tenant, weight in (("a", 1.0), ("b", 2.0), ("c", 5.0)):
        for _ in range(900):
            world.at(0, lambda t=tenant, w=weight: world.submit(Job(t, 0.0, weight=w)))  # type: ignore[misc]
    world.run(81.6)
    served = {t: sum(1 for job in world.jobs if job.tenant == t and job.started is not None) for t in "abc"}
    assert sum(served.values()) == pytest.approx(800, abs=2)
    assert served == {t: pytest.approx(n, abs=2) for t, n in (("a", 100), ("b", 200), ("c", 500))}


@pytest.mark.parametrize(("number", "seats", "service"), [(10, 4, 3.0), (1000, 32, 2.0), (97, 1, 0.5), (5, 8, 1.0)])
def test_a_burst_is_done_in_the_least_possible_time(number: int, seats: int, service: float) -> None:
    world = pool_world(seats)
    for _ in range(number):
        world.at(0, lambda: world.submit(Job("burst", service)))
    world.run(1e6)
    ends = [(job.started or 0.0) + job.service for job in world.jobs]
    assert max(ends) == -(-number // seats) * service
    assert world.most == min(number, seats)
