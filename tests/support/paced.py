"""Scenario A5: creates arrive within a second, and go out at a rate; what the upstream saw of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.arrivals import arrivals
from tests.support.callers import CREATE, request
from tests.support.load import callers, most_in_a_window
from tests.support.serving import Served, serving
from tests.support.waiting import until

POLICY = """
version: 1
upstreams: {e2b: {url: "%(url)s", dialect: e2b, prefix: /e2b}}
tenants: {identify: [path]}
limits:
  create-rate: {rate: %(rate)d/s, per: upstream}
  starting: {seats: 128, per: upstream}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    limits: [create-rate, starting]
    queue: {patience: 600s, waiting: {per_tenant: 2000, total: 4000}}
"""


@dataclass(frozen=True, slots=True)
class Paced:
    """What came of it. Seconds and bytes; ``window`` is the most in any second, as the upstream saw it."""

    asked: int
    served: int
    arrived_within: float
    took: float
    window: int
    in_order: bool
    light_waited: float
    ahead_of_light: int
    per_waiter: float
    processor: float


async def paced(count: int, rate: int, folder: Path) -> Paced:
    """The heavy tenant asks ``count`` times; when its queue stands, the light one asks once."""
    policy = folder / "policy.yaml"
    loop = asyncio.get_running_loop()
    async with arrivals() as e2b:
        policy.write_text(POLICY % {"url": e2b.url, "rate": rate})
        async with serving(str(policy), folder) as served, callers(served.url) as people:
            await people.ask(-1, _create("heavy", -1))  # what a first request costs is not the waiters' memory
            await until(lambda: people.statuses)
            memory, processor, began = served.memory(), served.processor_seconds(), loop.time()
            await people.ask_all(count, lambda number: _create("heavy", number), at_once=1)
            arrived = loop.time() - began
            await _all_have_come(served, lambda: len(e2b.came), count)
            per_waiter = (served.memory() - memory) / max(1, count - len(e2b.came))
            asked_at, seen_before = time.monotonic(), len(e2b.came)
            await people.ask(count, _create("light", count))
            await until(lambda: len(people.statuses) + people.broken == count + 2, within=600)
            took = loop.time() - began
            processor = served.processor_seconds() - processor
    light = next(at for number, at in e2b.came if number == count)
    heavy = [number for number, _ in e2b.came if number != count]
    return Paced(
        asked=count + 1,
        served=sum(status == 201 for number, status in people.statuses.items() if number >= 0),
        arrived_within=arrived,
        took=took,
        window=most_in_a_window([at for _, at in e2b.came], 1.0),
        in_order=heavy == sorted(heavy),
        light_waited=light - asked_at,
        ahead_of_light=[number for number, _ in e2b.came].index(count) - seen_before,
        per_waiter=per_waiter,
        processor=processor,
    )


async def _all_have_come(served: Served, sent: Callable[[], int], count: int) -> None:
    """Headgate has read every caller's request: each waits, or was sent on."""
    waiting = 0.0
    while waiting + sent() < count:
        waiting = await served.metric("headgate_queue_waiting") or 0
        await asyncio.sleep(0.01)


def _create(tenant: str, number: int) -> bytes:
    return request("POST", f"/t/{tenant}/e2b/sandboxes", CREATE, [("X-API-Key", "e2b_aa"), ("X-Number", str(number))])
