"""A world in virtual time: jobs, something that decides who goes, and a record of who was served when.

Knows nothing of pools: a :class:`Scheduler` is told who comes and who is done, and answers who starts. The same
world runs the real pool, the exact fair queue and the control, FIFO.
"""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol


@dataclass(slots=True, eq=False)
class Job:
    """One request: whose, how wide, how long it runs once started (seconds)."""

    tenant: str
    service: float
    cost: int = 1
    weight: float = 1.0
    arrived: float = 0.0
    started: float | None = None
    number: int = field(default_factory=count().__next__)

    @property
    def wait(self) -> float:
        """How long it waited; for ever is an error."""
        assert self.started is not None, f"job {self.number} of {self.tenant} never started"
        return self.started - self.arrived


class Scheduler(Protocol):
    """Who goes when."""

    def arrive(self, job: Job, now: float) -> Iterable[Job]:
        """A job comes; returns those that start now."""

    def done(self, job: Job, now: float) -> Iterable[Job]:
        """A job is over; returns those that start now."""

    def give_up(self, job: Job, now: float) -> Iterable[Job]:
        """A waiting job's caller leaves; returns those that start now."""

    def next(self) -> float | None:
        """When time alone lets somebody start."""

    def tick(self, now: float) -> Iterable[Job]:
        """That time has come; returns those that start now."""


class World:
    """Runs a scenario. ``at`` plans something, ``run`` lets it happen."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.now = 0.0
        self.jobs: list[Job] = []
        self.running: set[Job] = set()
        self.taken = 0
        self.most = 0
        """The most seats that were ever taken at once."""
        self._plan: list[tuple[float, int, Callable[[], object]]] = []
        self._sequence = count()
        self._then: dict[Job, Callable[[], None]] = {}
        self._seconds: dict[str, list[tuple[float, float, int]]] = defaultdict(list)

    def at(self, when: float, what: Callable[[], object]) -> None:
        heapq.heappush(self._plan, (when, next(self._sequence), what))

    def submit(self, job: Job, then: Callable[[], None] = lambda: None) -> Job:
        """A job arrives now; ``then`` happens when it is over."""
        job.arrived = self.now
        self.jobs.append(job)
        self._then[job] = then
        self._start(self.scheduler.arrive(job, self.now))
        return job

    def give_up(self, job: Job) -> None:
        """The caller of a job leaves, if it still waits."""
        if job.started is None:
            self._start(self.scheduler.give_up(job, self.now))

    def run(self, until: float) -> None:
        """Let everything happen up to a moment."""
        while True:
            alarm = self.scheduler.next()
            planned = self._plan[0][0] if self._plan else None
            times = [when for when in (alarm, planned) if when is not None]
            if not times or min(times) > until:
                self.now = until
                return
            self.now = max(self.now, min(times))
            if planned is not None and planned <= self.now:
                heapq.heappop(self._plan)[2]()
            else:
                self._start(self.scheduler.tick(self.now))

    def _start(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            assert job.started is None, "started twice"
            job.started = self.now
            self.running.add(job)
            self.taken += job.cost
            self.most = max(self.most, self.taken)
            self.at(self.now + job.service, lambda job=job: self._finish(job))  # type: ignore[misc]

    def _finish(self, job: Job) -> None:
        self.running.discard(job)
        self.taken -= job.cost
        assert job.started is not None
        self._seconds[job.tenant].append((job.started, self.now, job.cost))
        self._start(self.scheduler.done(job, self.now))
        self._then[job]()

    # -- what came of it ------------------------------------------------------------------------------
    def concurrency(self, begin: float, end: float) -> dict[str, float]:
        """Each tenant's seats in use, averaged over a window."""
        spans = {tenant: list(spans) for tenant, spans in self._seconds.items()}
        for job in self.running:
            assert job.started is not None
            spans.setdefault(job.tenant, []).append((job.started, self.now, job.cost))
        return {
            tenant: sum(max(0.0, min(end, b) - max(begin, a)) * cost for a, b, cost in mine) / (end - begin)
            for tenant, mine in spans.items()
        }

    def waits(self, *tenants: str) -> list[float]:
        """How long the jobs of some tenants waited, shortest first."""
        return sorted(job.wait for job in self.jobs if job.tenant in tenants)


def closed_loop(
    world: World,
    tenant: str,
    clients: int,
    service: float,
    *,
    begin: float = 0.0,
    end: float = float("inf"),
    think: float = 0.0,
    cost: int = 1,
    weight: float = 1.0,
) -> None:
    """So many clients that each ask again as soon as they are served (after ``think`` seconds).

    Service times vary by a fifth: in lockstep everything would end at the same moments.
    """
    dice = random.Random(tenant)

    def ask() -> None:
        if world.now < end:
            again = lambda: world.at(world.now + think, ask)  # noqa: E731
            world.submit(Job(tenant, service * dice.uniform(0.8, 1.2), cost, weight), again)

    for _ in range(clients):
        world.at(begin, ask)


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of sorted values lies."""
    return values[min(len(values) - 1, int(share * len(values)))]
