"""A sandbox's life at the API: states, places, times, listings."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

import pytest

from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from tests.fakes.client import Client, client


def seconds(sandbox: dict[str, str]) -> float:
    """From start to end."""
    start, end = (datetime.fromisoformat(sandbox[name]) for name in ("startedAt", "endAt"))
    return (end - start).total_seconds()


async def detail(call: Client, name: str) -> dict[str, str]:
    found: dict[str, str] = (await call("GET", f"/sandboxes/{name}")).json
    return found


async def test_create_answers_the_model() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        new, old = await call.create(), await call.create("/sandboxes")
        assert {"templateID", "sandboxID", "clientID", "envdVersion", "envdAccessToken"} <= set(new.json)
        assert not {"startedAt", "endAt"} & set(new.json)
        assert "envdAccessToken" not in old.json
        assert seconds(await detail(call, new.json["sandboxID"])) == 300
        assert seconds(await detail(call, old.json["sandboxID"])) == 15


async def test_end_counts_from_the_end_of_the_create() -> None:
    clock = ManualClock()
    async with FakeE2B(E2BConfig(create_seconds=7), clock=clock) as fake, client(fake.url) as call:
        creating = asyncio.create_task(call.made(timeout=60))
        await clock.sleeping(1)
        await clock.advance(7)
        assert seconds(await detail(call, await creating)) == 60


@pytest.mark.parametrize(
    ("body", "status"),
    [({"timeout": 86_401}, 400), ({"timeout": -1}, 400), ({"templateID": None}, 400), ({"timeout": 86_400}, 201)],
)
async def test_create_validates(body: dict[str, Any], status: int) -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        assert (await call.create(**body)).status == status


async def test_what_is_not_there_is_a_json_404() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        for method, path in [
            ("GET", "/v2/sandboxes/nope"),
            ("DELETE", "/sandboxes/nope"),
            ("POST", "/sandboxes/nope/pause"),
            ("POST", "/v2/sandboxes/nope/connect"),
            ("GET", "/no/such/route"),
        ]:
            answer = await call(method, path)
            assert (answer.status, answer.json["code"]) == (404, 404)


async def test_another_teams_sandbox_is_not_there() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        name = await call.made()
        assert (await call("DELETE", f"/sandboxes/{name}", headers={"X-API-Key": "e2b_bb"})).status == 404


async def test_an_old_id_with_a_client_suffix_still_works() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        name = await call.made()
        assert (await call("DELETE", f"/sandboxes/{name}-6532622b")).status == 204
        assert fake.seen.deletes == [name]


async def test_timeout_may_shorten_and_refresh_may_not() -> None:
    async with FakeE2B(clock=ManualClock()) as fake, client(fake.url) as call:
        name = await call.made(timeout=100)
        assert (await call("POST", f"/sandboxes/{name}/refreshes", {"duration": 50})).status == 204
        assert seconds(await detail(call, name)) == 100
        assert (await call("POST", f"/sandboxes/{name}/timeout", {"timeout": 20})).status == 204
        assert seconds(await detail(call, name)) == 20
        assert (await call("POST", f"/sandboxes/{name}/refreshes", {})).status == 204
        assert seconds(await detail(call, name)) == 20
        assert (await call("POST", f"/sandboxes/{name}/timeout", {})).status == 400


async def test_pause_frees_the_place_and_connect_takes_one() -> None:
    async with FakeE2B(E2BConfig(live_limit=1)) as fake, client(fake.url) as call:
        name = await call.made()
        assert (await call("POST", f"/sandboxes/{name}/pause")).status == 204
        assert (await call("POST", f"/sandboxes/{name}/pause")).status == 409
        other = await call.made()
        refused = await call("POST", f"/v2/sandboxes/{name}/connect", {})
        assert refused.status == 429
        assert "(1)" in refused.json["message"]
        await call("DELETE", f"/sandboxes/{other}")
        assert (await call("POST", f"/v2/sandboxes/{name}/connect", {})).status == 201
        assert (await call("POST", f"/v2/sandboxes/{name}/connect", {})).status == 200
        assert (await call("POST", f"/sandboxes/{name}/resume", {})).status == 409


async def test_connect_extends_only() -> None:
    async with FakeE2B(clock=ManualClock()) as fake, client(fake.url) as call:
        name = await call.made(timeout=100)
        await call("POST", f"/sandboxes/{name}/connect", {"timeout": 10})
        assert seconds(await detail(call, name)) == 100
        await call("POST", f"/v2/sandboxes/{name}/connect", {})
        assert seconds(await detail(call, name)) == 300
        assert (await call("POST", f"/sandboxes/{name}/connect", {})).status == 400


async def test_resumes_of_one_sandbox_are_joined() -> None:
    clock = ManualClock()
    config = E2BConfig(live_limit=1, create_seconds=3)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        creating = asyncio.create_task(call.made())
        await clock.sleeping(1)
        await clock.advance(3)
        name = await creating
        await call("POST", f"/sandboxes/{name}/pause")
        both = [asyncio.create_task(call("POST", f"/v2/sandboxes/{name}/connect", {})) for _ in range(2)]
        await fake.until(lambda: sum(c.operation == "connect" for c in fake.seen.calls) == 2)
        await clock.sleeping(1)
        await clock.advance(3)
        assert [(await task).status for task in both] == [201, 201]
        assert fake.seen.max_creating == 1


async def test_a_fork_takes_places_one_by_one() -> None:
    async with FakeE2B(E2BConfig(live_limit=3)) as fake, client(fake.url) as call:
        name = await call.made()
        await call.made()
        answer = await call("POST", f"/sandboxes/{name}/fork", {"count": 2})
        assert answer.status == 201
        assert [set(result) for result in answer.json] == [{"sandbox"}, {"error"}]
        assert answer.json[1]["error"]["code"] == 429
        assert len(fake.live()) == 3
        assert (await call("POST", f"/sandboxes/{name}/fork", {"count": 3})).status == 400


async def test_the_place_lingers_after_the_end_and_nobody_sees_it() -> None:
    clock = ManualClock()
    config = E2BConfig(live_limit=1, linger_seconds=4)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        name = await call.made(timeout=10)
        await clock.advance(10)
        assert (await call("GET", f"/sandboxes/{name}")).status == 404
        assert (await call("GET", "/v2/sandboxes")).json == []
        assert (await call.create()).status == 429
        await clock.advance(4)
        assert (await call.create()).status == 201


async def test_auto_pause_keeps_the_place_until_it_is_paused() -> None:
    clock = ManualClock()
    config = E2BConfig(live_limit=1, pause_seconds=5)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        name = await call.made(timeout=10, autoPause=True)
        await clock.advance(12)
        assert (await detail(call, name))["state"] == "paused"
        assert (await call.create()).status == 429
        assert (await call("POST", f"/sandboxes/{name}/timeout", {"timeout": 5})).status == 409
        await clock.advance(3)
        assert (await call.create()).status == 201


async def test_hidden_states_hold_their_places() -> None:
    clock = ManualClock()
    config = E2BConfig(live_limit=2, destroy_seconds=5, snapshot_seconds=5)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        first, second = await call.made(), await call.made()
        killing = asyncio.create_task(call("DELETE", f"/sandboxes/{first}"))
        snapping = asyncio.create_task(call("POST", f"/sandboxes/{second}/snapshots", {"name": "n"}))
        await clock.sleeping(2)
        listed = await call("GET", "/v2/sandboxes")
        assert (listed.json, listed.headers["X-Total-Running"]) == ([], "0")
        assert (await call.create()).status == 429
        await clock.advance(5)
        assert (await killing).status == 204
        assert (await snapping).json["names"] == ["n"]
        assert (await call.create()).status == 201


async def test_a_caller_that_leaves_a_pause_loses_the_sandbox() -> None:
    clock = ManualClock()
    async with FakeE2B(E2BConfig(pause_seconds=5), clock=clock) as fake, client(fake.url) as call:
        name = await call.made()
        pausing = asyncio.create_task(call("POST", f"/sandboxes/{name}/pause"))
        await clock.sleeping(1)
        pausing.cancel()
        await clock.sleeping(0)
        assert (await call("GET", f"/sandboxes/{name}")).status == 404


@pytest.mark.parametrize(("leaves", "left_behind"), [("cancels", 0), ("finishes", 1)])
async def test_a_caller_that_leaves_a_create(leaves: str, left_behind: int) -> None:
    clock = ManualClock()
    config = E2BConfig(create_seconds=5, live_limit=1, caller_leaves="finishes" if left_behind else "cancels")
    assert config.caller_leaves == leaves
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        creating = asyncio.create_task(call.create())
        await clock.sleeping(1)
        creating.cancel()
        await fake.until(lambda: fake.seen.left == 1)
        await clock.sleeping(left_behind)
        await clock.advance(5)
        assert len(fake.live()) == left_behind
        assert (fake.seen.creating, fake.seen.in_flight) == (0, 0)


async def test_lists_page_filter_and_count() -> None:
    clock = ManualClock()
    async with FakeE2B(clock=clock) as fake, client(fake.url) as call:
        names = []
        for number in range(5):
            names.append(await call.made(metadata={"odd": str(number % 2), "t": "a b&c=d"}))
            await clock.advance(1)
        await call("POST", f"/sandboxes/{names[0]}/pause")
        seen, token = [], ""
        for _ in range(3):
            page = await call("GET", f"/v2/sandboxes?limit=2&nextToken={token}")
            assert page.headers["X-Total-Running"] == "4"
            seen += [s["sandboxID"] for s in page.json]
            token = page.headers.get("X-Next-Token", "")
        assert (seen, token) == (names[::-1], "")
        ascending = await call("GET", "/v2/sandboxes?order=asc&state=running")
        assert [s["sandboxID"] for s in ascending.json] == names[1:]
        odd = await call("GET", "/v2/sandboxes?metadata=odd%3D1%26t%3Da%252520b%252526c%25253Dd")
        assert {s["sandboxID"] for s in odd.json} == {names[1], names[3]}
        old = await call("GET", "/sandboxes")
        assert len(old.json) == 4
        assert "X-Total-Running" not in old.headers
        assert (await call("GET", "/v2/sandboxes?limit=101")).status == 400
        assert (await call("GET", "/v2/sandboxes?state=odd")).status == 400


async def test_metrics_snapshots_and_the_rest() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        name = await call.made()
        assert (await call("GET", f"/sandboxes/{name}/metrics")).json[0]["cpuCount"] == 2
        assert (await call("GET", "/sandboxes/metrics")).json == {"sandboxes": {}}
        assert (await call("POST", f"/sandboxes/{name}/snapshots", {})).status == 201
        assert len((await call("GET", "/snapshots")).json) == 1
        assert (await call("PUT", f"/sandboxes/{name}/network", {})).status == 204
        assert (await call("GET", f"/v2/sandboxes/{name}/logs")).json == {"logs": []}
        assert (await call("GET", "/health")).status == 204
