"""Creates over the limit wait, are refused and come back, with real kubectl; and nothing else ever waits."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.cluster.acting import running_incident
from tests.cluster.kubectl import Kubectl
from tests.cluster.running import Cluster
from tests.kubernetes.creates import THIRD, become_ready, come, creating, made, pods_path, posts, starting
from tests.kubernetes.front import Front
from tests.kubernetes.talking import line
from tests.kubernetes.watching import watching
from tests.support.serving import ROOT


async def test_a_refusal_is_a_status_that_says_when_to_come_back(hasty: Front, namespace: str) -> None:
    for name in ("first", "second"):
        await starting(hasty, namespace, name)
    refused = await asyncio.to_thread(hasty.way().api.send, "POST", pods_path(namespace), THIRD)
    assert (refused.status, refused.headers["Content-Type"]) == (429, "application/json")
    assert refused.headers["Retry-After"] in ("1", "2")
    assert refused.headers["Headgate-Ticket"]
    assert refused.headers["Proxy-Status"].startswith("headgate; error=")
    told = refused.json
    assert (told["kind"], told["apiVersion"], told["status"]) == ("Status", "v1", "Failure")
    assert (told["reason"], told["code"]) == ("TooManyRequests", 429)
    assert told["details"]["retryAfterSeconds"] == int(refused.headers["Retry-After"])


async def test_kubectl_comes_back_by_itself_to_the_place_it_had(hasty: Front, namespace: str, tmp_path: Path) -> None:
    first, _ = [await starting(hasty, namespace, name) for name in ("first", "second")]
    kubectl = hasty.way().kubectl
    async with creating(kubectl, namespace, THIRD, tmp_path) as process:
        refused = await come(lambda: len(posts(hasty, namespace, 429)) >= 2 and posts(hasty, namespace, 429), "twice")
        assert len({line["ticket"] for line in refused}) == 1
        assert process.returncode is None
        await become_ready(first)
        assert await made(process) == "pod/third created\n"
    home = await come(lambda: posts(hasty, namespace, 201)[2:], "the third in the log")
    assert [line["ticket"] for line in home] == [refused[0]["ticket"]]


async def test_old_kubectl_comes_back_too(hasty: Front, namespace: str, tmp_path: Path, old_kubectl: Kubectl) -> None:
    first, _ = [await starting(hasty, namespace, name) for name in ("first", "second")]
    async with creating(old_kubectl.using(hasty.kubeconfig), namespace, THIRD, tmp_path) as process:
        await come(lambda: posts(hasty, namespace, 429), "a refusal")
        await become_ready(first)
        assert await made(process) == "pod/third created\n"


async def test_nothing_else_waits_behind_creates(
    cluster_with_node: Cluster, patient: Front, namespace: str, tmp_path: Path
) -> None:
    """exec, attach, logs, cp, port-forward, reads, watches, writes, deletes go on; so do other namespaces' creates."""
    living = await running_incident(cluster_with_node, namespace)
    first, _ = [await starting(patient, namespace, name) for name in ("first", "second")]
    way = patient.way()
    one, where = [living.name, "-n", namespace], [living.name, "-n", namespace, "-c", "sidecar"]
    async with creating(way.kubectl, namespace, THIRD, tmp_path) as process:
        await come(lambda: patient.waiting() == 1, "it waits")
        async with watching(way, namespace) as watch:
            await watch.first(lambda event: event.name == living.name)
            assert "uid=0" in await way.kubectl.good("exec", *where, "--", "id")
            await way.kubectl.good(
                "cp", str(tmp_path / "third.json"), f"{namespace}/{living.name}:/tmp/f", "-c", "sidecar"
            )
            await way.kubectl.good("label", "pod", *one, "labelled=yes")
            await watch.first(lambda event: event.pod["metadata"].get("labels"))
        await living.order("sidecar", "echo said")
        async with way.kubectl.running("logs", "-f", *where) as logs, way.kubectl.running("attach", *where):
            assert await line(logs) == b"said\n"
        async with way.kubectl.running("port-forward", "-n", namespace, living.name, ":8080") as forwarding:
            assert b"Forwarding" in await line(forwarding)
        assert len((await asyncio.to_thread(way.api.get, pods_path(namespace)))["items"]) == 3
        await way.kubectl.good("delete", "pod", *one, "--now")
        other = await asyncio.to_thread(patient.cluster.namespace, "clients")
        await starting(patient, other, "elsewhere")
        assert patient.waiting() == 1
        assert process.returncode is None
        await asyncio.to_thread(lambda: way.api.delete(first.path, grace=0))
        assert await made(process) == "pod/third created\n"


async def test_who_leaves_while_waiting_has_asked_for_nothing(patient: Front, namespace: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        await starting(patient, namespace, name)
    async with creating(patient.way().kubectl, namespace, THIRD, tmp_path):
        await come(lambda: patient.waiting() == 1, "it waits")
    await come(lambda: patient.waiting() == 0, "it has left")
    listed = await asyncio.to_thread(patient.cluster.api.get, pods_path(namespace))
    assert [one["metadata"]["name"] for one in listed["items"]] == ["first", "second"]


def test_the_shipped_policy_holds_a_create_for_8_seconds() -> None:
    words = ["explain", "--policy", "kubernetes", "POST", "/api/v1/namespaces/a/pods"]
    told = subprocess.run([sys.executable, "-m", "proxy", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"patience: 8s", "limits: creates, create-rate", "tenant: a"} <= set(told.stdout.splitlines())
