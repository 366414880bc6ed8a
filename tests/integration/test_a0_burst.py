"""Scenario A0: ten jobs ask for a sandbox at once, E2B allows four creates at a time.

The liveness timer of half an hour is scaled 1:100. Where waiting matters, the fakes' clocks are moved by hand:
what happened in between is then counted, not timed.
"""

from __future__ import annotations

import asyncio

from proxy.fakes.clock import ManualClock
from tests.support.burst import JOBS, SEATS, scene
from tests.support.policies import quick_beats, shipped
from tests.support.waiting import advance_until, until
from tests.wasm.provisioner import Provisioned, Provisioner

HALF_AN_HOUR = 1800.0


async def test_without_the_proxy_four_of_ten_get_one_and_the_rest_die_in_silence() -> None:
    e2b_clock, temper_clock = ManualClock(), ManualClock()
    async with scene(proxied=False, e2b_clock=e2b_clock, temper_clock=temper_clock) as stage:
        for number in range(JOBS):
            stage.ask(f"job-{number + 1}")
        await until(lambda: len(stage.answers) == JOBS - SEATS, "six were refused")
        await e2b_clock.sleeping(SEATS)
        await e2b_clock.advance(2)
        await stage.all_answered()
        await temper_clock.advance(HALF_AN_HOUR / 100)
        assert len(stage.completed()) == SEATS
        assert len(stage.killed()) == JOBS - SEATS
        assert stage.temper.calls("RecordProgress") == []
        assert stage.e2b.seen.refused["creating"] == JOBS - SEATS


async def test_with_the_proxy_all_ten_get_one_and_every_queued_job_is_heard_of() -> None:
    every = 1.0
    policy = shipped("temper-e2b", first="1s:500ms", every="10s:1s")
    async with scene(timer_scale=0.02, sessions=True, policy=policy) as stage:
        assert stage.proxy is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        granted: dict[str, float] = {}

        async def guest() -> Provisioned:
            """The last caller is a real WASM guest, its host adds whose call it is."""
            headers = {"traceparent": "00-aa-bb-01", **stage.headers("job-10")}
            caller = Provisioner(stage.base, "e2b_00ff00ff", 120.0, headers)
            result = await asyncio.to_thread(caller.run)
            stage.finish("job-10")
            return result

        arrived = await stage.ask_in_order(JOBS - 1)
        last = asyncio.ensure_future(guest())
        await until(lambda: stage.present() == JOBS, "the guest has arrived")
        for job in [*arrived, "job-10"]:
            await stage.e2b.until(lambda job=job: job in stage.granted())  # type: ignore[misc]
            granted[job] = loop.time() - began
        await stage.all_answered()
        guests = await last
        assert guests == Provisioned("sandbox", guests.text)
        assert guests.text in stage.e2b.live()
        assert all(answer.status == 201 for answer in stage.answers.values())
        assert len(stage.completed()) == JOBS
        assert stage.temper.timers_fired() == []
        assert stage.e2b.seen.max_in_flight <= SEATS
        assert not stage.e2b.seen.refused
        assert stage.granted() == [*arrived, "job-10"]
        for job in [*arrived, "job-10"][SEATS:]:
            intervals = int(granted[job] / every)
            assert intervals >= 1, "it was not queued long enough to show anything"
            assert len(stage.temper.calls("RecordProgress", job)) >= intervals
            assert len(stage.temper.calls("ProvisionPending", f"ss-{job}")) >= intervals
        for job in arrived[:SEATS]:
            assert stage.temper.calls("RecordProgress", job) == []
        assert {call.status for call in stage.temper.calls("RecordProgress")} == {200}
        assert stage.proxy.held() == stage.proxy.waiting() == 0


async def slow_upstream(policy: str, *, ticking: bool) -> tuple[list[str], list[str], list[str]]:
    """Each create takes 8 s, so the last two are done after the timer of 18 s. Completed, killed, order of arrival."""
    e2b_clock, temper_clock = ManualClock(), ManualClock()
    async with scene(create_seconds=8, e2b_clock=e2b_clock, temper_clock=temper_clock, policy=policy) as stage:
        jobs = await stage.ask_in_order()
        while len(stage.answers) < JOBS:
            under_way = len(stage.granted())
            await e2b_clock.sleeping(under_way - len(stage.answers))
            for _ in range(4):  # the wave's 8 s, in steps that a tick fits into
                for job in jobs[under_way:] if ticking else ():
                    heard = len(stage.temper.calls("RecordProgress", job))
                    await stage.temper.until(
                        lambda job=job, heard=heard: len(stage.temper.calls("RecordProgress", job)) > heard  # type: ignore[misc]
                    )
                await temper_clock.advance(2)
            await e2b_clock.advance(8)
            await until(lambda under_way=under_way: len(stage.answers) == under_way, "the wave is done")  # type: ignore[misc]
            await until(lambda under_way=under_way: len(stage.granted()) == min(JOBS, under_way + SEATS))  # type: ignore[misc]
        assert all(answer.status == 201 for answer in stage.answers.values())
        return sorted(stage.completed()), stage.killed(), jobs


