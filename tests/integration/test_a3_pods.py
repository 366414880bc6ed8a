"""Scenario A3 (problems.md §4.3): the agent's container is OOM-killed, its sidecar lives on, the phase stays Running.

The handler uses the real ``kubernetes_asyncio``. Its retry wait of a minute and its deadline of half an hour go by a
clock that is moved by hand: loops are counted, not timed.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from proxy.fakes.clock import ManualClock
from tests.support.orphan import RETRY_WAIT, Scene, scene
from tests.support.pods import PODS, Stream
from tests.support.waiting import WITHIN, until

MARK = "headgate.dev/PhaseDerived"


async def attended(stage: Scene, clock: ManualClock) -> None:
    """One agent, attached to, killed, and what its handler makes of it."""
    handler = stage.handler
    await handler.create("a")
    await stage.ready("a")
    attending = asyncio.ensure_future(handler.attend("a"))
    await until(lambda: b"\x01hello\n" in handler.said, "the agent has answered")
    await stage.oom_kill("a")
    while not attending.done():
        waits = asyncio.ensure_future(clock.sleeping(1))
        await asyncio.wait((attending, waits), return_when=asyncio.FIRST_COMPLETED)
        waits.cancel()
        await clock.advance(RETRY_WAIT)
    await attending


async def test_without_the_proxy_the_handler_reclaims_a_dead_agent_until_the_deadline() -> None:
    clock = ManualClock()
    async with scene(clock, proxied=False) as stage:
        await attended(stage, clock)
        assert stage.handler.verdict == "deadline"
        assert (stage.handler.reclaims, stage.handler.eofs) == (30, 30)
        assert await stage.handler.status("a") == "running"
        assert await stage.handler.second_generation("a") == "Created"


async def test_with_the_proxy_the_first_look_says_that_it_is_over() -> None:
    clock = ManualClock()
    async with scene(clock, proxied=True) as stage:
        before = clock.now()
        handler = stage.handler
        await handler.create("a")
        await stage.ready("a")
        assert await handler.exec("a", "sh", "-c", "echo out; echo err >&2") == "out\nerr\n"
        attending = asyncio.ensure_future(handler.attend("a"))
        await until(lambda: b"\x01hello\n" in handler.said, "the agent has answered")
        await stage.oom_kill("a")
        await asyncio.wait_for(attending, WITHIN)
        assert (handler.verdict, handler.reclaims, handler.eofs) == ("stopped", 0, 1)
        assert clock.now() == before, "it was over before the first retry wait"
        assert json.loads(handler.said[-1][1:]) == {"metadata": {}, "status": "Success"}
        pod = await handler.pod("a")
        assert (pod.status.phase, pod.status.reason) == ("Failed", "OOMKilled")
        assert "137" in pod.status.message
        killed = pod.status.container_statuses[0].state.terminated
        assert (killed.reason, killed.exit_code) == ("OOMKilled", 137)
        assert [c.status for c in pod.status.conditions if c.type == MARK] == ["True"]
        assert [c.status for c in pod.status.conditions if c.type in ("Ready", "ContainersReady")] == ["False"] * 2
        assert await handler.second_generation("a") == "Stopped"
        assert_nothing_derived_is_stored(stage)


def assert_nothing_derived_is_stored(stage: Scene) -> None:
    text = json.dumps(list(stage.cluster.store))
    assert MARK not in text
    assert '"phase": "Failed"' not in text


async def test_an_agent_that_lives_stays_running() -> None:
    async with scene(ManualClock(), proxied=True) as stage:
        await stage.handler.create("a")
        await stage.ready("a")
        assert await stage.handler.status("a") == "running"
        await stage.oom_kill("a", "tool-server")
        assert stage.true("a")["status"]["phase"] == "Running"
        assert await stage.handler.status("a") == "running"
        assert await stage.handler.exec("a", "echo", "alive") == "alive\n"


async def test_an_agent_that_is_done_has_succeeded() -> None:
    async with scene(ManualClock(), proxied=True) as stage:
        await stage.handler.create("a")
        await stage.ready("a")
        stage.cluster.kubelet.end("agents-1", "a", "sandbox", 0)
        pod = await stage.handler.pod("a")
        assert (pod.status.phase, pod.status.reason) == ("Succeeded", "Completed")
        assert stage.true("a")["status"]["phase"] == "Running"


async def bodies(stage: Scene) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The pod by GET, and by LIST in the namespace, in pages and everywhere."""
    async with aiohttp.ClientSession(stage.url) as session:
        one = await _json(session, f"{PODS}/a")
        lists = [await _json(session, path) for path in (PODS, f"{PODS}?limit=1", "/api/v1/pods")]
    return one, [listed["items"][0] for listed in lists]


async def _json(session: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with session.get(path) as reply:
        found: dict[str, Any] = await reply.json()
        return found


@pytest.mark.parametrize("code", [0, 1, 137])
async def test_list_and_watch_agree_with_get(code: int) -> None:
    async with scene(ManualClock(), proxied=True) as stage:
        await stage.handler.create("a")
        await stage.ready("a")
        async with (
            aiohttp.ClientSession(stage.url) as session,
            session.get(f"{PODS}?watch=true", timeout=aiohttp.ClientTimeout(total=None)) as reply,
        ):
            stream = Stream(reply)
            assert (await stream.event())["object"]["status"]["phase"] == "Running"
            stage.cluster.kubelet.end("agents-1", "a", "sandbox", code)
            event = await stream.event()
            one, listed = await bodies(stage)
            assert one["status"]["phase"] == ("Failed" if code else "Succeeded")
            assert event == {"type": "MODIFIED", "object": one}
            assert listed == [{key: one[key] for key in ("metadata", "spec", "status")}] * 3
            await stage.handler.core.delete_namespaced_pod("a", "agents-1", grace_period_seconds=5)
            later = await stream.until("DELETED")
            # after exit 0 the true end is Failed: the sidecar dies of SIGTERM (kubernetes.md §4.2, case 20)
            phases = {event["object"]["status"]["phase"] for event in later}
            assert phases == ({"Failed"} if code else {"Succeeded", "Failed"})


async def warm_pool(*, proxied: bool) -> list[str]:
    """The names that the tidying of the warm pool deletes, of one dead agent and one that lives."""
    async with scene(ManualClock(), proxied=proxied) as stage:
        for name in ("dead", "alive"):
            await stage.handler.create(name, warm=True)
        await stage.ready("dead", "alive")
        await stage.oom_kill("dead")
        deleted = await stage.handler.tidy_warm_pool()
        await stage.cluster.until(lambda: len(list(stage.cluster.store)) == 2 - len(deleted))
        return deleted


async def test_the_warm_pool_gets_rid_of_its_dead() -> None:
    assert await warm_pool(proxied=False) == []
    assert await warm_pool(proxied=True) == ["dead"]


async def test_pods_that_need_no_change_pass_byte_for_byte() -> None:
    async with scene(ManualClock(), proxied=True) as stage:
        await stage.handler.create("a", annotations={"note": "<b> & ü"})
        await stage.handler.create("b", "web", "tool-server")  # none of the names is here
        await stage.ready("a", "b")
        stage.cluster.kubelet.oom_kill("agents-1", "b", "web")
        async with aiohttp.ClientSession() as session:
            for path in (f"{PODS}/a", f"{PODS}/b", PODS):
                seen = []
                for base in (stage.cluster.url, stage.url):
                    async with session.get(base + path, headers={"Accept": "application/json"}) as reply:
                        seen.append(await reply.read())
                assert seen[0] == seen[1]
                assert b"\\u003cb\\u003e" in seen[0] or path.endswith("/b")
