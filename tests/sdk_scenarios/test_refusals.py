"""What Headgate refuses by itself, as each SDK's user sees it: the proper class, and nothing sent twice by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from proxy.fakes.e2b_faults import parse
from tests.sdk.environments import Sdk
from tests.sdk.test_direct import common
from tests.sdk_scenarios.refusing import World, counts, refusing
from tests.sdk_scenarios.remote import Remote, remote
from tests.sdk_scenarios.serving import until
from tests.support.proxies import running

MET_BY_A_CREATE: Final = ("full", "late", "early", "unreachable", "closed", "reset")
SEEN: Final = {
    "full": ("RateLimit", 429, "is full"),
    "late": ("RateLimit", 429, "the place is kept, try again in 1 s"),
    "early": ("RateLimit", 429, "longer than allowed"),
    "evicted": ("ServiceBusy", 503, "an operator ended"),
    "superseded": ("Sandbox", 409, "took its place"),
    "unreachable": ("ServiceBusy", 503, "nothing was sent"),
    "closed": ("Sandbox", 504, "it may have been processed"),
    "reset": ("Sandbox", 504, "it may have been processed"),
    "nowhere": ("Sandbox", 404, "no upstream is mounted at /nowhere/"),
    "stranger": ("Sandbox", 403, "may not speak for tenant acme"),
    "malformed": ("Sandbox", 400, "%00"),
}
"""By what is met: the class as all SDKs have it, the status, a part of the message."""
OLDER: Final = {"ServiceBusy": "Sandbox"}
"""SDKs before 2.48 have no class of its own for 503."""
TRIES: Final = {
    "full": 4,
    "late": 4,
    "early": 4,
    "evicted": 1,
    "superseded": 1,
    "unreachable": 4,
    "closed": 1,
    "reset": 1,
}
"""How often Python 2.60 and later sends a create that is always refused so: what is final is sent once."""


def tries(sdk: Sdk) -> Mapping[str, int]:
    """How often this SDK sends a create: JavaScript 2.51 repeats 429 only, older ones nothing."""
    if sdk.version == "2.63.0":
        return TRIES
    repeats = {name for name, (_, status, _) in SEEN.items() if status == 429} if sdk.version == "2.51.0" else set()
    return {name: 4 if name in repeats else 1 for name in TRIES}


def check(sdk: Sdk, name: str, told: Mapping[str, Any]) -> None:
    """That an outcome is what :data:`SEEN` says."""
    kind, status, part = SEEN[name]
    if sdk.version in ("2.30.0", "2.10.2"):
        kind = OLDER.get(kind, kind)
    assert common(told["class"]) == kind, (name, told)
    assert told["status"] in (None, status), (name, told)
    assert part in told["message"], (name, told)


async def meet_all(client: Remote, world: World) -> dict[str, dict[str, Any]]:
    """One create for each refusal, all at once."""
    url = world.proxy.url
    calls = {name: client.call("create", name, api_url=f"{url}/{name}") for name in MET_BY_A_CREATE}
    calls["nowhere"] = client.call("create", "x", api_url=f"{url}/nowhere")
    calls["stranger"] = client.call("create", "x", api_url=f"{url}/t/acme/big")
    calls["malformed"] = client.call("create", "x", api_url=f"{url}/big/%00")
    for name in ("evicted", "superseded"):
        calls[name] = client.call("create", name, api_url=f"{url}/{name}")
        await until(lambda name=name: len(world.waiting(name)) == 1, f"the SDK waits at {name}")  # type: ignore[misc]
    assert world.proxy.app.store.evict(world.waiting("evicted")[0].ticket)
    usurper = world.post("superseded", Headgate_Ticket=world.waiting("superseded")[0].ticket)
    told = {name: await call for name, call in calls.items()}
    usurper.cancel()
    return told


async def test_every_refusal_of_a_create(sdk: Sdk) -> None:
    async with refusing() as world, remote(sdk) as client:
        for name, told in (await meet_all(client, world)).items():
            check(sdk, name, told)
        over = counts(world.proxy)
        assert {name: over[name] for name in TRIES} == tries(sdk)
        assert [len(world.fakes[name].seen.creates) for name in ("closed", "reset")] == [1, 1]
        assert len(world.fakes["held"].seen.creates) == 5, "only the seats' holders were sent"


async def test_more_copies_than_there_are_seats(both_newest: Sdk) -> None:
    async with refusing() as world, remote(both_newest) as client:
        await client.done("create", "one", api_url=f"{world.proxy.url}/big")
        told = await client.call("fork", "one", 5)
        assert (common(told["class"]), told["status"]) == ("Sandbox", 400)
        assert "asks for 5 seats of four, which has 4" in told["message"]
        assert await client.done("fork", "one", 4) == 4
        assert [call.operation for call in world.fakes["big"].seen.calls] == ["create", "fork"]


HURRY = """
version: 1
timeouts: {{total: 1s}}
upstreams:
  hurry: {{url: "{url}", dialect: e2b, prefix: /hurry}}
  queue: {{url: "{url}", dialect: e2b, prefix: /queue}}
