"""Many idle callers before one process: how much memory each takes, and whether all of them get served."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.support.callers import CREATE, request
from tests.support.load import callers
from tests.support.serving import serving
from tests.support.upstreams import Gate, upstream
from tests.support.waiting import until

SEATS = 50
POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {creates: {seats: 50, per: upstream}}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    limits: [creates]
    queue: {patience: 600s, waiting: {per_tenant: 20000, total: 20000}}
"""


@dataclass(frozen=True, slots=True)
class Idle:
    """What came of it. ``per_waiter`` is resident memory in bytes, ``seconds`` from the first seat freed on."""

    waited: int
    served: int
    broken: int
    peak: int
    per_waiter: float
    processor: float
    seconds: float


async def idle_waiters(count: int, folder: Path) -> Idle:
    """So many callers wait, then the upstream lets go."""
    gate = Gate()
    policy = folder / "policy.yaml"
    async with upstream(gate) as e2b:
        policy.write_text(POLICY % e2b.url)
        async with (
            serving(str(policy), folder, HEADGATE_CONNECTIONS=str(2 * count)) as served,
            callers(served.url) as people,
        ):
            fields = [("X-API-Key", "e2b_00ff00ff"), ("Content-Type", "application/json")]
            data = request("POST", "/e2b/sandboxes", CREATE, fields)
            for number in range(SEATS):
                await people.ask(-1 - number, data)
            await until(lambda: e2b.now == SEATS)
            before = served.memory()
            await people.ask_all(count, lambda number: data)
            await served.reaches("headgate_queue_waiting", count, route="create")
            per_waiter = (served.memory() - before) / count
            loop = asyncio.get_running_loop()
            began, processor = loop.time(), served.processor_seconds()
            gate.open()
            await until(lambda: len(people.statuses) + people.broken >= count + SEATS, within=120)
            return Idle(
                count,
                sum(status == 201 for number, status in people.statuses.items() if number >= 0),
                people.broken,
                e2b.peak,
                per_waiter,
                served.processor_seconds() - processor,
                loop.time() - began,
            )
