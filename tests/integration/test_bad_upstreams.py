"""Upstreams that are not there, break off, or say odd things: an error in dialect, and never a create sent twice."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from proxy.fakes import E2BConfig, FakeE2B, Fault
from tests.support.callers import Answer, RawCaller, crowd, request
from tests.support.proxies import Proxy, running
from tests.support.upstreams import always, in_turn, reply, upstream
from tests.support.waiting import until

POLICY = """
version: 1
upstreams:
  e2b: {url: "%s", dialect: e2b, prefix: /e2b}
  plain: {url: "%s", dialect: http, prefix: /plain}
limits: {creates: {seats: 4, per: upstream}}
routes:
  - name: create
    match: {upstream: e2b, operation: create}
    limits: [creates]
    queue: {patience: 20s}
    retry: {attempts: 3, backoff: 1ms..2ms}
  - {name: rest, match: {upstream: e2b}, retry: {attempts: 3, backoff: 1ms..2ms}}
  - {name: plain, match: {upstream: plain}, retry: {attempts: 3, backoff: 1ms..2ms}}
"""
RETRIES = "headgate_upstream_retries_total"


def policy(e2b: str, plain: str = "http://127.0.0.1:9") -> str:
    return POLICY % (e2b, plain)


def retries(proxy: Proxy, route: str, up: str = "e2b") -> float | None:
    return proxy.app.metrics.registry.get_sample_value(RETRIES, {"upstream": up, "route": route})


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address where connections are refused: bound, and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("target", ["/", "/nowhere", "/e2bx/sandboxes", "/t/acme/nowhere"])
async def test_an_unknown_prefix_is_a_404_in_the_plain_dialect(target: str) -> None:
    async with running(policy("http://127.0.0.1:9")) as proxy:
        caller = await RawCaller.connect(proxy.url)
        caller.send(request("GET", target))
        answer = await caller.answer()
        assert answer.status == answer.json["status"] == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["Proxy-Status"].startswith("headgate; error=destination_not_found;")


async def test_an_upstream_that_is_not_there_is_a_503_in_dialect(nobody: str) -> None:
    async with running(policy(nobody, nobody)) as proxy, crowd() as people:
        answer = await people.create(f"{proxy.url}/e2b")
        assert (answer.status, answer.json["code"], answer.json["error_code"]) == (503, 503, "upstream_unreachable")
        assert answer.headers["Retry-After"] == "1"
        assert "Should-Retry" not in answer.headers, "nothing was sent: trying again is safe"
        assert retries(proxy, "create") == 2
        plain = await people.send("GET", f"{proxy.url}/plain/x")
        assert plain.status == plain.json["status"] == 503
        assert proxy.held() == 0


async def test_an_upstream_that_comes_up_meanwhile_is_reached() -> None:
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        slow = policy(f"http://127.0.0.1:{port}").replace(
            "attempts: 3, backoff: 1ms..2ms", "attempts: 99, backoff: 9ms..9ms"
        )
        async with running(slow) as proxy, crowd() as people:
            call = asyncio.ensure_future(people.create(f"{proxy.url}/e2b"))
            await until(lambda: (retries(proxy, "create") or 0) > 1)
            held.listen()
            accepted, _ = await asyncio.get_running_loop().sock_accept(nonblocking(held))
            with accepted:
                accepted.setblocking(False)
                assert await asyncio.get_running_loop().sock_recv(accepted, 4096)
                await asyncio.get_running_loop().sock_sendall(accepted, reply(201, b'{"sandboxID":"s"}'))
                assert (await call).status == 201


def nonblocking(held: socket.socket) -> socket.socket:
    held.setblocking(False)
    return held


BROKEN = ["reset", "close", "truncate"]
REFUSED = ["500", "502", "503-final", "504", "edge-502", "edge-503", "edge-504", "empty-503"]
"""Created, and then the answer was lost or says otherwise: the create may have been processed."""


@pytest.mark.parametrize("what", BROKEN + REFUSED)
async def test_a_create_that_may_have_been_processed_is_never_sent_again(what: str) -> None:
    config = E2BConfig(faults=(Fault("create", 1, 1, True, what),))
    async with FakeE2B(config) as e2b, running(policy(e2b.url)) as proxy:
        caller = await RawCaller.connect(proxy.url)
        caller.send(request("POST", "/e2b/sandboxes", b'{"templateID":"base"}', [("X-API-Key", "e2b_aa")]))
        if what == "truncate":
            assert b"HTTP/1.1 201" in await caller.ended(), "its head had gone on already; then the connection ends"
        else:
            answer = await caller.answer()
            assert answer.status >= 500
            assert answer.json["code"] == answer.status
            if what != "500":
                assert answer.headers["Should-Retry"] == "false"
        await until(lambda: proxy.held() == 0)
        assert len(e2b.seen.creates) == 1
        assert retries(proxy, "create") == 0


async def test_a_create_on_a_kept_connection_that_was_closed_is_not_sent_again() -> None:
    """Stale or not: the upstream may have read it. An idempotent request is sent once more."""
    created = reply(201, b'{"sandboxID":"s"}')
    async with upstream(in_turn(created, None, created)) as up, running(policy(up.url)) as proxy, crowd() as people:
        assert (await people.create(f"{proxy.url}/e2b")).status == 201
        broken = await people.create(f"{proxy.url}/e2b")
        assert (broken.status, broken.json["error_code"]) == (504, "outcome_unknown")
        assert len(up.seen) == 2


async def test_an_idempotent_request_on_such_a_connection_is_sent_once_more_whatever_the_policy() -> None:
    once = POLICY.replace("retry: {attempts: 3, backoff: 1ms..2ms}", "retry: {attempts: 1}")
    answers = in_turn(reply(200), None, reply(200))
    async with upstream(answers) as up, running(once % (up.url, up.url)) as proxy, crowd() as people:
        assert (await people.send("GET", f"{proxy.url}/plain/x")).status == 200
        assert (await people.send("GET", f"{proxy.url}/plain/x")).status == 200
        assert len(up.seen) == 3


@pytest.mark.parametrize("what", ["429", "503", "edge-429"])
async def test_a_create_that_was_provably_not_processed_is_sent_again(what: str) -> None:
    config = E2BConfig(faults=(Fault("create", 1, 1, False, what),))
    async with FakeE2B(config) as e2b, running(policy(e2b.url)) as proxy, crowd() as people:
        assert (await people.create(f"{proxy.url}/e2b")).status == 201
        assert len(e2b.seen.creates) == 2
        assert len(e2b.live()) == 1
        assert retries(proxy, "create") == 1


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_idempotent_requests_are_sent_again(status: int) -> None:
    answers = in_turn(reply(status), reply(status), reply(200, b"[]"))
    async with upstream(answers) as up, running(policy(up.url)) as proxy, crowd() as people:
        assert (await people.send("GET", f"{proxy.url}/e2b/sandboxes")).status == 200
        assert len(up.seen) == 3


async def test_no_more_often_than_the_policy_says() -> None:
    async with upstream(always(503)) as up, running(policy(up.url, up.url)) as proxy, crowd() as people:
        assert (await people.send("GET", f"{proxy.url}/plain/x")).status == 503
        assert len(up.seen) == 3


async def test_an_idempotent_request_that_breaks_for_good_is_a_502() -> None:
    async with upstream(in_turn(None)) as up, running(policy(up.url, up.url)) as proxy, crowd() as people:
        answer: Answer = await people.send("GET", f"{proxy.url}/plain/x")
        assert answer.status == answer.json["status"] == 502
        assert len(up.seen) == 3


async def test_an_upstreams_retry_after_closes_the_gate_for_who_shares_the_key() -> None:
    held = reply(429, b'{"code":429,"message":"x"}', "Content-Type: application/json", "Retry-After: 1")
    async with upstream(in_turn(held, reply(201, b"{}"))) as up, running(policy(up.url)) as proxy, crowd() as people:
        loop = asyncio.get_running_loop()
        first = asyncio.ensure_future(people.create(f"{proxy.url}/e2b"))
        await until(lambda: proxy.waiting() == 1, "it rests")
        refused_at = loop.time()
        same_key = asyncio.ensure_future(people.create(f"{proxy.url}/e2b"))
        await until(lambda: proxy.waiting() == 2, "the gate is closed for the same key")
        other = await people.create(f"{proxy.url}/e2b", key="e2b_other")
        assert other.status == 201
        assert len(up.seen) == 2
        assert {(await first).status, (await same_key).status} == {201}
        assert min(seen.at for seen in up.seen[2:]) - refused_at > 0.9
