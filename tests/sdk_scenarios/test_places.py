"""An SDK that gives up waiting and comes back by itself finds its place again, without knowing of Headgate."""

from __future__ import annotations

import json
from typing import Final

from proxy.fakes import E2BConfig, FakeE2B, ManualClock
from tests.sdk.environments import Sdk
from tests.sdk_scenarios.refusing import counts
from tests.sdk_scenarios.remote import remote
from tests.sdk_scenarios.serving import until
from tests.support.proxies import Proxy, running

_POLICY: Final = """
version: 1
upstreams: {{e2b: {{url: "{url}", dialect: e2b, prefix: /e2b}}}}
limits: {{creates: {{seats: 1, per: tenant}}}}
routes:
  - name: create
    match: {{upstream: e2b, operation: [create]}}
    limits: [creates]
    queue: {{patience: 2s, linger: 30s}}
"""
CREATE_SECONDS: Final = 60.0
"""On the fake's clock, which moves when the test says so."""


def names(fake: FakeE2B) -> list[str]:
    """Which creates the upstream saw, in order."""
    return [json.loads(call.body)["metadata"]["name"] for call in fake.seen.creates]


def places(proxy: Proxy) -> int:
    """Tickets that hold, wait or linger."""
    return len(proxy.app.store.view().tickets)


async def all_back(proxy: Proxy, over: int, waiting: int) -> None:
    """So many requests are over, and everybody else has come back. They left within one moment and stay away for 1 s,
    so they are back within one moment too, and will wait for nearly 2 s from here."""
    await until(
        lambda: counts(proxy).get("e2b") == over and proxy.waiting() == waiting,
        f"{over} requests are over and {waiting} wait",
    )


async def sent(fake: FakeE2B, creates: int) -> None:
    """So many creates have reached the upstream."""
    await fake.until(lambda: len(fake.seen.creates) == creates)


async def test_who_came_first_goes_first_over_three_refusals(both_newest: Sdk) -> None:
    """Five creates, one at a time, 2 s of patience, about 10 s in the queue: the SDK's own three retries carry them."""
    clock = ManualClock()
    config = E2BConfig(create_seconds=CREATE_SECONDS)
    async with (
        FakeE2B(config, clock=clock) as fake,
        running(_POLICY.format(url=fake.url)) as proxy,
        remote(both_newest) as client,
    ):
        calls = []
        for number in range(5):
            calls.append(client.call("create", str(number), api_url=f"{proxy.url}/e2b"))
            await until(lambda number=number: places(proxy) == number + 1, f"{number} arrived")  # type: ignore[misc]
        for done, over in enumerate((4, 4 + 1 + 3, 4 + 1 + 3 + 1 + 2)):  # refused, and done in between
            await all_back(proxy, over, waiting=4 - done)
            await clock.advance(CREATE_SECONDS)
            await sent(fake, done + 2)
        await clock.advance(CREATE_SECONDS)
        await sent(fake, 5)
        await clock.advance(CREATE_SECONDS)
        outcomes = [await call for call in calls]
        assert [told["class"] for told in outcomes] == [None] * 5
        assert len({told["value"] for told in outcomes}) == 5
        assert names(fake) == ["0", "1", "2", "3", "4"]
        assert counts(proxy)["e2b"] == 5 + 4 + 3 + 2
        assert places(proxy) == 0
