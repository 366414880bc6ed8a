"""Light tenants beside an elephant, the scenario of peers.md §5.9: 32 seats, eight Poisson tenants that together load
half of them for 600 s, and one that sends 600 requests within 2 s at t = 30.

Service times are log-normal, ``clip(4·exp(N(0, 0.9)), 1, 60)``. What counts is the light tenants' p95 wait over all
seeds, against exact fair queues that know every service time in advance, and against FIFO, which must fail.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable

from proxy.admission.events import LimitSpec
from tests.simulation.schedulers import ExactMaxMin, ExactWfq, Fifo, PoolScheduler
from tests.simulation.world import Job, Scheduler, World, percentile

SEATS = 32
LIGHT = tuple(f"light{number}" for number in range(8))
SEEDS = range(10)
MEAN = 5.87
"""Seconds; the mean of the service times."""


def run(scheduler: Scheduler, seed: int) -> World:
    """One seed's jobs, the same for every scheduler."""
    dice = random.Random(seed)
    world = World(scheduler)

    def plan(when: float, tenant: str) -> None:
        service = min(60.0, max(1.0, 4 * math.exp(dice.gauss(0, 0.9))))
        world.at(when, lambda: world.submit(Job(tenant, service)))

    for tenant in LIGHT:
        when = 0.0
        while (when := when + dice.expovariate(0.5 * SEATS / MEAN / len(LIGHT))) < 600:
            plan(when, tenant)
    for _ in range(600):
        plan(30 + 2 * dice.random(), "elephant")
    world.run(100_000)
    assert world.most == SEATS
    return world


def waits(make: Callable[[], Scheduler]) -> tuple[list[float], float]:
    """The light tenants' waits over all seeds, and when the elephant was through (mean)."""
    worlds = [run(make(), seed) for seed in SEEDS]
    ends = [max((job.started or 0) + job.service for job in world.jobs if job.tenant == "elephant") for world in worlds]
    return sorted(wait for world in worlds for wait in world.waits(*LIGHT)), sum(ends) / len(ends) - 30


def test_light_tenants_wait_as_in_an_exact_fair_queue() -> None:
    results = {
        "pool": waits(lambda: PoolScheduler(LimitSpec(seats=SEATS))),
        "exact max-min": waits(lambda: ExactMaxMin(SEATS)),
        "exact wfq": waits(lambda: ExactWfq(SEATS)),
        "fifo": waits(lambda: Fifo(SEATS)),
    }
    p95 = {name: percentile(all_waits, 0.95) for name, (all_waits, _) in results.items()}
    for name, (all_waits, through) in results.items():
        mean = sum(all_waits) / len(all_waits)
        sys.stdout.write(f"{name:14} p95 {p95[name]:6.2f} s  mean {mean:5.2f} s  elephant {through:4.0f} s\n")
    exact = min(p95["exact max-min"], p95["exact wfq"])
    assert p95["pool"] <= 1.2 * exact, p95
    assert p95["fifo"] > 50 * exact, "the control must fail"
    assert results["pool"][1] <= 1.05 * results["exact wfq"][1], "and the elephant loses nothing by it"
