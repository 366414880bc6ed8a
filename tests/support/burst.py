"""Scenario A0: ten jobs of Temper, their callers, and what comes of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from proxy.fakes import E2BConfig, FakeE2B
from proxy.fakes.clock import Clock
from proxy.fakes.temper import FakeTemper
from proxy.fakes.temper_config import TemperConfig
from tests.support.callers import CREATE, KEY, Answer, Crowd, crowd
from tests.support.policies import quick_beats
from tests.support.proxies import Proxy, running
from tests.support.waiting import until

TENANT = "acme"
JOBS = 10
SEATS = 4


@dataclass
class Scene:
    """Everything that plays a part. ``base`` is what a caller takes for E2B."""

    e2b: FakeE2B
    temper: FakeTemper
    people: Crowd
    proxy: Proxy | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def base(self) -> str:
        """The base URL the callers use."""
        return self.e2b.url if self.proxy is None else f"{self.proxy.url}/t/{TENANT}/e2b"

    def headers(self, job: str) -> dict[str, str]:
        """For whom a call is: what the progress policy wants to know."""
        return {"X-Tenant-Id": TENANT, "X-Job-Id": job, "X-Session-Id": f"ss-{job}"}

    def ask(self, job: str) -> asyncio.Task[None]:
        """A caller begins to ask for this job's sandbox."""
        task = asyncio.ensure_future(self._asking(job))
        self.calls.append(task)
        return task

    async def _asking(self, job: str) -> None:
        fields = {"x-api-key": KEY, "content-type": "application/json", **self.headers(job)}
        answer = await self.people.send("POST", f"{self.base}/sandboxes", CREATE, fields)
        self.answers[job] = answer
        if answer.sandbox:
            self.finish(job)

    def finish(self, job: str) -> None:
        """The job has its sandbox and is done: its timer no longer runs."""
        self.temper.settle()
        entity = self.temper.world.find(TENANT, "CurationJobs", job)
        assert entity is not None
        if entity.status == "Running":
            self.temper.world.dispatch(entity, "Complete", {}, self.temper.clock.now())
            self.temper.world.dispatch(entity, "FinalizeCompletion", {}, self.temper.clock.now())
        session = self.temper.world.find(TENANT, "Sessions", f"ss-{job}")
        if session is not None and session.status == "Provisioning":
            self.temper.world.dispatch(session, "SandboxReady", {}, self.temper.clock.now())

    async def ask_in_order(self, count: int = JOBS) -> list[str]:
        """One caller after the other, each known to the proxy before the next comes: their order of arrival."""
        jobs = [f"job-{number + 1}" for number in range(count)]
        for number, job in enumerate(jobs):
            self.ask(job)
            await until(lambda number=number: self.present() > number, f"{job} has arrived")  # type: ignore[misc]
        return jobs

    def present(self) -> int:
        """Callers that wait in the proxy or have gone on to E2B."""
        waiting = 0 if self.proxy is None else self.proxy.waiting()
        return waiting + len(self.e2b.seen.creates)

    async def all_answered(self) -> None:
        """Every caller has its answer."""
        await asyncio.gather(*self.calls)

    def completed(self) -> list[str]:
        """The jobs that have come to their end well."""
        self.temper.settle()
        entities = self.temper.world.entities.values()
        return [e.id for e in entities if e.entity_set == "CurationJobs" and e.status == "Completed"]

    def killed(self) -> list[str]:
        """The jobs whose liveness timer took them for dead."""
        return [fired.id for fired in self.temper.timers_fired() if fired.entity_set == "CurationJobs"]

    def granted(self) -> list[str]:
        """The jobs in the order in which their creates reached E2B."""
        return [call.header("x-job-id") or "" for call in self.e2b.seen.creates]


def entities(temper: FakeTemper, count: int, *, sessions: bool) -> Iterator[str]:
    """Jobs in ``Running``, each with a session that waits for its sandbox if told so."""
    for number in range(count):
        temper.job(TENANT, running=True, id=f"job-{number + 1}")
        if sessions:
            temper.session(TENANT, provisioning=True, id=f"ss-job-{number + 1}")
        yield f"job-{number + 1}"


@asynccontextmanager
async def scene(
    *,
    proxied: bool = True,
    create_seconds: float = 2.0,
    max_creating: int | None = SEATS,
    e2b_clock: Clock | None = None,
    temper_clock: Clock | None = None,
    timer_scale: float = 0.01,
    jobs: int = JOBS,
    sessions: bool = False,
    policy: str = "",
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Scene]:
    """The stage: E2B takes four creates at once, the jobs run, the proxy stands between or does not."""
    config = E2BConfig(max_creating=max_creating, create_seconds=create_seconds, live_limit=1000)
    async with (
        FakeE2B(config, clock=e2b_clock) as e2b,
        FakeTemper(TemperConfig(timer_scale=timer_scale), clock=temper_clock) as temper,
        crowd() as people,
    ):
        list(entities(temper, jobs, sessions=sessions))
        if not proxied:
            yield Scene(e2b, temper, people)
            return
        names = {"E2B_UPSTREAM_URL": e2b.url, "TEMPER_URL": temper.url, "E2B_CREATE_RATE": "1000/s"}
        text = policy or quick_beats()
        async with running(text, {**names, **(environment or {})}) as proxy:
            yield Scene(e2b, temper, people, proxy)
