"""``mode: shadow`` decides and counts, and never delays or refuses."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.callers import crowd
from tests.support.proxies import running
from tests.support.upstreams import Gate, Seen, reply, upstream
from tests.support.waiting import until

POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {creates: {seats: 2, per: upstream}}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    mode: shadow
    limits: [creates]
    queue: {patience: 60s, waiting: {per_tenant: 1, total: 1}}
    retry: {attempts: 3, backoff: 1ms..2ms}
"""


async def test_nobody_waits_and_nobody_is_refused() -> None:
    gate = Gate()
    async with upstream(gate) as up, running(POLICY % up.url) as proxy, crowd() as people:
        calls = [asyncio.ensure_future(people.create(f"{proxy.url}/e2b")) for _ in range(6)]
        await until(lambda: len(up.seen) == 6, "all six are upstream at once")
        assert proxy.waiting() == 0
        gate.open()
        assert {answer.status for answer in await asyncio.gather(*calls)} == {201}
        counted = proxy.app.metrics.registry.get_sample_value("headgate_queue_wait_seconds_count", {"route": "create"})
        assert counted == 4, "four would have waited"
        assert proxy.held() == 0


async def test_a_retry_does_not_wait_for_a_seat_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first rests between two tries another takes the only seat, and keeps it."""
    monkeypatch.setattr("proxy.app.random.random", lambda: 1.0)
    gate = Gate()
    answers = [reply(429, b'{"code":429,"message":"x"}', "Content-Type: application/json")]

    async def script(seen: Seen) -> bytes:
        return answers.pop() if answers else await gate(seen)

    policy = POLICY.replace("seats: 2", "seats: 1").replace("1ms..2ms", "100ms..100ms")
    async with upstream(script) as up, running(policy % up.url) as proxy, crowd() as people:
        first = asyncio.ensure_future(people.create(f"{proxy.url}/e2b"))
        await until(lambda: not answers and proxy.held() == 0, "the first rests")
        second = asyncio.ensure_future(people.create(f"{proxy.url}/e2b"))
        await until(lambda: len(up.seen) == 3, "both are upstream at once")
        gate.open()
        assert {(await first).status, (await second).status} == {201}
        assert proxy.held() == 0
