"""The incident for real (problems.md §4): the agent's container dies, its sidecar lives on, and everybody is told."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.acting import Pod
from tests.cluster.pods import Json, state_of
from tests.cluster.running import Cluster
from tests.kubernetes.ends import MARK, assert_nothing_derived_is_stored, look, without_phase
from tests.kubernetes.front import Front, Way
from tests.kubernetes.stage import Stage
from tests.kubernetes.talking import rest
from tests.kubernetes.watching import watching

FAILED = "--for=jsonpath={.status.phase}=Failed"
SAID = {
    "direct": {"alive": "Running", "dead": "Running", "failed": "Failed"},
    "through": {"alive": "Running", "dead": "Failed", "failed": "Failed"},
}


def assert_told(pod: Json) -> None:
    """It says Failed, OOMKilled, 137, and what the API server says."""
    status = pod["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "OOMKilled")
    assert status["message"] == 'container "sandbox" terminated: OOMKilled (exit code 137)'
    told = {one["type"]: one for one in status["conditions"]}
    assert (told[MARK]["status"], told[MARK]["reason"]) == ("True", "MainContainerTerminated")
    assert '"phase":"Running"' in told[MARK]["message"]
    assert told[MARK]["lastTransitionTime"] == state_of(pod, "sandbox")[1]["finishedAt"]
    assert [told[kind]["status"] for kind in ("Ready", "ContainersReady")] == ["False"] * 2


async def test_a_watch_and_kubectl_wait_hear_it_with_the_kubelets_own_event(
    living: Pod, direct: Way, through: Way, namespace: str
) -> None:
    pod, one = living, {"fieldSelector": f"metadata.name={living.name}"}
    waits = through.kubectl.running("wait", "-n", namespace, f"pod/{pod.name}", FAILED, "--timeout=60s")
    async with watching(direct, namespace, **one) as true, watching(through, namespace, **one) as told, waits as wait:
        await told.first(lambda event: event.state("sandbox") == "running")
        await pod.run_out_of_memory()
        killed = await true.first(lambda event: event.state("sandbox") == "terminated")
        heard = await told.version(killed.version)
        code, out, _ = await rest(wait)
        assert (code, out) == (0, f"pod/{pod.name} condition met\n".encode())

    assert (killed.phase, killed.state("sidecar")) == ("Running", "running")
    assert_told(heard.pod)
    assert without_phase(heard.pod) == without_phase(killed.pod)
    assert abs(heard.at - killed.at) < 1.0
    assert told.phases == ["Running", "Failed"]
    assert true.phases == ["Running"]


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"resourceVersion": "0"},
        {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"},
    ],
)
async def test_a_watch_opened_afterwards_begins_with_it(
    stage: Stage, dead: Pod, through: Way, parameters: dict[str, str]
) -> None:
    async with watching(through, stage.namespace, **parameters) as watch:
        event = await watch.first(lambda event: event.name == dead.name)
    assert (event.kind, event.pod) == ("ADDED", await look(through, dead))


async def test_get_and_list_agree(stage: Stage, dead: Pod, direct: Way, through: Way) -> None:
    true, told = await look(direct, dead), await look(through, dead)
    assert true["status"]["phase"] == "Running"
    assert "reason" not in true["status"]
    assert_told(told)
    assert without_phase(told) == without_phase(true)

    everywhere = f"/api/v1/pods?fieldSelector=metadata.namespace={stage.namespace}"
    for path in (f"/api/v1/namespaces/{stage.namespace}/pods", everywhere):
        listed = (await asyncio.to_thread(through.api.get, path))["items"]
        shown = {one["metadata"]["name"]: one["status"] for one in listed}
        assert shown["dead"] == told["status"], path
        assert {name: status["phase"] for name, status in shown.items()} == SAID["through"], path
    assert (await asyncio.to_thread(through.api.get, f"{dead.path}/status")) == told


async def test_pages_of_a_list(stage: Stage, direct: Way, through: Way) -> None:
    async def pages(way: Way) -> dict[str, str]:
        found, path = {}, f"/api/v1/namespaces/{stage.namespace}/pods?limit=1"
        page = await asyncio.to_thread(way.api.get, path)
        while page:
            (one,) = page["items"]
            found[one["metadata"]["name"]] = one["status"]["phase"]
            more = page["metadata"].get("continue")
            page = more and await asyncio.to_thread(way.api.get, f"{path}&continue={more}")
        return found

    assert {way.name: await pages(way) for way in (direct, through)} == SAID


async def test_what_needs_no_change_passes_byte_for_byte(stage: Stage, direct: Way, through: Way) -> None:
    raw = {"Headgate-Raw": "1"}
    indented = {"Accept": "*/*"}
    listed = f"/api/v1/namespaces/{stage.namespace}/pods"
    version = (await asyncio.to_thread(direct.api.get, listed))["metadata"]["resourceVersion"]
    for path, headers in (
        (stage.alive.path, {}),
        (stage.failed.path, {}),
        (stage.alive.path, indented),
        (stage.dead.path, raw),
        (f"{listed}?resourceVersion={version}&resourceVersionMatch=Exact", raw),
        (f"/api/v1/namespaces/{stage.namespace}", {}),
        ("/version", {}),
    ):
        true = await asyncio.to_thread(direct.api.send, "GET", path, None, headers)
        told = await asyncio.to_thread(through.api.send, "GET", path, None, headers)
        assert (true.status, told.status, told.body) == (200, 200, true.body), path


async def test_replies_to_writes_tell_it_too(killed: Pod, through: Way) -> None:
    label = {"metadata": {"labels": {"seen": "yes"}}}
    patched = await asyncio.to_thread(through.api.patch, killed.path, label)
    assert_told(patched)
    assert_told(await asyncio.to_thread(through.api.call, "PUT", killed.path, patched))
    await assert_nothing_derived_is_stored(killed)
    assert_told(await asyncio.to_thread(lambda: through.api.delete(killed.path, grace=0)))


async def test_who_may_not_look_is_told_what_the_api_server_says(cluster: Cluster, dead: Pod, front: Front) -> None:
    for token in (cluster.nobody_token, "made-up"):
        true = await asyncio.to_thread(cluster.as_caller(token).send, "GET", dead.path)
        told = await asyncio.to_thread(front.way(token).api.send, "GET", dead.path)
        assert true.status in (401, 403)
        assert (told.status, told.body) == (true.status, true.body)


async def test_a_service_account_sees_what_it_may(cluster: Cluster, dead: Pod, front: Front) -> None:
    token = await asyncio.to_thread(cluster.account, dead.namespace)
    agent = front.way(token).api
    assert_told(await asyncio.to_thread(agent.get, dead.path))
    refused = await asyncio.to_thread(agent.send, "GET", "/api/v1/namespaces/default/pods")
    assert (refused.status, refused.json["reason"]) == (403, "Forbidden")


async def test_annotations_decide_who_is_told(living: Pod, through: Way) -> None:
    async def annotate(name: str, value: str | None) -> str:
        change = {"metadata": {"annotations": {f"headgate.dev/{name}": value}}}
        told = await asyncio.to_thread(through.api.patch, living.path, change)
        return str(told["status"]["phase"])

    await living.run_out_of_memory()
    assert await annotate("phase-rewrite", "off") == "Running"
    assert await annotate("phase-rewrite", None) == "Failed"
    assert await annotate("main-container", "sidecar") == "Running"
    assert await annotate("main-container", "sandbox") == "Failed"
