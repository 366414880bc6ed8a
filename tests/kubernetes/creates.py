"""Creates that wait: a policy with two seats, kubectl that goes on creating, and pods that go on starting."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.cluster.acting import Pod
from tests.cluster.kubectl import Kubectl
from tests.cluster.pods import NOWHERE, Json, obedient, pod, status
from tests.kubernetes.front import Front
from tests.kubernetes.talking import rest
from tests.support.waiting import WITHIN

POLICY: Final = """
version: 1
upstreams:
  kube:
    url: ${KUBE_UPSTREAM_URL}
    dialect: kubernetes
    tls: {ca_file: "${KUBE_CA_FILE}"}
    listen: {address: "${KUBE_LISTEN}", tls: auto}
    pods: {main_containers: [sandbox]}
tenants: {identify: [namespace], default: anonymous}
limits:
  creates: {seats: 2, per: namespace, hold: ready, ready_within: 10m}
routes:
  - name: create
    match: {upstream: kube, operation: create}
    limits: [creates]
    queue: {patience: "${PATIENCE}", linger: 30s}
  - {name: rest, match: {upstream: kube}}
"""
"""Two pods at a time may be starting in each namespace; how long a create is held says ``PATIENCE``."""
THIRD: Final = pod("third", [obedient("sandbox")], node=NOWHERE)


def pods_path(namespace: str) -> str:
    """Where pods are created."""
    return f"/api/v1/namespaces/{namespace}/pods"


async def starting(front: Front, namespace: str, name: str) -> Pod:
    """A pod made through Headgate that goes on starting until somebody says otherwise."""
    wanted = pod(name, [obedient("sandbox")], node=NOWHERE)
    await asyncio.to_thread(front.way().api.post, pods_path(namespace), wanted)
    return Pod(front.cluster, namespace, name)


async def become_ready(made: Pod) -> None:
    """As the kubelet would say it; nobody tells Headgate."""
    await made.patch_status(status(await made.read()))


async def come(holds: Callable[[], Any], what: str) -> Any:
    """What ``holds`` says once it is true. It may block."""
    loop = asyncio.get_running_loop()
    end = loop.time() + WITHIN
    while not (found := await asyncio.to_thread(holds)):
        assert loop.time() < end, f"it did not come to this: {what}"
        await asyncio.sleep(0.02)
    return found


@asynccontextmanager
async def creating(
    kubectl: Kubectl, namespace: str, wanted: Json, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """``kubectl create`` of a pod, going on."""
    file = folder / f"{wanted['metadata']['name']}.json"
    file.write_text(json.dumps(wanted))
    async with kubectl.running("create", "-n", namespace, "-f", str(file)) as process:
        yield process


async def made(process: asyncio.subprocess.Process) -> str:
    """What a ``kubectl create`` says once it has come home. TimeoutError where it does not."""
    code, out, err = await rest(process)
    assert code == 0, err
    return out.decode()


def posts(front: Front, namespace: str, status: int) -> list[Json]:
    """The access log's lines about creates in a namespace with this answer."""
    wanted = {"method": "POST", "path": pods_path(namespace), "status": status}
    return [line for line in front.lines() if wanted.items() <= line.items()]
