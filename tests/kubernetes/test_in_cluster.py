"""In-cluster clients whose code nobody changed (kubernetes.md §2.2): two variables and a service account folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.cluster.acting import Pod, create
from tests.cluster.pods import obedient, pod
from tests.cluster.programs import find
from tests.cluster.running import Cluster
from tests.kubernetes.front import Front
from tests.kubernetes.scenes import client_named, tell

FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
NAME = "caller"


@pytest.fixture
async def token(cluster: Cluster, killed: Pod) -> str:
    """Of a service account that may do everything with the pods of its namespace."""
    return await asyncio.to_thread(cluster.account, killed.namespace, NAME)


async def test_a_real_pod(cluster_with_node: Cluster, front: Front, killed: Pod, token: str) -> None:
    """kubectl, which is client-go, in a container: it has no kubeconfig and knows of no proxy."""
    core = f"/api/v1/namespaces/{killed.namespace}"
    trusted = {"metadata": {"name": "headgate"}, "data": {"ca.crt": front.authority.read_text()}}
    await asyncio.to_thread(cluster_with_node.api.post, f"{core}/configmaps", trusted)
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 600}},
        {"configMap": {"name": "headgate"}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    container = {
        **obedient("caller"),
        "env": [
            {"name": "KUBERNETES_SERVICE_HOST", "value": "127.0.0.1"},
            {"name": "KUBERNETES_SERVICE_PORT", "value": str(front.port)},
        ],
        "volumeMounts": [
            {"name": "account", "mountPath": FOLDER, "readOnly": True},
            {"name": "tools", "mountPath": "/tools", "readOnly": True},
        ],
    }
    volumes = [
        {"name": "account", "projected": {"sources": sources}},
        {"name": "tools", "hostPath": {"path": str(find().folder)}},
    ]
    wanted = pod("caller", [container], serviceAccountName=NAME, hostNetwork=True, volumes=volumes)
    made = await create(cluster_with_node, killed.namespace, wanted)
    await made.until_running()

    def kubectl(*words: str) -> tuple[str, ...]:
        return ("env", "HOME=/tmp", "/tools/kubectl", *words)

    phase = "jsonpath={.status.phase} {.status.reason}"
    assert await made.do("caller", *kubectl("get", "pod", killed.name, "-o", phase)) == "Failed OOMKilled"
    waited = await made.do("caller", *kubectl("wait", f"pod/{killed.name}", "--for=jsonpath={.status.phase}=Failed"))
    assert waited == f"pod/{killed.name} condition met\n"
    assert "uid=0" in await made.do("caller", *kubectl("exec", killed.name, "-c", "sidecar", "--", "id"))
    assert await made.do("caller", *kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")) == (
        f"system:serviceaccount:{killed.namespace}:{NAME}"
    )


async def test_the_python_client(front: Front, killed: Pod, token: str, tmp_path: Path) -> None:
    """The same folder, elsewhere."""
    for name, text in (("token", token), ("ca.crt", front.authority.read_text()), ("namespace", killed.namespace)):
        (tmp_path / name).write_text(text)
    served = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(front.port)}
    told = await tell(
        client_named("kubernetes"), "in_cluster", Path("/nonexistent"), str(tmp_path), killed.name, more=served
    )
    assert told == {"phase": "Failed", "reason": "OOMKilled", "names": [killed.name]}
