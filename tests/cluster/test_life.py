"""How a cluster begins and ends: several at once, and nothing left behind whoever is killed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.acting import running_incident
from tests.cluster.places import clean, reserve
from tests.cluster.pods import state_of
from tests.cluster.processes import WITHIN, Died, Processes
from tests.cluster.programs import ROOT, Level, find
from tests.cluster.remains import cgroup_of, hierarchies, mounts_below
from tests.cluster.running import Cluster, running
from tests.support.waiting import until

Process = subprocess.Popen[str]


@pytest.fixture
def another(cluster: Cluster) -> Iterator[tuple[Process, Path]]:
    """A cluster as people start it, beside the one of all tests: its process and folder."""
    command = [sys.executable, "-m", "tests.cluster"]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, cwd=ROOT, stdin=null, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        said = ""
        while "Logs of its processes" not in said:
            line = process.stdout.readline()
            assert line, f"it ended with {process.wait()}: {said}"
            said += line
        found = re.search(r"KUBECONFIG=(\S+)/kubeconfig", said)
        assert found is not None
        yield process, Path(found[1])
        process.kill()


def traces(folder: Path) -> list[object]:
    """Everything that a cluster may leave on the machine."""
    cgroups = [root / cgroup_of(folder) for root in hierarchies()]
    return [*processes(folder), *mounts_below(folder), *(place for place in [*cgroups, folder] if place.exists())]


def processes(folder: Path) -> list[str]:
    """The command lines that name something in the folder: all of a cluster's processes do, but the pods' own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            command = (process / "cmdline").read_bytes().decode(errors="replace")
            if f"{folder}\0" in command or f"{folder}/" in command:
                found.append(command)
    return found


async def with_pods(cluster: Cluster, folder: Path) -> None:
    """Let the other cluster have something to leave behind: a pod that runs, on a node."""
    if cluster.level is Level.NODE:
        kubectl = cluster.kubectl.using(folder / "kubeconfig")
        await kubectl.good("create", "-f", str(folder / "incident.json"))
        await kubectl.good("wait", "--for=condition=Ready", "pod/incident", "--timeout=60s")
        assert any("containerd-shim" in command for command in processes(folder))


async def test_told_to_end_it_leaves_nothing(another: tuple[Process, Path], cluster: Cluster) -> None:
    process, folder = another
    assert folder != cluster.folder
    await with_pods(cluster, folder)
    process.terminate()
    assert process.wait(WITHIN) == 0
    assert traces(folder) == []
    cluster.check()
    assert traces(cluster.folder)


async def test_when_its_owner_is_killed_it_leaves_nothing(another: tuple[Process, Path], cluster: Cluster) -> None:
    process, folder = another
    await with_pods(cluster, folder)
    process.kill()
    await until(lambda: not traces(folder), "everything of it is gone")


async def test_when_even_its_keeper_is_killed_the_next_cleans_up(
    another: tuple[Process, Path], cluster: Cluster
) -> None:
    process, folder = another
    await with_pods(cluster, folder)
    os.kill(int(folder.with_suffix(".pid").read_text()), signal.SIGKILL)
    process.kill()
    await until(lambda: not processes(folder), "the kernel has ended its processes")
    assert folder.exists()
    clean()
    assert traces(folder) == []
    assert cluster.folder.exists()


async def test_a_control_plane_alone(cluster: Cluster) -> None:
    programs = replace(find(), level=Level.CONTROL)
    with running(programs) as alone:
        namespace = alone.namespace()
        pod = await running_incident(alone, namespace)
        assert (await pod.run_out_of_memory())["reason"] == "OOMKilled"
        seen = await pod.read()
        assert (seen["status"]["phase"], state_of(seen, "sidecar")[0]) == ("Running", "running")
        assert b"OOMKilled" in alone.stored_pod(namespace, pod.name)
    assert traces(alone.folder) == []


async def test_the_fixed_places_of_kubelet_are_not_the_machines(cluster_with_node: Cluster, namespace: str) -> None:
    pod = await running_incident(cluster_with_node, namespace)
    assert logs_on_the_machine((await pod.read())["metadata"]["uid"]) == []
    await pod.delete()


def logs_on_the_machine(uid: str) -> list[Path]:
    """The links that kubelet makes to a pod's logs."""
    return [link for link in Path("/var/log/containers").glob("*") if uid in str(link.readlink())]


def test_a_process_that_ends_is_noticed(cluster: Cluster) -> None:
    place = reserve()
    kept = Processes(place, isolated=False)
    kept.start("short", ["sh", "-c", "echo its last words; exit 5"])
    with pytest.raises(Died, match=r"(?s)short ended with 5.*its last words"):
        kept.until(lambda: False, "short")
    kept.close()
    assert traces(place.folder) == []
