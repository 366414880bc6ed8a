"""What ``headgate kubeconfig`` writes, in the hands of kubectl: TLS to the proxy, TLS to a real API server."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.cluster.acting import create
from tests.cluster.kubectl import Kubectl
from tests.cluster.pods import NOWHERE, obedient, pod
from tests.cluster.running import Cluster
from tests.support.serving import ROOT, environment, serving

SIZE = 20_000_000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@asynccontextmanager
async def pointed(cluster: Cluster, folder: Path, *, source: Path | None = None) -> AsyncIterator[Kubectl]:
    """kubectl with the kubeconfig that the command wrote before anything was served."""
    settings = {
        "KUBE_UPSTREAM_URL": cluster.server,
        "KUBE_CA_FILE": str(cluster.authority),
        "KUBE_LISTEN": f"127.0.0.1:{free_port()}",
    }
    words = ["--policy", "kubernetes", "--output", str(folder / "config"), "--from", str(source or cluster.kubeconfig)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "proxy", "kubeconfig", *words), cwd=ROOT, env=environment(folder / "state", settings)
    )
    assert await process.wait() == 0
    async with serving("kubernetes", folder / "state", **settings):
        yield cluster.kubectl.using(folder / "config")


async def test_kubectl_reads_writes_and_watches(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    await create(cluster, namespace, pod("kubeconfig-1", [obedient("a")], node=NOWHERE))
    async with pointed(cluster, tmp_path) as kubectl:
        names = await kubectl.good("get", "pods", "-n", namespace, "-o", "name")
        assert "pod/kubeconfig-1" in names.split()
        assert await kubectl.good("auth", "can-i", "*", "*") == "yes\n"
        async with kubectl.running("get", "pods", "-n", namespace, "--watch", "-o", "name") as watch:
            assert watch.stdout is not None
            assert b"pod/" in await watch.stdout.readline()
            await kubectl.good("label", "pod", "-n", namespace, "kubeconfig-1", "seen=yes")
            while await watch.stdout.readline() != b"pod/kubeconfig-1\n":
                pass
        await kubectl.good("delete", "pod", "-n", namespace, "kubeconfig-1", "--grace-period=0", "--force")


async def test_a_token_is_the_callers_own(cluster: Cluster, namespace: str, tmp_path: Path) -> None:
    """Permissions stay those of whoever calls; and the namespace of the context comes along."""
    theirs = cluster.kubeconfig_for(cluster.nobody_token)
    async with pointed(cluster, tmp_path, source=theirs) as kubectl:
        said = await kubectl("get", "pods", "-n", namespace)
        assert said.code == 1 and "(Forbidden)" in said.err


async def taken(kubectl: Kubectl, *words: str, pause: float) -> tuple[int, str]:
    """How much it prints, and its digest; the reader pauses after each piece."""
    got, size = hashlib.sha256(), 0
    async with kubectl.running(*words) as process:
        assert process.stdout is not None
        while data := await process.stdout.read(65536):
            got.update(data)
            size += len(data)
            await asyncio.sleep(pause)
        await process.wait()
    return size, got.hexdigest()


@pytest.mark.parametrize("reader", ["quick", "slow"])
async def test_twenty_megabytes_out_of_a_pod(
    cluster_with_node: Cluster, namespace: str, tmp_path: Path, reader: str
) -> None:
    """Under load an exec is cut short now and then without any proxy too (machines.md): so each has three tries."""
    one = await create(cluster_with_node, namespace, pod(f"much-{reader}", [obedient("a")]))
    await one.until_running()
    expected = SIZE, hashlib.sha256(bytes(SIZE)).hexdigest()
    words = ("exec", "-n", namespace, one.name, "-c", "a", "--", "sh", "-c", f"head -c {SIZE} /dev/zero")
    async with pointed(cluster_with_node, tmp_path) as kubectl:
        tries: list[tuple[int, str]] = []
        while expected not in tries and len(tries) < 3:
            tries.append(await taken(kubectl, *words, pause=0.002 if reader == "slow" else 0))
        assert tries[-1] == expected, tries
    await one.delete()
