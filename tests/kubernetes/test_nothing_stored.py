"""Whatever callers do with what they read here: nothing derived gets into etcd, and no sidecar dies of it (§6.1)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cluster.acting import Pod
from tests.cluster.kubectl import Kubectl
from tests.cluster.pods import Json, state_of
from tests.kubernetes.ends import assert_nothing_derived_is_stored, look, phase
from tests.kubernetes.environments import Client
from tests.kubernetes.front import Way
from tests.kubernetes.scenes import client_named, tell

EDIT_STATUS = "sed -i 's/startTime: .*/startTime: \"2026-01-01T00:00:00Z\"/'"


@pytest.fixture
def kubectl(through: Way) -> Kubectl:
    """kubectl through Headgate."""
    return through.kubectl


async def read(kubectl: Kubectl, pod: Pod, file: Path) -> Json:
    """What a caller gets to read, in a file too."""
    text = await kubectl.good("get", "pod", pod.name, "-n", pod.namespace, "-o", "json")
    await asyncio.to_thread(file.write_text, text)
    told: Json = json.loads(text)
    assert told["status"]["phase"] == "Failed"
    return told


async def test_kubectl_writes(killed: Pod, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, where = tmp_path / "pod.json", ["-n", killed.namespace]
    one = ["pod", killed.name, *where]
    for words in (
        ["label", *one, "labelled=yes"],
        ["annotate", *one, "example.com/note=yes"],
        ["patch", *one, "--type=merge", "-p", '{"metadata": {"labels": {"merged": "yes"}}}'],
        ["patch", *one, "--type=json", "-p", '[{"op": "add", "path": "/metadata/labels/added", "value": "yes"}]'],
        ["patch", *one, "-p", '{"metadata": {"labels": {"patched": "yes"}}}'],
    ):
        await kubectl.good(*words)
        await assert_nothing_derived_is_stored(killed)

    monkeypatch.setenv("KUBE_EDITOR", "sed -i 's/labelled: .*/labelled: edited/'")
    await kubectl.good("edit", *one)
    await read(kubectl, killed, file)
    await kubectl.good("replace", "-f", str(file))
    labels = (await killed.read())["metadata"]["labels"]
    assert labels == {"labelled": "edited", "merged": "yes", "added": "yes", "patched": "yes"}
    await assert_nothing_derived_is_stored(killed)


async def test_kubectl_apply(killed: Pod, kubectl: Kubectl, tmp_path: Path) -> None:
    file, where = tmp_path / "pod.json", ["-n", killed.namespace]
    told = await read(kubectl, killed, file)
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": killed.name}, "spec": told["spec"]}
    file.write_text(json.dumps(manifest))
    await kubectl.good("apply", *where, "-f", str(file))
    manifest["metadata"]["labels"] = {"applied": "again"}
    file.write_text(json.dumps(manifest))
    await kubectl.good("apply", *where, "-f", str(file))
    await kubectl.good("apply", "--server-side", "--force-conflicts", *where, "-f", str(file))
    assert (await killed.read())["metadata"]["labels"] == {"applied": "again"}
    await assert_nothing_derived_is_stored(killed)


async def test_kubectl_apply_of_what_was_read(killed: Pod, kubectl: Kubectl, tmp_path: Path) -> None:
    """It keeps the whole file in an annotation, with the status that was told."""
    file = tmp_path / "pod.json"
    for label in ("once", "twice"):
        told = await read(kubectl, killed, file)
        told["metadata"].setdefault("labels", {})["applied"] = label
        del told["metadata"]["resourceVersion"]
        file.write_text(json.dumps(told))
        await kubectl.good("apply", "-f", str(file))
        stored = (await killed.read())["metadata"]
        assert stored["labels"]["applied"] == label
        kept = json.loads(stored["annotations"]["kubectl.kubernetes.io/last-applied-configuration"])
        assert kept["status"]["phase"] == "Running"
        await assert_nothing_derived_is_stored(killed)


async def test_kubectl_writes_of_the_status(
    killed: Pod, kubectl: Kubectl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, one = tmp_path / "pod.json", ["pod", killed.name, "-n", killed.namespace, "--subresource=status"]
    await read(kubectl, killed, file)
    await kubectl.good("replace", "--subresource=status", "-f", str(file))
    await assert_nothing_derived_is_stored(killed)
    monkeypatch.setenv("KUBE_EDITOR", EDIT_STATUS)
    await kubectl.good("edit", *one)
    await assert_nothing_derived_is_stored(killed)
    told = await read(kubectl, killed, file)
    del told["metadata"]["resourceVersion"]
    file.write_text(json.dumps(told))
    await kubectl.good("apply", "--server-side", "--force-conflicts", "--subresource=status", "-f", str(file))
    await assert_nothing_derived_is_stored(killed)
    assert state_of(await killed.read(), "sidecar")[0] == "running"


async def test_old_kubectl_writes(killed: Pod, through: Way, old_kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl, file = old_kubectl.using(through.kubeconfig), tmp_path / "pod.json"
    await kubectl.good("label", "pod", killed.name, "-n", killed.namespace, "labelled=yes")
    await read(kubectl, killed, file)
    await kubectl.good("replace", "-f", str(file))
    assert (await killed.read())["metadata"]["labels"] == {"labelled": "yes"}
    await assert_nothing_derived_is_stored(killed)


@pytest.mark.parametrize("name", ["kubernetes", "kubernetes_asyncio"])
async def test_a_client_reads_changes_and_writes_the_status(killed: Pod, through: Way, name: str) -> None:
    client: Client = client_named(name)
    told = await tell(client, "status", through.kubeconfig, killed.namespace, killed.name)
    assert told == {"read": "Failed", "put": "Failed", "patched": "Failed"}
    conditions = {one["type"]: one["status"] for one in (await killed.read())["status"]["conditions"]}
    assert conditions["example.com/Put"] == conditions["example.com/Patched"] == "True"
    await assert_nothing_derived_is_stored(killed)
    assert await phase(through, killed) == "Failed"
    assert state_of(await look(through, killed), "sidecar")[0] == "running"
