"""The cluster itself: what later tests take for granted is real."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.cluster.acting import Pod, create, running_incident
from tests.cluster.api import Refused
from tests.cluster.images import archive, busybox_layer
from tests.cluster.kubectl import Kubectl
from tests.cluster.pods import NOWHERE, incident, pod, state_of, status, terminated
from tests.cluster.running import Cluster

WEB = "mkdir -p /www && echo hello from the pod >/www/index.html && httpd -p 8080 -h /www"


@pytest.fixture
async def living(cluster_with_node: Cluster, namespace: str) -> AsyncIterator[Pod]:
    """The pod of the incident with both containers running."""
    made = await running_incident(cluster_with_node, namespace)
    yield made
    with suppress(Refused):
        await made.delete()


@pytest.fixture(params=["of the same version", "1.20"])
def kubectl(request: pytest.FixtureRequest, cluster_with_node: Cluster) -> Kubectl:
    """kubectl over WebSocket and over SPDY."""
    if request.param == "1.20":
        old: Kubectl = request.getfixturevalue("old_kubectl")
        return old
    return cluster_with_node.kubectl


async def test_the_incident_truly_happens(living: Pod) -> None:
    before = await living.read()
    ended = await living.run_out_of_memory()
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)

    after = await living.read()
    assert state_of(after, "sidecar")[0] == "running"
    assert after["status"]["phase"] == before["status"]["phase"] == "Running"
    assert "uid=0" in await living.do("sidecar", "id")


async def test_a_pod_nowhere_has_the_status_it_is_given(cluster: Cluster, namespace: str) -> None:
    made = await create(cluster, namespace, incident("told", node=NOWHERE))
    assert (await made.read())["status"]["phase"] == "Pending"
    told = status(await made.read(), sandbox=terminated(137, "OOMKilled"))
    assert (await made.patch_status(told))["status"]["phase"] == "Running"
    assert state_of(await made.read(), "sandbox") == ("terminated", terminated(137, "OOMKilled")["terminated"])


async def test_a_container_ends_as_it_is_told(living: Pod) -> None:
    await living.order("sidecar", "exit 3")
    assert (await living.until_terminated("sidecar"))["exitCode"] == 3
    await living.order("sandbox", "exit 0")
    done = await living.until(lambda pod: pod["status"]["phase"] == "Failed", "the pod is over")
    assert state_of(done, "sandbox")[1]["exitCode"] == 0


async def test_exec_and_logs(living: Pod, kubectl: Kubectl) -> None:
    where = ["-n", living.namespace, living.name, "-c", "sidecar"]
    said = await kubectl("exec", "-i", *where, "--", "sh", "-c", "cat; echo oh >&2; exit 7", stdin=b"to and fro")
    assert (said.code, said.out) == (7, "to and fro")
    assert "oh\n" in said.err

    await living.order("sidecar", "echo first; echo second")
    async with kubectl.running("logs", "--follow", *where) as following:
        assert following.stdout is not None
        assert [await following.stdout.readline(), await following.stdout.readline()] == [b"first\n", b"second\n"]


async def test_port_forward(living: Pod, kubectl: Kubectl) -> None:
    await living.do("sidecar", "sh", "-c", WEB)
    async with kubectl.running("port-forward", "-n", living.namespace, f"pod/{living.name}", ":8080") as forwarding:
        assert forwarding.stdout is not None
        announced = re.search(rb"127\.0\.0\.1:(\d+)", await forwarding.stdout.readline())
        assert announced is not None
        reader, writer = await asyncio.open_connection("127.0.0.1", int(announced[1]))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await reader.read()).endswith(b"hello from the pod\n")
        writer.close()


async def test_the_pod_has_an_address_of_its_own(living: Pod) -> None:
    await living.do("sidecar", "sh", "-c", WEB)
    address = (await living.read())["status"]["podIP"]
    reader, writer = await asyncio.open_connection(address, 8080)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).endswith(b"hello from the pod\n")
    writer.close()


async def test_cp_to_and_fro(living: Pod, kubectl: Kubectl, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(bytes(range(256)) * 1000)
    inside = f"{living.namespace}/{living.name}:/tmp/file"
    await kubectl.good("cp", "-c", "sidecar", str(there), inside)
    await kubectl.good("cp", "-c", "sidecar", inside, str(back))
    assert back.read_bytes() == there.read_bytes()


async def test_what_is_stored_can_be_read(living: Pod) -> None:
    def stored() -> bytes:
        return living.cluster.stored_pod(living.namespace, living.name)

    held = await asyncio.to_thread(stored)
    assert held.startswith(b"k8s\0")
    assert living.name.encode() in held
    assert b"Running" in held
    await living.delete()
    with pytest.raises(KeyError):
        await asyncio.to_thread(stored)


async def test_a_deployment_rolls_out(cluster_with_node: Cluster, namespace: str) -> None:
    kubectl = cluster_with_node.kubectl
    words = ["deployment", "web", "--image=headgate.test/busybox:1", "--replicas=2", "-n", namespace]
    await kubectl.good("create", *words, "--", "sleep", "infinity")
    await kubectl.good("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s")
    await kubectl.good("delete", "deployment", "web", "-n", namespace)


async def test_an_image_can_be_added(cluster_with_node: Cluster, namespace: str, tmp_path: Path) -> None:
    name = "headgate.test/answer:42"
    file = archive(tmp_path / "images.tar", busybox_layer(), {name: ["sh", "-c", "exit 42"]})
    await asyncio.to_thread(cluster_with_node.load, file)
    container = {"name": "answer", "image": name, "imagePullPolicy": "Never"}
    made = await create(cluster_with_node, namespace, pod("answer", [container]))
    assert (await made.until_terminated("answer"))["exitCode"] == 42


def test_an_account_may_do_what_it_was_given_and_no_more(cluster: Cluster, namespace: str) -> None:
    agent = cluster.as_caller(cluster.account(namespace))
    assert agent.get(f"/api/v1/namespaces/{namespace}/pods")["kind"] == "PodList"
    for path in ("/api/v1/pods", f"/api/v1/namespaces/{namespace}/secrets"):
        with pytest.raises(Refused, match="403"):
            agent.get(path)
    nobody = cluster.as_caller(cluster.nobody_token)
    with pytest.raises(Refused, match="403"):
        nobody.get(f"/api/v1/namespaces/{namespace}/pods")
    stranger = cluster.as_caller("made-up")
    with pytest.raises(Refused, match="401"):
        stranger.get("/api")