async def test_ticks_keep_the_jobs_of_a_slow_upstream_alive() -> None:
    completed, killed, jobs = await slow_upstream(quick_beats(), ticking=True)
    assert killed == []
    assert completed == sorted(jobs)


async def test_without_ticks_the_last_two_of_a_slow_upstream_are_killed() -> None:
    silent = shipped("temper-e2b", progress="[curation-job, session]:[]")
    completed, killed, jobs = await slow_upstream(silent, ticking=False)
    assert killed == jobs[-2:]
    assert completed == sorted(jobs[:-2])


async def test_callers_with_less_patience_than_the_queue_hear_it_before_they_give_up() -> None:
    e2b_clock = ManualClock()
    policy = quick_beats(patience="110s:300ms")
    async with scene(e2b_clock=e2b_clock, policy=policy) as stage:
        jobs = await stage.ask_in_order()
        guest = await asyncio.to_thread(Provisioner(stage.base, "e2b_00ff00ff", 5.0, stage.headers("job-10")).run)
        await until(lambda: len(stage.answers) == JOBS - SEATS, "the late ones have their refusal")
        await e2b_clock.advance(2)
        await stage.all_answered()
        assert stage.granted() == jobs[:SEATS]
        assert len(stage.e2b.live()) == SEATS
        for job in jobs[SEATS:]:
            answer = stage.answers[job]
            assert answer.status == 429
            assert answer.body.startswith(b'{"code": 429')
            assert len(answer.body) < 500 and answer.body.isascii()
            assert "try again in 1 s" in answer.json["message"]
            assert answer.headers["Retry-After"] == "1"
        assert guest.kind == "error"
        assert guest.text.startswith("E2B sandbox creation failed (HTTP 429): ")
        assert "try again in" in guest.text


async def test_dead_callers_get_no_sandbox_and_no_more_ticks() -> None:
    e2b_clock, temper_clock = ManualClock(), ManualClock()
    async with scene(e2b_clock=e2b_clock, temper_clock=temper_clock) as stage:
        assert stage.proxy is not None
        proxy = stage.proxy
        jobs = await stage.ask_in_order()
        dead, alive = [jobs[5], jobs[8]], [job for job in jobs if job not in (jobs[5], jobs[8])]
        await stage.temper.until(lambda: all(stage.temper.calls(id=job) for job in jobs[SEATS:]))
        for job in dead:
            stage.calls[jobs.index(job)].cancel()
        await until(lambda: proxy.waiting() == JOBS - SEATS - len(dead), "their places are free")
        heard = {job: len(stage.temper.calls(id=job)) for job in dead}
        others = len(stage.temper.calls(id=jobs[9]))
        await stage.temper.until(lambda: len(stage.temper.calls(id=jobs[9])) >= others + 4)
        assert {job: len(stage.temper.calls(id=job)) for job in dead} == heard
        for wave in (SEATS, SEATS):
            await e2b_clock.sleeping(wave)
            await e2b_clock.advance(2)
        await asyncio.gather(*stage.calls, return_exceptions=True)
        await temper_clock.advance(HALF_AN_HOUR / 100)
        assert stage.granted() == alive
        assert len(stage.e2b.live()) == len(alive)
        assert sorted(stage.killed()) == sorted(dead)
        assert sorted(stage.completed()) == sorted(alive)


async def test_a_second_tenant_does_not_feel_the_queue_of_the_first() -> None:
    e2b_clock = ManualClock()
    async with scene(e2b_clock=e2b_clock, max_creating=None, jobs=0) as stage:
        assert stage.proxy is not None
        proxy, people = stage.proxy, stage.people
        heavy = [asyncio.ensure_future(people.create(stage.base)) for _ in range(100)]
        await until(lambda: proxy.waiting() == 100 - SEATS, "the first tenant's queue stands")
        light = asyncio.ensure_future(people.create(f"{proxy.url}/t/light/e2b", x_job_id="light"))
        await stage.e2b.until(lambda: len(stage.e2b.seen.creates) == SEATS + 1)
        assert stage.granted()[-1] == "light"
        assert proxy.waiting() == 100 - SEATS
        for call in [*heavy, light]:
            call.cancel()
        await asyncio.gather(*heavy, light, return_exceptions=True)
        await until(lambda: proxy.waiting() == 0)


async def eleven_in_38_seconds(*, proxied: bool) -> list[int]:
    """The incident of ADR-0051: a create every 38/11 s, each slow enough for more than four at once."""
    e2b_clock = ManualClock()
    async with scene(proxied=proxied, create_seconds=20, e2b_clock=e2b_clock, jobs=11) as stage:
        for number in range(11):
            stage.ask(f"job-{number + 1}")
            await until(lambda number=number: stage.present() > number)  # type: ignore[misc]
            await e2b_clock.advance(38 / 11)
        await advance_until(e2b_clock, 1.0, lambda: len(stage.answers) == 11)
        return sorted(answer.status for answer in stage.answers.values())


async def test_eleven_in_38_seconds() -> None:
    assert 429 in await eleven_in_38_seconds(proxied=False)
    assert await eleven_in_38_seconds(proxied=True) == [201] * 11
