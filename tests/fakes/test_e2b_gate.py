"""The limits as a caller meets them: exact bodies, exact headers."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from proxy.fakes import E2BConfig, FakeE2B, ManualClock, Rate, Throttle
from tests.fakes.client import Client, client


async def burst(call: Client, count: int) -> list[asyncio.Task[int]]:
    async def one() -> int:
        return (await call.create()).status

    return [asyncio.create_task(one()) for _ in range(count)]


@pytest.mark.parametrize("path", ["/sandboxes", "/v2/sandboxes", "/v2/sandboxes/i1", "/snapshots"])
async def test_no_key_is_a_401(path: str) -> None:
    async with FakeE2B() as fake, client(fake.url, Accept="*/*") as call:
        answer = await call("GET", path)
        assert (answer.status, answer.json["code"]) == (401, 401)
        assert fake.seen.refused == {"unauthorized": 1}


async def test_a_key_that_is_not_let_in_is_a_401() -> None:
    async with FakeE2B(E2BConfig(keys=frozenset({"e2b_bb"}))) as fake, client(fake.url) as call:
        assert (await call.create()).status == 401
        assert (await call("GET", "/sandboxes", headers={"X-API-Key": "e2b_bb"})).status == 200


async def test_the_live_limit_says_its_number_and_nothing_else() -> None:
    async with FakeE2B(E2BConfig(live_limit=2)) as fake, client(fake.url) as call:
        await call.made()
        await call.made()
        answer = await call.create()
        assert answer.status == 429
        assert set(answer.json) == {"code", "message"}
        message = "you have reached the maximum number of concurrent E2B sandboxes (2). If you need more, "
        assert answer.json["message"].startswith(message)
        assert not {"Retry-After", "RateLimit-Limit", "RateLimit-Reset"} & set(answer.headers)
        assert fake.seen.refused == {"concurrency": 1}


async def test_the_live_limit_is_per_team_not_per_key() -> None:
    config = E2BConfig(live_limit=1, teams={"e2b_aa": "one", "e2b_bb": "one"})
    async with FakeE2B(config) as fake, client(fake.url) as call:
        await call.made()
        assert (await call("POST", "/sandboxes", {"templateID": "b"}, {"X-API-Key": "e2b_bb"})).status == 429
        assert (await call("POST", "/sandboxes", {"templateID": "b"}, {"X-API-Key": "e2b_cc"})).status == 201


async def test_creates_under_way_count_for_the_live_limit() -> None:
    clock = ManualClock()
    config = E2BConfig(live_limit=2, create_seconds=5)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        tasks = await burst(call, 3)
        await fake.until(lambda: fake.seen.refused["concurrency"] == 1)
        await clock.sleeping(2)
        assert fake.live() == []
        await clock.advance(5)
        assert sorted([await task for task in tasks]) == [201, 201, 429]
        assert len(fake.live()) == 2


async def test_the_fifth_create_at_once_is_refused() -> None:
    clock = ManualClock()
    config = E2BConfig(max_creating=4, create_seconds=2)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        tasks = await burst(call, 10)
        await fake.until(lambda: fake.seen.refused["creating"] == 6)
        refused = await call.create()
        assert refused.status == 429
        assert refused.json["message"].startswith("Rate limit exceeded")
        assert "Retry-After" not in refused.headers
        await clock.sleeping(4)
        await clock.advance(2)
        assert sorted([await task for task in tasks]) == [201] * 4 + [429] * 6
        assert (fake.seen.max_creating, fake.seen.creating) == (4, 0)
        assert fake.seen.max_in_flight >= 5
        assert fake.seen.in_flight == 0


async def test_the_starting_cap_goes_on_after_the_answer() -> None:
    clock = ManualClock()
    config = E2BConfig(max_starting=1, start_seconds=3)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        await call.made()
        answer = await call.create()
        assert (answer.status, answer.json["error_code"]) == (503, "sandbox_capacity_unavailable")
        await clock.advance(3)
        await call.made()
        assert fake.seen.refused == {"starting": 1}


async def test_the_route_rate_tells_on_every_answer() -> None:
    clock = ManualClock()
    config = E2BConfig(route_rates={"create": Rate(1), "list": Rate(1)})
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        allowed = await call.create()
        assert allowed.headers["RateLimit-Remaining"] == "0"
        assert "Retry-After" not in allowed.headers
        refused = await call.create()
        assert (refused.status, refused.json) == (429, {"code": 429, "message": "Rate limit exceeded"})
        assert {n: refused.headers[n] for n in ("RateLimit-Limit", "RateLimit-Reset", "Retry-After")} == {
            "RateLimit-Limit": "1",
            "RateLimit-Reset": "1",
            "Retry-After": "1",
        }
        assert (await call("GET", "/v2/sandboxes")).status == 200
        assert (await call("GET", "/v2/sandboxes")).status == 429
        await clock.advance(1)
        assert (await call.create()).status == 201


async def test_the_edge_throttle_is_not_json_and_guards_one_path() -> None:
    config = E2BConfig(throttles=(Throttle(1, 10),))
    async with FakeE2B(config, clock=ManualClock()) as fake, client(fake.url) as call:
        assert (await call.create("/sandboxes")).status == 201
        refused = await call.create("/sandboxes")
        assert refused.status == 429
        assert not refused.headers["Content-Type"].startswith("application/json")
        assert (await call.create("/v2/sandboxes")).status == 201
        assert fake.seen.refused == {"edge": 1}


async def test_too_many_creates_in_a_second_are_dropped() -> None:
    clock = ManualClock()
    async with FakeE2B(E2BConfig(drop_above=2), clock=clock) as fake, client(fake.url) as call:
        await call.made()
        await call.made()
        with pytest.raises(aiohttp.ClientConnectionError):
            await call.create()
        assert fake.seen.refused == {"dropped": 1}
        assert fake.seen.answers[-1] == ("create", 0)
        await clock.advance(1)
        await call.made()


async def test_creates_are_recorded_as_they_came() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        await call("POST", "/sandboxes", b'{"templateID": "x" }', {"Idempotency-Key": "k"})
        (seen,) = fake.seen.creates
        assert (seen.target, seen.api_key, seen.body) == ("/sandboxes", "e2b_aa", b'{"templateID": "x" }')
        assert seen.header("idempotency-key") == "k"
        assert ("X-API-Key", "e2b_aa") in seen.headers
