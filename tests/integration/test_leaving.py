"""Callers leave while they are queued, at random points: nothing is sent for them and nothing leaks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from proxy.ports import RequestRecord
from tests.support.callers import CREATE, RawCaller, request
from tests.support.leaks import leftovers, nothing_left
from tests.support.proxies import Proxy, running
from tests.support.upstreams import Gate, Seen, reply, upstream
from tests.support.waiting import turns, until
from tests.support.watched import watched

SEATS = 4
LEAVERS = 2000
AT_ONCE = 50
SEED = 20260107
POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {creates: {seats: 4, per: upstream}, pace: {rate: 100000/s, per: upstream}}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    limits: [creates, pace]
    queue: {patience: 60s, linger: 30s}
    progress: [nobody]
progress: {nobody: {to: "http://127.0.0.1:9/nobody", body: {w: "{waited}"}, first: 1ms, every: 20ms}}
"""


def create(name: str) -> bytes:
    return request("POST", "/e2b/sandboxes", CREATE, [("X-API-Key", "e2b_aa"), ("X-Name", name)])


async def leave_somewhere(chance: random.Random, proxy: Proxy, name: str) -> None:
    """Connect, ask, and leave: in the middle of the head, of the body, at once, or after a while in the queue."""
    caller = await RawCaller.connect(proxy.url)
    data = create(name)
    where = chance.random()
    caller.send(data[: chance.randrange(len(data))] if where < 0.15 else data)
    if where > 0.3:
        await turns(chance.randrange(40))
    if where > 0.7:
        await asyncio.sleep(chance.random() * 0.01)
    caller.leave(reset=chance.random() < 0.5)


