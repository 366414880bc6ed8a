"""An SDK that gives up waiting and comes back by itself finds its place again, without knowing of Headgate."""

from __future__ import annotations

import json
from asyncio import Future
from typing import Any, Final

from proxy.admission.view import TicketState
from proxy.domain.ids import TicketId
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


def states(proxy: Proxy) -> dict[TicketId, TicketState]:
    """Every ticket: holding, waiting or lingering."""
    return {ticket.ticket: ticket.state for ticket in proxy.app.store.view().tickets}


async def arrival(proxy: Proxy, known: list[TicketId]) -> TicketId:
    """The ticket of whoever comes now."""
    await until(lambda: len(states(proxy)) == len(known) + 1, f"caller {len(known)} arrives")
    (ticket,) = set(states(proxy)) - set(known)
    return ticket


async def are(proxy: Proxy, tickets: list[TicketId], state: TicketState) -> None:
    """All of them are in that state at once."""
    await until(
        lambda: all(states(proxy).get(ticket) is state for ticket in tickets), f"{len(tickets)} are {state.value}"
    )


async def test_who_came_first_goes_first_over_three_refusals(both_newest: Sdk) -> None:
    """Creates one at a time, 2 s of patience, about 10 s in the queue: the SDK's own three retries carry them.

    A seat becomes free whenever the next in line has just come back; one that comes while the others are away is last.
    """
    clock = ManualClock()
    config = E2BConfig(create_seconds=CREATE_SECONDS)
    async with (
        FakeE2B(config, clock=clock) as fake,
        running(_POLICY.format(url=fake.url)) as proxy,
        remote(both_newest, url=f"{proxy.url}/e2b") as client,
    ):
        calls: list[Future[dict[str, Any]]] = []
        tickets: list[TicketId] = []
        for number in range(5):
            if number == 4:
                await are(proxy, tickets[1:], TicketState.LINGERING)
            calls.append(client.call("create", str(number)))
            tickets.append(await arrival(proxy, tickets))
        for number in range(1, 5):
            await are(proxy, [tickets[number]], TicketState.WAITING)
            if number in (2, 3):  # once more round
                await are(proxy, [tickets[number]], TicketState.LINGERING)
                await are(proxy, [tickets[number]], TicketState.WAITING)
            await clock.advance(CREATE_SECONDS)
            await fake.until(lambda sent=number + 1: len(fake.seen.creates) == sent)  # type: ignore[misc]
        await clock.advance(CREATE_SECONDS)
        outcomes = [await call for call in calls]
        assert [told["class"] for told in outcomes] == [None] * 5
        assert len({told["value"] for told in outcomes}) == 5
        assert names(fake) == ["0", "1", "2", "3", "4"]
        assert counts(proxy)["e2b"] >= 5 + 1 + 2 + 3, "five that worked; 1 to 3 were refused once, twice, three times"
        assert states(proxy) == {}
