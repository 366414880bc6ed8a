"""What callers of the Kubernetes API are told on the wire, by the API server and by Headgate (kubernetes.md §9)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.callers import Answer, RawCaller, request
from tests.support.proxies import Proxy, running
from tests.support.upstreams import Gate, Script, Seen, Upstream, always, reply, upstream
from tests.support.waiting import until

POLICY = """
version: 1
upstreams: {kube: {url: "%s", dialect: kubernetes, prefix: /kube}}
tenants: {identify: [namespace]}
limits: {creates: {seats: 1, per: namespace}}
routes:
  - {name: create, match: {upstream: kube, operation: create}, limits: [creates], queue: {patience: 60s}}
  - {name: rest, match: {upstream: kube}}
"""
POD = b'{"kind":"Pod","apiVersion":"v1","metadata":{"generateName":"a-"}}'


@asynccontextmanager
async def stage(script: Script) -> AsyncIterator[tuple[Proxy, Upstream]]:
    async with upstream(script) as up, running(POLICY % up.url) as proxy:
        yield proxy, up


async def begin(proxy: Proxy, namespace: str = "a", query: str = "", method: str = "POST") -> RawCaller:
    """A caller that has asked for a pod, or for the pods that are there."""
    caller = await RawCaller.connect(proxy.url)
    body = POD if method == "POST" else b""
    caller.send(request(method, f"/kube/api/v1/namespaces/{namespace}/pods{query}", body))
    return caller


async def asked(proxy: Proxy, namespace: str = "a", query: str = "", method: str = "POST") -> Answer:
    return await (await begin(proxy, namespace, query, method)).answer()


@pytest.mark.parametrize("again", ["", "1", "30"], ids=["without", "1", "30"])
@pytest.mark.parametrize("status", [403, 409, 429, 500, 502, 503, 504])
async def test_the_api_servers_errors_pass_as_they_are(status: int, again: str) -> None:
    """With ``Retry-After`` or without: nothing is added, nothing taken away, whatever may have become of the create."""
    fields = ["Content-Type: text/plain; charset=utf-8", "Audit-Id: 1", "X-Kubernetes-Pf-Flowschema-Uid: u"]
    if again:
        fields.append(f"Retry-After: {again}")
    async with stage(always(status, b"Too many requests, please try again later.\n", *fields)) as (proxy, up):
        answer = await asked(proxy)
    assert answer.status == status
    assert answer.body == b"Too many requests, please try again later.\n"
    added = [f"{name}: {value}" for name, value in answer.headers.items() if name != "Content-Length"]
    assert [line for line in added if not line.startswith("Server-Timing: ")] == fields
    assert len(up.seen) == 1


async def test_a_create_that_breaks_is_not_sent_again_by_anybody() -> None:
    async def broken(seen: Seen) -> None:
        return None

    async with stage(broken) as (proxy, up):
        answer = await asked(proxy)
        assert len(up.seen) == 1
    assert (answer.status, answer.json["reason"], answer.json["code"]) == (504, "Timeout", 504)
    assert answer.headers["Content-Type"] == "application/json"
    assert "Retry-After" not in answer.headers
    assert "Should-Retry" not in answer.headers


async def test_the_time_a_request_gives_itself_ends_its_wait() -> None:
    gate = Gate(reply(201, POD))
    async with stage(gate) as (proxy, _):
        first = await begin(proxy)
        await until(lambda: proxy.held() == 1)
        answer = await asked(proxy, query="?timeout=50ms")
        assert (answer.status, answer.json["reason"]) == (429, "TooManyRequests")
        assert answer.json["details"]["kind"] == "pods"
        seconds = answer.headers["Retry-After"]
        assert answer.json["details"]["retryAfterSeconds"] == int(seconds) >= 1
        assert answer.headers["Headgate-Ticket"]
        gate.open()
        assert (await first.answer()).status == 201


async def test_namespaces_have_seats_of_their_own_and_reads_need_none() -> None:
    gate = Gate(reply(201, POD))

    async def script(seen: Seen) -> bytes:
        return reply(200, b"{}") if seen.line.startswith("GET") else await gate(seen)

    async with stage(script) as (proxy, up):
        first, other = await begin(proxy, "a"), await begin(proxy, "b")
        await until(lambda: proxy.held() == 2)
        waiting = await begin(proxy, "a")
        await until(lambda: proxy.waiting() == 1)
        assert (await asked(proxy, "a", method="GET")).status == 200
        assert [queue.tenant for queue in proxy.app.store.view().queues] == ["a"]
        gate.open()
        for caller in (first, other, waiting):
            assert (await caller.answer()).status == 201
        assert len(up.seen) == 4
