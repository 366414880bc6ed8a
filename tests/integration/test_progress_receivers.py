"""Whatever the receiver of progress does, the queue does not feel it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import pytest

from proxy.ports import BeatResult
from tests.support.callers import crowd
from tests.support.leaks import nothing_left
from tests.support.proxies import Proxy, running
from tests.support.upstreams import Gate, Script, Seen, always, upstream
from tests.support.waiting import until

POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {creates: {seats: 1, per: upstream}}
routes:
  - {name: create, match: {upstream: e2b}, limits: [creates], queue: {patience: 60s}, progress: [job]}
progress: {job: {to: "%s/jobs/{header:x-job-id}", body: {w: "{waited}"}, first: 1ms, every: 20ms}}
"""
WAITERS = 5
Receiver = Callable[[], AbstractAsyncContextManager[str]]


def beats(proxy: Proxy, result: BeatResult) -> float:
    value = proxy.app.metrics.registry.get_sample_value("headgate_progress_total", {"sink": "job", "result": result})
    return value or 0.0


@asynccontextmanager
async def dead() -> AsyncIterator[str]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def answering(script: Script) -> Receiver:
    @asynccontextmanager
    async def receiver() -> AsyncIterator[str]:
        async with upstream(script) as up:
            yield up.url

    return receiver


async def never(seen: Seen) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("nothing sets it")


RECEIVERS: dict[str, tuple[Receiver, BeatResult]] = {
    "dead": (dead, "failed"),
    "slow": (answering(never), "missed"),
    "redirecting": (answering(always(307, b"", "Location: http://127.0.0.1:9/")), "failed"),
    "409": (answering(always(409)), "stale"),
    "500": (answering(always(500)), "throttled"),
}


@pytest.mark.parametrize("kind", RECEIVERS)
async def test_the_queue_does_not_feel_its_receiver(kind: str) -> None:
    make, result = RECEIVERS[kind]
    gate = Gate()
    async with AsyncExitStack() as receiving, upstream(gate) as e2b:
        receiver = await receiving.enter_async_context(make())
        async with running(POLICY % (e2b.url, receiver)) as proxy:
            tasks = len(asyncio.all_tasks())
            async with crowd() as people:
                calls = []
                for number in range(WAITERS + 1):
                    calls.append(asyncio.ensure_future(people.create(f"{proxy.url}/e2b", x_job_id=f"job-{number}")))
                    await until(lambda number=number: proxy.waiting() + len(e2b.seen) > number)  # type: ignore[misc]
                await until(lambda: beats(proxy, result) >= WAITERS, f"every waiter's beat was {result}")
                gate.open()
                assert [(await call).status for call in calls] == [201] * (WAITERS + 1)
            assert [seen.get("x-job-id") for seen in e2b.seen] == [f"job-{n}" for n in range(WAITERS + 1)]
            await receiving.aclose()  # with a task of its own for each beat that it never answered
            await nothing_left(proxy, tasks + e2b.connections)


async def test_a_stale_answer_stops_the_sink_for_good() -> None:
    gate = Gate()
    async with (
        upstream(always(404)) as receiver,
        upstream(gate) as e2b,
        running(POLICY % (e2b.url, receiver.url)) as proxy,
        crowd() as people,
    ):
        calls = [asyncio.ensure_future(people.create(f"{proxy.url}/e2b", x_job_id="a"))]
        await until(lambda: proxy.held() == 1)
        for count, job in ((1, "b"), (2, "c")):
            calls.append(asyncio.ensure_future(people.create(f"{proxy.url}/e2b", x_job_id=job)))
            await until(lambda count=count: beats(proxy, "stale") == count)  # type: ignore[misc]
        assert len(proxy.app.couriers.timetable) == 0, "no further beat is due for anybody"
        assert [seen.line.split(" ")[1] for seen in receiver.seen] == ["/jobs/b", "/jobs/c"]
        gate.open()
        assert {(await call).status for call in calls} == {201}


async def test_no_beat_is_sent_after_the_grant() -> None:
    """A delivery under way is awaited or cut before the create goes on; afterwards there is none."""
    events: list[str] = []
    gate = Gate()

    async def slowly(seen: Seen) -> bytes:
        events.append("beat")
        await asyncio.sleep(0.01)
        return b"HTTP/1.1 204 No Content\r\n\r\n"

    async def create(seen: Seen) -> bytes:
        events.append(f"create {seen.get('x-job-id')}")
        return await gate(seen)

    async with upstream(slowly) as receiver, upstream(create) as e2b:
        policy = (POLICY % (e2b.url, receiver.url)).replace("every: 20ms", "every: 5ms")
        async with running(policy) as proxy, crowd() as people:
            first = asyncio.ensure_future(people.create(f"{proxy.url}/e2b", x_job_id="a"))
            await until(lambda: proxy.held() == 1)
            second = asyncio.ensure_future(people.create(f"{proxy.url}/e2b", x_job_id="b"))
            await until(lambda: events.count("beat") > 5)
            gate.open()
            assert {(await call).status for call in (first, second)} == {201}
            assert events[-1] == "create b"
