"""Scripted faults and idempotency: what was really done, and what the caller was told."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from proxy.fakes import E2BConfig, FakeE2B, Fault, ManualClock
from proxy.fakes.e2b_faults import ANSWERS, Script, parse
from tests.fakes.client import client

KEY = {"Idempotency-Key": "0a1b"}


def faulty(*faults: str, **more: object) -> E2BConfig:
    return E2BConfig(faults=tuple(parse(fault) for fault in faults), **more)  # type: ignore[arg-type]


def test_a_fault_is_read_from_a_line() -> None:
    assert parse("create:3:done:503") == Fault("create", 3, 3, True, "503")
    assert parse("destroy:1-4:undone:edge-502:0.5") == Fault("destroy", 1, 4, False, "edge-502", 0.5)


@pytest.mark.parametrize(
    "text", ["create:3", "create:0:done:503", "create:2-1:done:503", "create:1:maybe:503", "create:1:done:418"]
)
def test_a_bad_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_the_script_counts_each_operation_alone() -> None:
    script = Script([parse("create:2-3:done:503")])
    assert [script.next("create") is not None for _ in range(4)] == [False, True, True, False]
    assert script.next("list") is None


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("what", sorted(ANSWERS))
async def test_an_answer_replaces_the_answer_of_work_done_or_not(what: str, *, done: bool) -> None:
    line = f"create:2:{'done' if done else 'undone'}:{what}"
    async with FakeE2B(faulty(line)) as fake, client(fake.url) as call:
        await call.made()
        answer = await call.create()
        assert answer.status == ANSWERS[what].status
        assert answer.raw == ANSWERS[what].payload()
        assert len(fake.live()) == (2 if done else 1)
        await call.made()
        assert fake.seen.answers[1] == ("create", ANSWERS[what].status)


@pytest.mark.parametrize("what", ["edge-429", "edge-502", "edge-503", "edge-504"])
async def test_errors_of_the_edge_are_not_json(what: str) -> None:
    async with FakeE2B(faulty(f"create:1:done:{what}")) as fake, client(fake.url) as call:
        answer = await call.create()
        assert not answer.headers["Content-Type"].startswith("application/json")
        with pytest.raises(ValueError, match=r".+"):
            _ = answer.json


@pytest.mark.parametrize("what", ["reset", "close", "truncate"])
async def test_a_broken_connection_after_the_work_leaves_a_sandbox(what: str) -> None:
    async with FakeE2B(faulty(f"create:1:done:{what}")) as fake, client(fake.url) as call:
        with pytest.raises(aiohttp.ClientError):
            await call.create()
        await fake.until(lambda: ("create", 0) in fake.seen.answers)
        assert len(fake.live()) == 1


@pytest.mark.parametrize(("what", "reset"), [("reset", True), ("close", False)])
async def test_a_reset_is_a_reset_and_a_close_is_an_end_of_file(what: str, *, reset: bool) -> None:
    async with FakeE2B(faulty(f"create:1:undone:{what}")) as fake:
        host, port = fake.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /sandboxes HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        try:
            assert await reader.read() == b""
            assert not reset
        except ConnectionResetError:
            assert reset
        finally:
            writer.close()


async def test_a_hang_ends_with_its_caller() -> None:
    async with FakeE2B(faulty("create:1:undone:hang")) as fake, client(fake.url) as call:
        task = asyncio.create_task(call.create())
        await fake.until(lambda: fake.seen.refused["fault"] == 1 or fake.seen.in_flight == 1)
        task.cancel()
        await fake.until(lambda: fake.seen.left == 1)
        assert fake.live() == []


async def test_an_answer_can_be_late() -> None:
    clock = ManualClock()
    async with FakeE2B(faulty("create:1:done:answer:9"), clock=clock) as fake, client(fake.url) as call:
        task = asyncio.create_task(call.create())
        await clock.sleeping(1)
        assert len(fake.live()) == 1
        await clock.advance(9)
        assert (await task).status == 201


async def test_without_the_flag_a_key_means_nothing() -> None:
    async with FakeE2B() as fake, client(fake.url) as call:
        first, second = [await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY) for _ in range(2)]
        assert first.json["sandboxID"] != second.json["sandboxID"]


async def test_the_same_key_replays_and_another_body_is_refused() -> None:
    async with FakeE2B(E2BConfig(idempotency=True)) as fake, client(fake.url) as call:
        first, second = [await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY) for _ in range(2)]
        assert (first.raw, first.status) == (second.raw, second.status)
        other = await call("POST", "/v2/sandboxes", {"templateID": "c"}, KEY)
        assert (other.status, other.json["error_code"]) == (409, "idempotency_request_mismatch")
        hyphen = await call("POST", "/v2/sandboxes", {"templateID": "b"}, {"Idempotency-Key": "a-b"})
        assert hyphen.status == 400
        old = await call("POST", "/sandboxes", {"templateID": "b"}, KEY)
        assert old.json["sandboxID"] != first.json["sandboxID"]


async def test_a_recorded_refusal_is_replayed_too() -> None:
    config = E2BConfig(idempotency=True, live_limit=1)
    async with FakeE2B(config) as fake, client(fake.url) as call:
        name = await call.made()
        assert (await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY)).status == 429
        await call("DELETE", f"/sandboxes/{name}")
        assert (await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY)).status == 429
        assert (await call("POST", "/v2/sandboxes", {"templateID": "b"}, {"Idempotency-Key": "ff"})).status == 201


async def test_a_lost_answer_can_be_had_again_with_the_key() -> None:
    async with FakeE2B(faulty("create:1:done:edge-504", idempotency=True)) as fake, client(fake.url) as call:
        assert (await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY)).status == 504
        assert (await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY)).json["sandboxID"] == fake.live()[0]
        assert len(fake.live()) == 1


async def test_a_running_original_and_one_that_broke_off() -> None:
    clock = ManualClock()
    config = E2BConfig(idempotency=True, create_seconds=5)
    async with FakeE2B(config, clock=clock) as fake, client(fake.url) as call:
        first = asyncio.create_task(call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY))
        await clock.sleeping(1)
        second = await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY)
        assert (second.status, second.json["error_code"]) == (409, "idempotency_in_progress")
        first.cancel()
        await fake.until(lambda: fake.seen.left == 1)
        third = await call("POST", "/v2/sandboxes", {"templateID": "b"}, KEY)
        assert (third.status, third.json["error_code"]) == (422, "idempotency_outcome_unknown")
