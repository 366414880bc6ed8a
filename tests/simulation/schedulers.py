"""Who goes when: the pool under test, the exact fair queues it is measured against, and FIFO, which must fail.

The exact fair queues cheat: they know how long every job will run before it starts, which no proxy can.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from proxy.admission.events import (
    Arrive,
    Bounds,
    Effect,
    Event,
    Granted,
    Leave,
    LimitSpec,
    Need,
    Refused,
    Relimit,
    Tick,
)
from proxy.admission.pool import Pool
from proxy.domain.ids import Instant, LimitName, RouteName, Scope, Seconds, TenantName, TicketId, VisitId
from tests.simulation.world import Job, World

SHARED, OWN = LimitName("shared"), LimitName("own")
_FOREVER = Seconds(1e9)
_ANY = Bounds(10**9, 10**9)


class PoolScheduler:
    """The real thing. ``shared`` is one limit for all; ``own`` a cap per tenant, where it has one."""

    def __init__(self, shared: LimitSpec, own: dict[str, int] | None = None) -> None:
        self._own = own or {}
        self.pool = Pool(Relimit({SHARED: shared, OWN: LimitSpec(seats=10**9, own_seats=self._own)}))
        self._jobs: dict[int, Job] = {}

    def arrive(self, job: Job, now: float) -> list[Job]:
        self._jobs[job.number] = job
        needs = [Need(SHARED, Scope("all"), job.cost)]
        if job.tenant in self._own:
            needs.append(Need(OWN, Scope(job.tenant), job.cost))
        name, visit = TicketId(str(job.number)), VisitId(job.number)
        tenant, route, gate = TenantName(job.tenant), RouteName("route"), Scope("gate")
        return self._apply(
            Arrive(name, visit, tenant, route, tuple(needs), job.weight, _FOREVER, Seconds(0), _ANY, gate), now
        )

    def done(self, job: Job, now: float) -> list[Job]:
        return self._apply(Leave(TicketId(str(job.number)), VisitId(job.number)), now)

    give_up = done

    def next(self) -> float | None:
        due = self.pool.next_deadline()
        return due if due is not None and due < 1e8 else None

    def tick(self, now: float) -> list[Job]:
        return self._apply(Tick(), now)

    def _apply(self, event: Event, now: float) -> list[Job]:
        effects: list[Effect] = self.pool.apply(event, Instant(now))
        assert not any(isinstance(effect, Refused) for effect in effects), "nobody is refused in these worlds"
        return [self._jobs[effect.visit] for effect in effects if isinstance(effect, Granted)]


class Seats:
    """What the others have in common: so many seats, somebody picks the next."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.taken: dict[str, int] = defaultdict(int)
        self.waiting: dict[str, deque[Job]] = defaultdict(deque)

    def arrive(self, job: Job, now: float) -> list[Job]:
        self.waiting[job.tenant].append(job)
        self.came(job, now)
        return self._fill(now)

    def done(self, job: Job, now: float) -> list[Job]:
        self.taken[job.tenant] -= job.cost
        return self._fill(now)

    def give_up(self, job: Job, now: float) -> list[Job]:
        self.waiting[job.tenant].remove(job)
        return self._fill(now)

    def next(self) -> float | None:
        return None

    def tick(self, now: float) -> Iterable[Job]:
        return []

    def came(self, job: Job, now: float) -> None:
        """A job has arrived."""

    def rank(self, job: Job) -> tuple[float, ...]:
        """The least goes first."""
        raise NotImplementedError

    def went(self, job: Job) -> None:
        """A job has started."""

    def _fill(self, now: float) -> list[Job]:
        started = []
        while heads := [queue[0] for queue in self.waiting.values() if queue]:
            job = min(heads, key=lambda job: (*self.rank(job), job.arrived, job.number))
            if sum(self.taken.values()) + job.cost > self.seats:
                break
            self.waiting[job.tenant].popleft()
            self.taken[job.tenant] += job.cost
            self.went(job)
            started.append(job)
        return started


class Fifo(Seats):
    """First come, first served over all tenants: the control."""

    def rank(self, job: Job) -> tuple[float, ...]:
        return ()


class ExactMaxMin(Seats):
    """Least seats in use per weight first: max-min on seats, recounted at every start."""

    def rank(self, job: Job) -> tuple[float, ...]:
        return ((self.taken[job.tenant] + job.cost) / job.weight,)


class ExactWfq(Seats):
    """Weighted fair queueing on seat-seconds with known service: order of finish in a fluid that serves all at once.

    The fluid (generalised processor sharing) gives every tenant with work left its weighted share of the seats;
    a job's tag is the virtual time at which the fluid would finish it.
    """

    def __init__(self, seats: int) -> None:
        super().__init__(seats)
        self._virtual = self._clock = 0.0
        self._last: dict[str, float] = {}
        self._weights: dict[str, float] = {}
        self._tags: dict[int, float] = {}

    def came(self, job: Job, now: float) -> None:
        self._flow(now)
        begin = max(self._virtual, self._last.get(job.tenant, 0.0))
        self._weights[job.tenant] = job.weight
        self._last[job.tenant] = self._tags[job.number] = begin + job.cost * job.service / job.weight

    def rank(self, job: Job) -> tuple[float, ...]:
        return (self._tags[job.number],)

    def _flow(self, now: float) -> None:
        """Move virtual time on to ``now``, from one tenant's running dry to the next's."""
        while self._clock < now:
            busy = [tenant for tenant, last in self._last.items() if last > self._virtual]
            if not busy:
                self._clock = now
                return
            pace = self.seats / sum(self._weights[tenant] for tenant in busy)
            dry = min(self._last[tenant] for tenant in busy)
            step = min(now - self._clock, (dry - self._virtual) / pace)
            self._clock = now if step >= now - self._clock else self._clock + step
            self._virtual = dry if step * pace >= dry - self._virtual else self._virtual + step * pace


def pool_world(seats: int, own: dict[str, int] | None = None) -> World:
    return World(PoolScheduler(LimitSpec(seats=seats), own))