limits: {{none: {{seats: 0, per: upstream}}}}
routes: [{{name: queue, match: {{upstream: queue}}, limits: [none]}}]
"""


async def test_the_deadline(both_newest: Sdk) -> None:
    async with (
        FakeE2B(E2BConfig(create_seconds=60), clock=ManualClock()) as fake,
        running(HURRY.format(url=fake.url)) as proxy,
        remote(both_newest) as client,
    ):
        calls = [client.call("create", name, api_url=f"{proxy.url}/{name}") for name in ("hurry", "queue")]
        sent, waited = [await call for call in calls]
        assert [common(told["class"]) for told in (sent, waited)] == ["Sandbox", "Sandbox"]
        assert [told["status"] for told in (sent, waited)] == [504, 504]
        assert "it may have been processed" in sent["message"]
        assert "nothing was sent" in waited["message"]
        assert len(fake.seen.creates) == 1
        assert counts(proxy)["hurry"] == 1


async def test_a_proxy_that_is_leaving(both_newest: Sdk) -> None:
    async with refusing() as world, remote(both_newest) as client:
        url = f"{world.proxy.url}/evicted"
        waiting = client.call("create", "waiting", api_url=url)
        await until(lambda: len(world.waiting("evicted")) == 1, "the SDK waits")
        world.proxy.app.store.drain()
        for told in (await waiting, await client.call("create", "late", api_url=url)):
            assert common(told["class"]) == "ServiceBusy"
            assert "shutting down" in told["message"]


async def test_a_read_whose_reply_never_comes(both_newest: Sdk) -> None:
    async with (
        FakeE2B(E2BConfig(faults=(parse("list:1-99:undone:close"),))) as fake,
        running(f'{{version: 1, upstreams: {{e2b: {{url: "{fake.url}", dialect: e2b}}}}}}') as proxy,
        remote(both_newest) as client,
    ):
        told = await client.call("list", api_url=proxy.url)
        assert (common(told["class"]), told["status"]) == ("Sandbox", 502)
        assert "e2b broke off" in told["message"]
        # 502 is safe to repeat for a read, and Python does; each try meets one connection, new or kept
        assert counts(proxy)["e2b"] == (4 if both_newest.name == "python" else 1)


async def test_a_fault_of_the_proxys_own(both_newest: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("a bug")

    async with refusing() as world, remote(both_newest) as client:
        monkeypatch.setattr("proxy.pipeline.journey.needs_of", crash)
        told = await client.call("create", "one", api_url=f"{world.proxy.url}/big")
        assert (common(told["class"]), told["status"]) == ("Sandbox", 500)
        assert "an error inside the proxy" in told["message"]
