"""Scenario A1: bursts of file writes. The proxy is no second cause, and mends what may be sent again.

The upstream holds every write until all of a burst have come: a hidden cap anywhere on the way would never let
it go, however quick the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from proxy.fakes.clock import ManualClock
from proxy.fakes.temper import FakeTemper
from proxy.fakes.temper_config import TemperConfig
from tests.support.burst import SEATS, scene
from tests.support.callers import Answer, Crowd, crowd
from tests.support.policies import quick_beats, shipped
from tests.support.proxies import Proxy, running
from tests.support.upstreams import always, reply, upstream
from tests.support.waiting import until

RETRIES = "headgate_upstream_retries_total"
FILE_VALUE = {"upstream": "temper", "route": "file-value"}
CONFLICT = b'{"error":{"code":"ActionRejected","message":"Action \'StreamUpdated\' not valid from state \'Locked\'"}}'


def environment(url: str) -> Mapping[str, str]:
    return {"TEMPER_URL": url, "E2B_UPSTREAM_URL": "http://127.0.0.1:9"}


@asynccontextmanager
async def temper(
    config: TemperConfig, clock: ManualClock | None = None
) -> AsyncIterator[tuple[FakeTemper, Proxy, Crowd]]:
    async with (
        FakeTemper(config, clock=clock) as fake,
        running(shipped("temper-e2b"), environment(fake.url)) as proxy,
        crowd() as people,
    ):
        yield fake, proxy, people


def files(fake: FakeTemper, count: int) -> list[str]:
    return [fake.world.create("default", "Files", {}, 0.0, f"file-{number + 1}").id for number in range(count)]


async def write(people: Crowd, base: str, file: str) -> Answer:
    return await people.send("PUT", f"{base}/tdata/Files('{file}')/$value", f"content of {file}".encode())


def retries(proxy: Proxy) -> float | None:
    return proxy.app.metrics.registry.get_sample_value(RETRIES, FILE_VALUE)


@pytest.mark.parametrize("wide", [11, 100, 1000])
async def test_a_burst_goes_through_at_once_without_an_error(wide: int) -> None:
    clock = ManualClock()
    async with temper(TemperConfig(write_seconds=0.05), clock) as (fake, proxy, people):
        calls = [asyncio.ensure_future(write(people, f"{proxy.url}/temper", file)) for file in files(fake, wide)]
        await clock.sleeping(wide)
        await clock.advance(0.05)
        answers = await asyncio.gather(*calls)
        assert [answer.status for answer in answers] == [204] * wide
        assert {len(versions) for versions in fake.world.versions.values()} == {1}
        assert len(fake.world.versions) == wide
        assert retries(proxy) == 0


async def test_two_of_eleven_lost_dispatches_surface_without_the_proxy() -> None:
    async with temper(TemperConfig(exhausted_contacts=(2, 11))) as (fake, _, people):
        answers = await asyncio.gather(*(write(people, fake.url, file) for file in files(fake, 11)))
        assert sorted(answer.status for answer in answers) == [204] * 9 + [409] * 2


async def test_with_the_proxy_none_surfaces_and_nothing_is_written_twice() -> None:
    async with temper(TemperConfig(exhausted_contacts=(2, 11))) as (fake, proxy, people):
        answers = await asyncio.gather(*(write(people, f"{proxy.url}/temper", file) for file in files(fake, 11)))
        assert [answer.status for answer in answers] == [204] * 11
        assert fake.world.exhausted == 2
        assert retries(proxy) == 2
        assert len(fake.world.versions) == 11
        assert {len(versions) for versions in fake.world.versions.values()} == {1}


async def test_a_real_conflict_passes_once_byte_for_byte() -> None:
    fields = ("Content-Type: application/json; charset=utf-8", "X-Odd:  two  spaces ")
    async with (
        upstream(always(409, CONFLICT, *fields)) as fake,
        running(shipped("temper-e2b"), environment(fake.url)) as proxy,
        crowd() as people,
    ):
        answer = await write(people, f"{proxy.url}/temper", "file-1")
        assert (answer.status, answer.body) == (409, CONFLICT)
        assert answer.headers["X-Odd"] == "two  spaces"
        assert len(fake.seen) == 1
        assert retries(proxy) == 0


async def test_a_lost_dispatch_that_must_not_be_repeated_passes_once() -> None:
    """A POST is not idempotent; only with a key may it be sent again, and this route does not even ask for it."""
    lost = b'{"error":{"code":"ActionRejected","message":"actor dispatch exhausted after 3 attempt(s)"}}'
    async with (
        upstream(always(409, lost)) as fake,
        running(shipped("temper-e2b"), environment(fake.url)) as proxy,
        crowd() as people,
    ):
        answer = await people.send("POST", f"{proxy.url}/temper/tdata/Files('f')/OpenPaw.Fs.StreamUpdated", b"{}")
        assert (answer.status, answer.body) == (409, lost)
        assert len(fake.seen) == 1


async def test_a_post_with_a_key_may_be_sent_again() -> None:
    lost = reply(409, b'{"error":{"code":"ActionRejected","message":"mailbox full"}}')
    policy = """
version: 1
upstreams: {temper: {url: "%s", dialect: http, prefix: /temper, forward_idempotency_key: true}}
routes:
  - name: all
    match: {upstream: temper}
    retry: {attempts: 5, backoff: 1ms..5ms, also: [{status: 409, body: "mailbox full"}]}
"""
    answers = [lost, lost, reply(200, b"{}")]

    async def script(seen: object) -> bytes:
        return answers.pop(0)

    async with upstream(script) as fake, running(policy % fake.url) as proxy, crowd() as people:
        answer = await people.send("POST", f"{proxy.url}/temper/x", b"{}", {"Idempotency-Key": "k-1"})
        assert answer.status == 200
        assert [seen.get("idempotency-key") for seen in fake.seen] == ["k-1"] * 3


async def test_cheap_writes_do_not_wait_behind_full_creates() -> None:
    e2b_clock = ManualClock()
    async with scene(e2b_clock=e2b_clock, policy=quick_beats()) as stage:
        assert stage.proxy is not None
        proxy, people = stage.proxy, stage.people
        await stage.ask_in_order()
        names = [stage.temper.world.create("default", "Files", {}, 0.0, f"f{n}").id for n in range(100)]
        answers = await asyncio.gather(*(write(people, f"{proxy.url}/temper", name) for name in names))
        assert {answer.status for answer in answers} == {204}
        assert not stage.answers, "no create was done meanwhile"
        assert proxy.held() >= SEATS
        for call in stage.calls:
            call.cancel()
        await asyncio.gather(*stage.calls, return_exceptions=True)
        await until(lambda: proxy.waiting() == 0)