async def many(count: int, one: Callable[[int], asyncio.Future[None]]) -> None:
    """Run ``count`` callers, :data:`AT_ONCE` at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await one(number)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def test_two_thousand_leave_a_full_queue_and_no_create_is_sent() -> None:
    chance, gate = random.Random(SEED), Gate()
    async with upstream(gate) as e2b, running(POLICY % e2b.url) as proxy:
        tasks = len(asyncio.all_tasks())
        holders = [await RawCaller.connect(proxy.url) for _ in range(SEATS)]
        for number, holder in enumerate(holders):
            holder.send(create(f"holder-{number}"))
        await until(lambda: len(e2b.seen) == SEATS, "the seats are taken")
        await many(LEAVERS, lambda n: asyncio.ensure_future(leave_somewhere(chance, proxy, f"leaver-{n}")))
        await until(lambda: proxy.waiting() == 0 and proxy.app.front.connected == SEATS, "all have left")
        queued = proxy.app.metrics.registry.get_sample_value("headgate_queue_wait_seconds_count", {"route": "create"})
        assert queued is not None and queued > LEAVERS / 2, "most of them had been queued"
        assert proxy.held() >= SEATS
        gate.open()
        assert [(await holder.answer()).status for holder in holders] == [201] * SEATS
        for holder in holders:
            holder.leave()
        await nothing_left(proxy, tasks + SEATS)  # the upstream's own: one for each kept connection
        assert sorted(seen.get("x-name") or "" for seen in e2b.seen) == [f"holder-{n}" for n in range(SEATS)]


async def test_leaving_while_seats_change_hands_loses_no_seat() -> None:
    """Seats turn over all the time, so some leave in the very moment of their grant."""
    chance = random.Random(SEED + 1)

    async def soon(seen: Seen) -> bytes:
        await turns(chance.randrange(6))
        return reply(201, b'{"sandboxID":"sb-1"}')

    records: list[RequestRecord] = []
    async with upstream(soon) as e2b, running(POLICY % e2b.url) as proxy:
        tasks = len(asyncio.all_tasks())

        async def stay(name: str) -> None:
            caller = await RawCaller.connect(proxy.url)
            caller.send(create(name))
            assert (await caller.answer()).status == 201
            caller.leave()

        def one(number: int) -> asyncio.Future[None]:
            if number % 4 == 0:
                return asyncio.ensure_future(stay(f"stayer-{number}"))
            return asyncio.ensure_future(leave_somewhere(chance, proxy, f"leaver-{number}"))

        with watched(proxy.app, observer={"finished": records.append}):
            await many(LEAVERS, one)
            await until(lambda: proxy.app.front.connected == 0, "all have left")
            await until(lambda: not leftovers(proxy, tasks + e2b.connections), "nothing is left")
        names = [seen.get("x-name") for seen in e2b.seen]
        assert len(names) == len(set(names)), "no create was sent twice"
        assert len(names) == sum(record.tries for record in records)
        assert e2b.peak <= SEATS
        assert {f"stayer-{n}" for n in range(0, LEAVERS, 4)} <= set(names)
        outcomes = {record.outcome for record in records}
        assert outcomes == {"ok", "left"}
        assert all(record.tries == 0 for record in records if record.outcome == "left")


async def test_a_kept_place_lapses_without_a_trace() -> None:
    gate = Gate()
    policy = POLICY.replace("patience: 60s, linger: 30s", "patience: 50ms, linger: 50ms")
    async with upstream(gate) as e2b, running(policy % e2b.url) as proxy:
        tasks = len(asyncio.all_tasks())
        callers = [await RawCaller.connect(proxy.url) for _ in range(SEATS + 1)]
        for number, caller in enumerate(callers):
            caller.send(create(f"caller-{number}"))
            await until(lambda number=number: proxy.waiting() + len(e2b.seen) > number)  # type: ignore[misc]
        answer = await callers[-1].answer()
        assert answer.status == 429
        assert "Headgate-Ticket" in answer.headers
        await until(lambda: len(proxy.app.store.view().tickets) == SEATS, "the place has lapsed")
        gate.open()
        assert [(await caller.answer()).status for caller in callers[:-1]] == [201] * SEATS
        for caller in callers:
            caller.leave()
        await nothing_left(proxy, tasks + SEATS)
        assert len(e2b.seen) == SEATS


async def test_the_oracle_sees_what_is_held() -> None:
    gate = Gate()
    async with upstream(gate) as e2b, running(POLICY % e2b.url) as proxy:
        tasks = len(asyncio.all_tasks())
        assert leftovers(proxy, tasks) == {}
        callers = [await RawCaller.connect(proxy.url) for _ in range(SEATS + 1)]
        for caller in callers:
            caller.send(create("one"))
        await until(lambda: len(e2b.seen) == SEATS and proxy.waiting() == 1)
        named = {"seats", "tickets", "waiting", "visits", "callers", "busy upstream connections", "vigils", "tasks"}
        await until(lambda: set(leftovers(proxy, tasks)) == named)
        gate.open()
        for caller in callers:
            assert (await caller.answer()).status == 201
            caller.leave()
        await nothing_left(proxy, tasks + SEATS)


async def test_a_create_already_sent_is_finished_and_holds_its_seat_to_the_end() -> None:
    """Cancelling it could leave a sandbox that nobody knows; meanwhile the seat is still in use."""
    gate = Gate()
    async with upstream(gate) as e2b, running(POLICY.replace("seats: 4", "seats: 1") % e2b.url) as proxy:
        tasks = len(asyncio.all_tasks())
        gone, next_one = await RawCaller.connect(proxy.url), await RawCaller.connect(proxy.url)
        gone.send(create("gone"))
        await until(lambda: len(e2b.seen) == 1)
        next_one.send(create("next"))
        await until(lambda: proxy.waiting() == 1)
        gone.leave()
        await until(lambda: proxy.app.front.connected == 1, "the proxy knows that it left")
        assert (e2b.now, proxy.waiting()) == (1, 1)
        gate.open()
        assert (await next_one.answer()).status == 201
        next_one.leave()
        await nothing_left(proxy, tasks + 1)
        assert e2b.peak == 1
        assert e2b.connections == 1, "the first connection was kept: its reply was read to the end"
