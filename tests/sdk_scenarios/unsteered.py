"""Callers that give up waiting and come back by themselves, on the real clock and without steering: in which order
their creates reach the upstream. For ``python -m tests.heavy places``; the steered proof is ``test_places.py``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.fakes import E2BConfig, FakeE2B
from tests.sdk.environments import Sdk
from tests.sdk_scenarios.remote import remote
from tests.sdk_scenarios.serving import until
from tests.support.proxies import running

POLICY = """
version: 1
upstreams: {{e2b: {{url: "{url}", dialect: e2b, prefix: /e2b}}}}
limits: {{creates: {{seats: 1, per: tenant}}}}
routes:
  - name: create
    match: {{upstream: e2b, operation: [create]}}
    limits: [creates]
    queue: {{patience: 2s, linger: 30s}}
"""


@dataclass(frozen=True, slots=True)
class Unsteered:
    """What came of it: who failed, and the order in which the upstream saw the callers."""

    failed: Sequence[str]
    order: Sequence[int]

    @property
    def right(self) -> bool:
        """Everybody succeeded, with one create each, in the order of first arrival."""
        return not self.failed and list(self.order) == sorted(set(self.order))


async def unsteered(sdk: Sdk, count: int, seconds: float) -> Unsteered:
    """``count`` creates of ``seconds`` each through one seat, patience 2 s, the SDK's own retries.

    The calls are made one after the other's first arrival, a few milliseconds apart.
    """
    async with (
        FakeE2B(E2BConfig(create_seconds=seconds)) as fake,
        running(POLICY.format(url=fake.url)) as proxy,
        remote(sdk, url=f"{proxy.url}/e2b") as client,
    ):
        calls = []
        for number in range(count):
            calls.append(client.call("create", str(number)))
            await until(lambda come=number + 1: len(proxy.app.store.view().tickets) == come, "it arrives")  # type: ignore[misc]
        outcomes = [await call for call in calls]
        order = [int(json.loads(call.body)["metadata"]["name"]) for call in fake.seen.creates]
    return Unsteered([str(told["class"]) for told in outcomes if told["class"] is not None], order)
