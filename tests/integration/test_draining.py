"""SIGTERM on a real process: waiters are refused at once, running requests finish, then it is gone."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.support.callers import CREATE, RawCaller, request
from tests.support.serving import Served, serving
from tests.support.upstreams import Gate, upstream

POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {creates: {seats: 2, per: upstream}}
routes:
  - {name: create, match: {upstream: e2b, operation: create}, limits: [creates], queue: {patience: 60s}}
"""


def written(folder: Path, url: str) -> str:
    policy = folder / "policy.yaml"
    policy.write_text(POLICY % url)
    return str(policy)


async def callers(served: Served, running: int, waiting: int) -> list[RawCaller]:
    """So many that run and so many that wait."""
    people = [await RawCaller.connect(served.url) for _ in range(running + waiting)]
    for number, caller in enumerate(people):
        caller.send(request("POST", "/e2b/sandboxes", CREATE, [("X-API-Key", "e2b_aa"), ("X-Name", str(number))]))
        if number + 1 == running:
            await served.reaches("headgate_seats_held", running, limit="creates")
    await served.reaches("headgate_queue_waiting", waiting, route="create")
    return people


async def test_waiters_get_their_ticket_at_once_and_running_requests_finish(tmp_path: Path) -> None:
    gate = Gate()
    async with upstream(gate) as e2b, serving(written(tmp_path, e2b.url), tmp_path, "--drain", "30s") as served:
        people = await callers(served, 2, 3)
        assert await served.ready()
        served.signal(signal.SIGTERM)
        refused = [await caller.answer() for caller in people[2:]]
        assert not await served.ready()
        late = await RawCaller.connect(served.url)
        late.send(request("POST", "/e2b/sandboxes", CREATE, [("X-API-Key", "e2b_aa")]))
        refused.append(await late.answer())
        for answer in refused:
            assert answer.status == 503
            assert answer.json["error_code"] == "draining"
            assert answer.headers["Headgate-Ticket"]
            assert answer.headers["Retry-After"] in ("1", "2")
            assert answer.headers["Connection"] == "close"
        assert served.process.returncode is None
        gate.open()
        assert [(await caller.answer()).status for caller in people[:2]] == [201, 201]
        assert await served.ended() == 0
        assert len(e2b.seen) == 2
        assert [line["outcome"] for line in served.log if line["status"] == 503] == ["refused"] * 4


async def test_a_second_sigterm_hurries(tmp_path: Path) -> None:
    gate = Gate()
    async with upstream(gate) as e2b, serving(written(tmp_path, e2b.url), tmp_path, "--drain", "600s") as served:
        (caller,) = await callers(served, 1, 0)
        served.signal(signal.SIGTERM)
        await served.reaches("headgate_mode", 1, mode="draining")
        assert not await served.ready()
        served.signal(signal.SIGTERM)
        assert await served.ended() == 0
        assert await caller.ended() == b""


async def test_an_idle_process_does_not_wait_for_its_drain_time(tmp_path: Path) -> None:
    gate = Gate()
    async with upstream(gate) as e2b, serving(written(tmp_path, e2b.url), tmp_path, "--drain", "600s") as served:
        idle = await RawCaller.connect(served.url)
        served.signal(signal.SIGTERM)
        assert await served.ended() == 0
        assert await idle.ended() == b""


async def test_running_requests_that_take_too_long_are_cut(tmp_path: Path) -> None:
    gate = Gate()
    async with upstream(gate) as e2b, serving(written(tmp_path, e2b.url), tmp_path, "--drain", "200ms") as served:
        (caller,) = await callers(served, 1, 0)
        served.signal(signal.SIGTERM)
        assert await served.ended() == 0
        assert await caller.ended() == b""
