"""Selectors by phase on a real API server: what is chosen agrees with what is shown, but for DELETE of a collection."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.acting import Pod, running_incident
from tests.cluster.api import Refused
from tests.cluster.running import Cluster
from tests.kubernetes.front import Way
from tests.kubernetes.stage import Stage, truly_failed
from tests.kubernetes.watching import watching

CHOSEN = {
    "status.phase=Failed": {"dead": "Failed", "failed": "Failed"},
    "status.phase==Running": {"alive": "Running"},
    "status.phase!=Failed": {"alive": "Running"},
    "status.phase!=Running": {"dead": "Failed", "failed": "Failed"},
    "status.phase=Failed,metadata.name=dead": {"dead": "Failed"},
    "status.phase=Failed,metadata.name!=dead": {"failed": "Failed"},
    "status.phase=Succeeded": {},
}


@pytest.mark.parametrize("selector", CHOSEN)
async def test_a_list(stage: Stage, through: Way, selector: str) -> None:
    path = f"/api/v1/namespaces/{stage.namespace}/pods?fieldSelector={selector}"
    listed = await asyncio.to_thread(through.api.get, path)
    assert {one["metadata"]["name"]: one["status"]["phase"] for one in listed["items"]} == CHOSEN[selector]


@pytest.mark.parametrize("words", [[], ["-o", "wide"], ["-o", "name"], ["--sort-by=.metadata.name"]])
async def test_kubectl_get(stage: Stage, direct: Way, through: Way, words: list[str]) -> None:
    async def names(way: Way, phase: str) -> set[str]:
        chosen = ["-n", stage.namespace, f"--field-selector=status.phase={phase}"]
        told = await way.kubectl.good("get", "pods", *chosen, *words)
        rows = [line.split()[0].removeprefix("pod/") for line in told.splitlines()]
        return set(rows) - {"NAME"}

    assert (await names(direct, "Running"), await names(direct, "Failed")) == ({"alive", "dead"}, {"failed"})
    assert (await names(through, "Running"), await names(through, "Failed")) == ({"alive"}, {"dead", "failed"})


async def test_a_watch_hears_a_pod_leave_one_phase_and_enter_the_other(
    living: Pod, direct: Way, through: Way, namespace: str
) -> None:
    running = watching(through, namespace, fieldSelector="status.phase=Running")
    failed = watching(through, namespace, fieldSelector="status.phase=Failed")
    true = watching(direct, namespace, fieldSelector="status.phase=Running")
    async with running as leaving, failed as entering, true as staying:
        await leaving.first(lambda event: event.name == living.name)
        await living.run_out_of_memory()
        entered = await entering.first(lambda event: True)
        left = await leaving.first(lambda event: event.kind == "DELETED")
        killed = await staying.first(lambda event: event.state("sandbox") == "terminated")
    assert (entered.kind, entered.phase) == ("ADDED", "Failed")
    assert entered.version == left.version == killed.version
    assert "DELETED" not in [event.kind for event in staying.events]
    assert [event.kind for event in leaving.events][-1] == "DELETED"


async def test_delete_of_a_collection_goes_by_the_true_phase(cluster: Cluster, through: Way, namespace: str) -> None:
    dead, failed = await asyncio.gather(
        running_incident(cluster, namespace, "dead"), truly_failed(cluster, namespace, "failed")
    )
    await dead.run_out_of_memory()
    path = f"/api/v1/namespaces/{namespace}/pods"
    gone = await asyncio.to_thread(through.api.delete, f"{path}?fieldSelector=status.phase=Failed", grace=0)
    assert [one["metadata"]["name"] for one in gone["items"]] == ["failed"]
    assert "deletionTimestamp" not in (await dead.read())["metadata"]
    with pytest.raises(Refused, match="404"):
        await failed.read()


async def test_kubectl_delete_goes_by_what_is_shown(cluster: Cluster, through: Way, namespace: str) -> None:
    living, dead = await asyncio.gather(
        running_incident(cluster, namespace, "living"), running_incident(cluster, namespace, "dead")
    )
    await dead.run_out_of_memory()
    chosen = ["--field-selector=status.phase=Failed", "--now", "--wait=false"]
    told = await through.kubectl.good("delete", "pods", "-n", namespace, *chosen)
    assert told.split()[:2] == ["pod", '"dead"']
    assert "deletionTimestamp" not in (await living.read())["metadata"]
