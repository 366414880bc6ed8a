"""``hold: ready`` with real pods: a seat is held from a create until its pod is ready, or what was starting is over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from tests.cluster.acting import Pod
from tests.cluster.pods import Json, incident, state_of
from tests.cluster.running import Cluster
from tests.kubernetes.creates import come, creating, made, pods_path, starting
from tests.kubernetes.front import Front, Way
from tests.kubernetes.watching import Watch, watching
from tests.support.waiting import until


def is_ready(shown: Json) -> bool:
    conditions = {one["type"]: one["status"] for one in shown["status"].get("conditions", [])}
    return conditions.get("Ready") == "True"


def most_starting(watch: Watch) -> int:
    """How many pods were starting at once, by the order in which the API server stored things."""
    begun: set[str] = set()
    most = 0
    for event in watch.events:
        if is_ready(event.pod):
            begun.discard(event.name)
        elif event.kind == "ADDED":
            begun.add(event.name)
        most = max(most, len(begun))
    return most


async def test_no_more_pods_start_at_once_than_there_are_seats(
    cluster_with_node: Cluster, direct: Way, patient: Front, namespace: str, tmp_path: Path
) -> None:
    """Six at once, of which two may be starting: each is ready before the next but one is made."""
    way = patient.way()
    async with AsyncExitStack() as stack:
        true = await stack.enter_async_context(watching(direct, namespace))
        await stack.enter_async_context(watching(way, namespace))
        going = [
            await stack.enter_async_context(creating(way.kubectl, namespace, incident(f"pod-{number}"), tmp_path))
            for number in range(6)
        ]
        await asyncio.gather(*map(made, going))
        await until(lambda: len({event.name for event in true.events if is_ready(event.pod)}) == 6, "all are ready")
    assert most_starting(true) == 2
    await come(lambda: patient.held(namespace) == 0, "all seats are free")


async def test_a_starter_that_runs_out_of_memory_frees_its_seat(
    cluster_with_node: Cluster, patient: Front, namespace: str, tmp_path: Path
) -> None:
    """Its sidecar lives and is ready; nobody reads the pod but Headgate itself."""
    never = {"exec": {"command": ["false"]}, "periodSeconds": 1}
    wanted = incident("never-ready")
    wanted["spec"]["containers"][0]["readinessProbe"] = never
    await asyncio.to_thread(patient.way().api.post, pods_path(namespace), wanted)
    unready = Pod(patient.cluster, namespace, "never-ready")
    await unready.until_running()
    await starting(patient, namespace, "second")
    async with creating(patient.way().kubectl, namespace, incident("third"), tmp_path) as process:
        await come(lambda: patient.waiting() == 1, "it waits")
        await unready.run_out_of_memory()
        assert await made(process) == "pod/third created\n"
    assert state_of(await unready.read(), "sidecar")[0] == "running"
