"""What goes wrong at the fake API server: too many requests, quota, slowness, lost replies, wrong tokens; and TLS."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import aiohttp
import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig, ManualClock
from proxy.fakes.kubernetes_faults import ANSWERS, Fault, parse
from tests.fakes.client import client
from tests.support.certificates import Authority
from tests.support.pods import NAMESPACE, PODS, agent_pod, watching

JSON = {"Content_Type": "application/json", "Accept": "application/json"}


def still(*faults: str, **more: object) -> KubernetesConfig:
    return KubernetesConfig(kubelet=False, faults=tuple(map(parse, faults)), **more)  # type: ignore[arg-type]


def test_a_fault_is_read_from_a_line() -> None:
    assert parse("create:2:done:reset") == Fault("create", 2, 2, True, "reset")
    assert parse("patch/status:1-3:undone:429:0.5") == Fault("patch/status", 1, 3, False, "429", 0.5)


@pytest.mark.parametrize("text", ["create:2", "create:0:done:503", "create:1:maybe:503", "create:1:undone:truncate"])
def test_a_bad_line_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("what", sorted(ANSWERS))
async def test_an_answer_replaces_the_answer_of_work_done_or_not(what: str, *, done: bool) -> None:
    config = still(f"create:2:{'done' if done else 'undone'}:{what}")
    async with FakeKubernetes(config) as fake, client(fake.url, **JSON) as call:
        statuses = [(await call("POST", PODS, agent_pod(name))).status for name in ("a", "b", "c")]
        assert statuses == [201, ANSWERS[what].status, 201]
        assert fake.seen.created == [f"{NAMESPACE}/{name}" for name in ("a", "b", "c") if done or name != "b"]


@pytest.mark.parametrize("what", ["reset", "close", "truncate"])
async def test_a_reply_that_is_lost_after_the_work(what: str) -> None:
    async with FakeKubernetes(still(f"create:1:done:{what}")) as fake, client(fake.url, **JSON) as call:
        with pytest.raises(aiohttp.ClientError):
            await call("POST", PODS, agent_pod("a"))
        assert fake.seen.created == [f"{NAMESPACE}/a"]
        await fake.until(lambda: fake.seen.answers == [("create", 0)])


async def test_a_hang_ends_with_its_caller() -> None:
    async with FakeKubernetes(still("get:1:undone:hang")) as fake, client(fake.url, **JSON) as call:
        task = asyncio.ensure_future(call("GET", f"{PODS}/a"))
        await fake.until(lambda: fake.seen.refused["fault"] == 1)
        task.cancel()
        await fake.until(lambda: fake.seen.left == 1)


async def test_one_request_too_many_gets_text() -> None:
    clock = ManualClock()
    config = still(max_writing=2, latency={"create": 1.0})
    async with FakeKubernetes(config, clock=clock) as fake, client(fake.url, **JSON) as call:
        first = [asyncio.ensure_future(call("POST", PODS, agent_pod(name))) for name in ("a", "b")]
        await clock.sleeping(2)
        third = await call("POST", PODS, agent_pod("c"))
        assert third.status == 429
        assert third.raw == b"Too many requests, please try again later.\n"
        assert third.headers["Content-Type"].startswith("text/plain")
        assert third.headers["Retry-After"] == "1"
        assert (await call("GET", PODS)).status == 200
        await clock.advance(1)
        assert [answer.status for answer in await asyncio.gather(*first)] == [201, 201]
        assert fake.seen.refused == {"busy": 1}
        assert fake.seen.most_in_flight["create"] == 3


async def test_a_quota_counts_pods_that_are_not_over() -> None:
    async with FakeKubernetes(still(quota={NAMESPACE: 1})) as fake, client(fake.url, **JSON) as call:
        pod = (await call("POST", PODS, agent_pod("a"))).json
        refused = await call("POST", PODS, agent_pod("b"))
        assert refused.status == 403
        assert refused.json["message"] == (
            'pods "b" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=1, limited: pods=1'
        )
        assert refused.json["details"] == {"name": "b", "kind": "pods"}
        await call("PUT", f"{PODS}/a/status", pod | {"status": {"phase": "Failed"}})
        assert (await call("POST", PODS, agent_pod("b"))).status == 201


async def test_a_slow_operation_does_not_slow_the_others() -> None:
    clock = ManualClock()
    async with FakeKubernetes(still(latency={"list": 60.0}), clock=clock) as fake, client(fake.url, **JSON) as call:
        slow = asyncio.ensure_future(call("GET", PODS))
        await clock.sleeping(1)
        assert (await call("POST", PODS, agent_pod("a"))).status == 201
        async with watching(fake.url + PODS) as stream:
            assert (await stream.event())["type"] == "ADDED"
        await clock.advance(60)
        assert (await slow).status == 200


async def test_only_known_tokens_are_let_in() -> None:
    async with FakeKubernetes(still(tokens={"t1": "somebody"})) as fake, client(fake.url, **JSON) as call:
        refused = await call("GET", PODS)
        assert (refused.status, refused.json["message"]) == (401, "Unauthorized")
        assert (await call("GET", PODS, headers={"Authorization": "Bearer t1"})).status == 200


async def test_it_speaks_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    config = still(certificate=authority.certificate("server", "127.0.0.1"))
    trusting = ssl.create_default_context(cafile=str(authority.file))
    async with FakeKubernetes(config) as fake, aiohttp.ClientSession() as session:
        assert fake.url.startswith("https://127.0.0.1:")
        async with session.get(fake.url + PODS, ssl=trusting) as reply:
            assert (await reply.json())["kind"] == "PodList"
