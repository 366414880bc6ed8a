"""The pods that most tests look at: one before the incident, one after it, one that has truly failed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.cluster.acting import Pod, create, running_incident
from tests.cluster.pods import NOWHERE, obedient, pod, status
from tests.cluster.programs import Level
from tests.cluster.running import Cluster
from tests.kubernetes.ends import end


@dataclass(frozen=True, slots=True)
class Stage:
    """All in one namespace where nothing else is: ``alive`` runs, ``dead`` has lost its ``sandbox``, ``failed`` is."""

    namespace: str
    alive: Pod
    dead: Pod
    failed: Pod


async def staged(cluster: Cluster) -> Stage:
    """Set them up, side by side."""
    namespace = await asyncio.to_thread(cluster.namespace, "stage")
    alive, dead, failed = await asyncio.gather(
        running_incident(cluster, namespace, "alive"),
        _dead(cluster, namespace),
        truly_failed(cluster, namespace, "failed"),
    )
    return Stage(namespace, alive, dead, failed)


async def truly_failed(cluster: Cluster, namespace: str, name: str) -> Pod:
    """A pod of one container, which has ended with 1: the API server says Failed itself."""
    node = {} if cluster.level is Level.NODE else {"node": NOWHERE}
    made = await create(cluster, namespace, pod(name, [obedient("sandbox")], **node))
    if cluster.level is Level.NODE:
        await made.until_running()
    else:
        await made.patch_status(status(await made.read()))
    await end(made, sandbox=1)
    await made.until(lambda pod: pod["status"]["phase"] == "Failed", "it has failed")
    return made


async def _dead(cluster: Cluster, namespace: str) -> Pod:
    made = await running_incident(cluster, namespace, "dead")
    await made.run_out_of_memory()
    return made
