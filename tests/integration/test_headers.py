"""The headers of the contract, as a caller and an upstream see them on the wire."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.support.callers import CREATE, Answer, RawCaller, request
from tests.support.proxies import Proxy, running
from tests.support.upstreams import Gate, Script, Upstream, always, in_turn, reply, upstream
from tests.support.waiting import until

CREATED = b'{"sandboxID":"sb-1","clientID":"c"}'
POLICY = """
version: 1
upstreams: {e2b: {url: "%s", dialect: e2b, prefix: /e2b}}
limits: {creates: {seats: 1, per: upstream}}
routes:
  - {name: create, match: {upstream: e2b, operation: create}, limits: [creates], queue: {patience: 60s, linger: 40s}}
  - {name: rest, match: {upstream: e2b}}
"""


@dataclass
class Stage:
    """A proxy with one seat, and the upstream behind it."""

    proxy: Proxy
    up: Upstream

    async def send(self, *fields: tuple[str, str], body: bytes = CREATE, target: str = "/e2b/sandboxes") -> RawCaller:
        """A caller that has sent a create."""
        caller = await RawCaller.connect(self.proxy.url)
        caller.send(request("POST", target, body, [("X-API-Key", "e2b_aa"), *fields]))
        return caller

    async def hold(self) -> RawCaller:
        """Take the seat."""
        caller = await self.send(("X-Name", "holder"))
        await until(lambda: self.proxy.held() == 1)
        return caller

    async def waits(self, *fields: tuple[str, str], body: bytes = CREATE) -> RawCaller:
        """A caller known to wait."""
        before = self.proxy.waiting()
        caller = await self.send(*fields, body=body)
        await until(lambda: self.proxy.waiting() == before + 1)
        return caller


@asynccontextmanager
async def stage(script: Script, policy: str = POLICY) -> AsyncIterator[Stage]:
    async with upstream(script) as up, running(policy % up.url) as proxy:
        yield Stage(proxy, up)


@pytest.mark.parametrize(
    "wish", [("Headgate-Patience", "50ms"), ("Prefer", "wait=0"), ("Prefer", "respond-async, wait=0")]
)
async def test_a_caller_may_shorten_its_patience(wish: tuple[str, str]) -> None:
    async with stage(Gate()) as on:
        await on.hold()
        answer = await (await on.send(wish)).answer()
        assert answer.status == 429
        assert answer.json["error_code"] == "queue_timeout"


@pytest.mark.parametrize("wish", [("Headgate-Patience", "10m"), ("Prefer", "wait=600")])
async def test_but_never_lengthen_it(wish: tuple[str, str]) -> None:
    async with stage(Gate(), POLICY.replace("patience: 60s", "patience: 50ms")) as on:
        await on.hold()
        assert (await (await on.send(wish)).answer()).status == 429


async def test_a_patience_that_is_none_is_a_bad_request() -> None:
    async with stage(always(201, CREATED)) as on:
        answer = await (await on.send(("Headgate-Patience", "soon"))).answer()
        assert answer.status == 400
        assert "Headgate-Patience" in answer.json["message"]
        assert on.up.seen == []


async def test_a_refusal_names_a_ticket_that_takes_the_place_back() -> None:
    gate = Gate()
    async with stage(gate) as on:
        holder = await on.hold()
        refused = await (await on.send(("Headgate-Patience", "30ms"), ("X-Name", "first"), body=b'{"a":1}')).answer()
        ticket = refused.headers["Headgate-Ticket"]
        second = await on.waits(("X-Name", "second"))
        back = await on.waits(("X-Name", "first"), ("Headgate-Ticket", ticket), body=b'{"b":2}')
        gate.open()
        for caller in (holder, second, back):
            assert (await caller.answer()).status == 201
        assert [seen.get("x-name") for seen in on.up.seen] == ["holder", "first", "second"]


async def test_the_same_request_again_finds_its_place_without_knowing() -> None:
    gate = Gate()
    async with stage(gate) as on:
        holder = await on.hold()
        refused = await (await on.send(("Headgate-Patience", "30ms"), ("X-Name", "first"), body=b'{"a":1}')).answer()
        assert refused.status == 429
        second = await on.waits(("X-Name", "second"))
        back = await on.waits(("X-Name", "first again"), body=b'{"a":1}')
        gate.open()
        for caller in (holder, second, back):
            assert (await caller.answer()).status == 201
        assert [seen.get("x-name") for seen in on.up.seen] == ["holder", "first again", "second"]


async def test_presenting_the_ticket_of_one_who_waits_takes_it_over() -> None:
    gate = Gate()
    async with stage(gate) as on:
        holder = await on.hold()
        older = await on.waits(("X-Name", "older"))
        (view,) = [ticket for ticket in on.proxy.app.store.view().tickets if ticket.state.value == "waiting"]
        newer = await on.send(("X-Name", "newer"), ("Headgate-Ticket", view.ticket))
        superseded = await older.answer()
        assert superseded.status == 409
        assert superseded.headers["Proxy-Status"].startswith("headgate; error=superseded;")
        assert superseded.headers["Should-Retry"] == "false"
        gate.open()
        assert [(await caller.answer()).status for caller in (holder, newer)] == [201, 201]
        assert [seen.get("x-name") for seen in on.up.seen] == ["holder", "newer"]


async def test_another_tenant_cannot_take_a_ticket() -> None:
    gate = Gate()
    async with stage(gate) as on:
        await on.hold()
        older = await on.waits(("X-Name", "older"))
        (view,) = [ticket for ticket in on.proxy.app.store.view().tickets if ticket.state.value == "waiting"]
        caller = await RawCaller.connect(on.proxy.url)
        thief = [("X-API-Key", "e2b_ff"), ("Headgate-Ticket", view.ticket)]
        caller.send(request("POST", "/e2b/sandboxes", CREATE, thief))
        await until(lambda: on.proxy.waiting() == 2)
        gate.open()
        assert (await older.answer()).status == 201


async def test_own_headers_are_dropped_and_all_others_pass_in_order() -> None:
    sent = [
        ("X-API-Key", "e2b_aa"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("Headgate-Patience", "20s"),
        ("HEADGATE-Anything", "x"),
        ("Headgate-Subject", "job/42"),
        ("X-Twice", "one"),
        ("x-twice", "two"),
        ("Prefer", "wait=20"),
        ("Idempotency-Key", '"k"'),
        ("X-Empty", ""),
    ]
    async with stage(always(201, CREATED)) as on:
        caller = await RawCaller.connect(on.proxy.url)
        caller.send(request("POST", "/e2b/sandboxes?x=%2F&y", CREATE, sent))
        assert (await caller.answer()).status == 201
        (seen,) = on.up.seen
        assert seen.line == "POST /sandboxes?x=%2F&y HTTP/1.1"
        kept = [pair for pair in sent if not pair[0].lower().startswith(("headgate-", "idempotency-"))]
        assert list(seen.fields) == [("Host", on.up.url[7:]), *kept, ("Content-Length", str(len(CREATE)))]
        assert seen.body == CREATE


async def test_a_key_is_forwarded_only_where_the_policy_says_so() -> None:
    policy = POLICY.replace("prefix: /e2b}", "prefix: /e2b, forward_idempotency_key: true}")
    async with stage(always(201, CREATED), policy) as on:
        assert (await (await on.send(("Idempotency-Key", '"k"'))).answer()).status == 201
        assert on.up.seen[0].get("idempotency-key") == '"k"'


def timing(answer: Answer) -> tuple[float, float]:
    """Queue and upstream, ms."""
    found = re.fullmatch(r"queue;dur=([\d.]+), upstream;dur=([\d.]+)", answer.headers["Server-Timing"])
    assert found is not None, answer.headers["Server-Timing"]
    return float(found[1]), float(found[2])


async def test_server_timing_is_on_every_proxied_reply() -> None:
    gate = Gate()
    async with stage(gate) as on:
        holder = await on.hold()
        waiting = await on.waits()
        began = asyncio.get_running_loop().time()
        refused = await (await on.send(("Headgate-Patience", "30ms"), body=b"{}")).answer()
        assert timing(refused)[0] >= 29
        gate.open()
        assert timing(await holder.answer())[1] > 0
        queued = timing(await waiting.answer())[0]
        assert queued >= 29
        assert queued / 1000 <= asyncio.get_running_loop().time() - began + 30
        observer = await RawCaller.connect(on.proxy.url)
        observer.send(request("GET", "/e2b/sandboxes"))
        assert timing(await observer.answer())[0] == 0


async def test_the_upstreams_own_errors_carry_no_proxy_status() -> None:
    said = b'{"code":429,"message":"limit"}'
    async with stage(always(429, said, "Content-Type: application/json", "Retry-After: 7")) as on:
        answer = await (await on.send()).answer()
        assert (answer.status, answer.body, answer.headers["Retry-After"]) == (429, said, "7")
        assert "Proxy-Status" not in answer.headers
        assert "Headgate-Ticket" not in answer.headers
        assert "Server-Timing" in answer.headers


async def test_a_kept_place_says_one_second_and_may_be_tried_again() -> None:
    async with stage(Gate()) as on:
        await on.hold()
        answer = await (await on.send(("Headgate-Patience", "0"))).answer()
        assert answer.status == 429
        assert answer.headers["Retry-After"] == "1"
        assert "Should-Retry" not in answer.headers
        assert re.match(r'headgate; error=[a-z_]+; details="[^"]+"$', answer.headers["Proxy-Status"])


async def test_a_full_queue_says_when_to_come_back() -> None:
    policy = POLICY.replace("linger: 40s", "linger: 40s, waiting: {per_tenant: 1, total: 1}")
    async with stage(Gate(), policy) as on:
        await on.hold()
        await on.waits()
        answer = await (await on.send(body=b"{}")).answer()
        assert answer.status == 429
        assert answer.json["error_code"] == "queue_full"
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
        assert "Headgate-Ticket" not in answer.headers


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_an_ambiguous_error_of_a_create_says_not_to_retry(status: int) -> None:
    said = b'{"code":%d,"message":"who knows"}' % status
    async with stage(always(status, said, "Content-Type: application/json")) as on:
        answer = await (await on.send()).answer()
        assert (answer.status, answer.body) == (status, said)
        assert answer.headers["Should-Retry"] == "false"
        assert len(on.up.seen) == 1


async def test_a_broken_create_is_a_504_without_retry_after() -> None:
    async with stage(in_turn(None)) as on:
        answer = await (await on.send()).answer()
        assert answer.status == 504
        assert answer.headers["Should-Retry"] == "false"
        assert "Retry-After" not in answer.headers
        assert answer.headers["Proxy-Status"].startswith("headgate; error=connection_terminated;")


async def test_an_edge_error_is_put_into_the_dialect() -> None:
    async with stage(in_turn(reply(502, b"<html>Bad Gateway</html>", "Content-Type: text/html"))) as on:
        answer = await (await on.send()).answer()
        assert answer.status == answer.json["code"] == 502
        assert answer.headers["Should-Retry"] == "false"


async def test_an_upstreams_delay_beyond_the_callers_patience_is_not_waited_for() -> None:
    policy = POLICY.replace("linger: 40s}", "linger: 40s}, retry: {attempts: 3, backoff: 1ms..2ms}")
    said = b'{"code":429,"message":"limit"}'
    async with stage(always(429, said, "Content-Type: application/json", "Retry-After: 9"), policy) as on:
        answer = await (await on.send(("Headgate-Patience", "5s"))).answer()
        assert (answer.status, answer.body, answer.headers["Retry-After"]) == (429, said, "9")
        assert len(on.up.seen) == 1


async def test_a_key_finds_its_place_again_whatever_the_body() -> None:
    gate = Gate()
    key = ("Idempotency-Key", '"attempt-7"')
    async with stage(gate) as on:
        holder = await on.hold()
        refused = await (
            await on.send(key, ("Headgate-Patience", "30ms"), ("X-Name", "first"), body=b'{"a":1}')
        ).answer()
        assert refused.status == 429
        second = await on.waits(("X-Name", "second"))
        back = await on.waits(key, ("X-Name", "first"), body=b'{"a":1,"retry":true}')
        gate.open()
        for caller in (holder, second, back):
            assert (await caller.answer()).status == 201
        assert [seen.get("x-name") for seen in on.up.seen] == ["holder", "first", "second"]
