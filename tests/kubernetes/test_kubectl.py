"""kubectl, the newest and an old one, through the TLS listener: word for word what it says without Headgate.

What differs is the phase and what goes with it. Tables do not differ at all: the API server computes their cells from
the containers' states (kubernetes.md §3.1).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.cluster.acting import Pod
from tests.cluster.kubectl import Kubectl, Said
from tests.cluster.pods import incident
from tests.cluster.running import Cluster
from tests.kubernetes.ends import MARK, without_phase
from tests.kubernetes.front import Way
from tests.kubernetes.stage import Stage
from tests.kubernetes.talking import line

AGE = re.compile(r"\b(?:\d+[dhms])+\b")
DERIVED = [
    "Status: Failed",
    "Reason: OOMKilled",
    'Message: container "sandbox" terminated: OOMKilled (exit code 137)',
    f"{MARK} True",
]
"""What ``describe`` says besides, of the pod and in the list of conditions."""
JSONPATH = "-o=jsonpath={.status.phase} {.metadata.labels.fence}{'\\n'}"

Pair = tuple[Kubectl, Kubectl]


@pytest.fixture(params=["newest", "old"])
def pair(request: pytest.FixtureRequest, direct: Way, through: Way) -> Pair:
    """One kubectl on both ways."""
    if request.param == "newest":
        return direct.kubectl, through.kubectl
    old: Kubectl = request.getfixturevalue("old_kubectl")
    return old.using(direct.kubeconfig), old.using(through.kubeconfig)


async def both(pair: Pair, *words: str) -> tuple[Said, Said]:
    """What it says on the direct way and through Headgate."""
    true, told = await asyncio.gather(*(kubectl(*words) for kubectl in pair))
    return true, told


def plain(said: Said, namespace: str = "") -> tuple[int, list[str], list[str]]:
    """Without the namespace, ages, which pass, and the width of columns."""

    def lines(text: str) -> list[str]:
        text = AGE.sub("AGE", text.replace(namespace, "") if namespace else text)
        return [" ".join(one.split()) for one in text.splitlines()]

    return said.code, lines(said.out), lines(said.err)


@pytest.mark.parametrize(
    "words",
    [
        "get pods",
        "get pods -o wide --show-labels",
        "get pods -o name --chunk-size=1",
        "get pods --sort-by=.status.containerStatuses[0].state.terminated.exitCode",
        "get pods -l nothing=of-the-kind",
        "get pod nobody",
        "describe pod alive",
        "describe pod failed",
        "logs nobody",
        "get nodes -o wide",
        "get namespaces,serviceaccounts -o name",
        "explain pod.status.phase",
        "api-resources",
        "auth can-i delete pods",
        "get --raw /healthz",
    ],
)
async def test_what_is_the_same_word_for_word(pair: Pair, stage: Stage, words: str) -> None:
    true, told = await both(pair, *words.split(), "-n", stage.namespace)
    assert plain(told) == plain(true)
    assert (told.code == 0) == ("nobody" not in words)


async def test_logs(pair: Pair, cluster_with_node: Cluster, stage: Stage) -> None:
    await stage.dead.order("sidecar", "echo said")
    where = ["-n", stage.namespace, "dead", "-c", "sidecar"]
    async with pair[1].running("logs", "-f", *where) as following:
        assert await line(following) == b"said\n"
    true, told = await both(pair, "logs", *where)
    assert (told.code, told.out) == (0, true.out)


async def test_the_table_shows_the_truth_on_both_ways(pair: Pair, stage: Stage) -> None:
    _, rows, _ = plain((await both(pair, "get", "pods", "-n", stage.namespace))[1])
    assert rows[0] == "NAME READY STATUS RESTARTS AGE"
    assert [row.split()[:3] for row in rows[1:]] == [
        ["alive", "2/2", "Running"],
        ["dead", "1/2", "OOMKilled"],
        ["failed", "0/1", "Error"],
    ]


@pytest.mark.parametrize("form", ["json", "yaml"])
async def test_whole_pods(pair: Pair, stage: Stage, form: str) -> None:
    true, told = await both(pair, "get", "pods", "-n", stage.namespace, "-o", form)
    read = json.loads if form == "json" else yaml.safe_load
    true_pods, told_pods = ({one["metadata"]["name"]: one for one in read(said.out)["items"]} for said in (true, told))
    assert {name: pod["status"]["phase"] for name, pod in told_pods.items()} == {
        "alive": "Running",
        "dead": "Failed",
        "failed": "Failed",
    }
    assert {name: pod for name, pod in told_pods.items() if name != "dead"} == {
        name: pod for name, pod in true_pods.items() if name != "dead"
    }
    assert without_phase(told_pods["dead"]) == without_phase(true_pods["dead"])


async def test_describe(pair: Pair, stage: Stage) -> None:
    true, told = await both(pair, "describe", "pod", "dead", "-n", stage.namespace)
    (_, true_lines, _), (_, told_lines, _) = plain(true), plain(told)
    assert Counter(told_lines) - Counter(true_lines) == Counter(DERIVED)
    assert Counter(true_lines) - Counter(told_lines) == Counter(["Status: Running"])


async def test_a_life(pair: Pair, cluster_with_node: Cluster, tmp_path: Path) -> None:
    """Made, changed, waited for, deleted: the same words on both ways, with a pod each."""
    files = []
    for number, labels in enumerate(({}, {"version": "2"})):
        wanted = incident("life")
        wanted["metadata"]["labels"] = labels
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(wanted))

    async def lived(kubectl: Kubectl) -> list[tuple[int, list[str], list[str]]]:
        namespace = await asyncio.to_thread(cluster_with_node.namespace, "life")
        pod = Pod(cluster_with_node, namespace, "life")
        said = [
            await kubectl("-n", namespace, *words)
            for words in (
                ["apply", "-f", str(files[0])],
                ["apply", "-f", str(files[1])],
                ["apply", "-f", str(files[1])],
                ["create", "-f", str(files[0])],
                ["patch", "pod", "life", "-p", '{"metadata": {"labels": {"patched": "yes"}}}'],
                ["label", "pod", "life", "version=3"],
                ["annotate", "pod", "life", "version=3", "--overwrite"],
                ["wait", "--for=condition=Ready", "pod/life", "--timeout=60s"],
                ["get", "pod", "life", "--show-labels"],
                ["cp", str(files[0]), f"{namespace}/life:/tmp/file", "-c", "sidecar"],
                ["exec", "life", "-c", "sidecar", "--", "wc", "-c", "/tmp/file"],
            )
        ]
        await pod.run_out_of_memory()
        said += [
            await kubectl("-n", namespace, *words)
            for words in (
                ["wait", "--for=condition=Ready=false", "pod/life", "--timeout=60s"],
                ["wait", "--for=condition=Ready", "pod/life", "--timeout=1s"],
                ["get", "pod", "life", "--no-headers"],
                ["delete", "pod", "life", "--now"],
                ["wait", "--for=delete", "pod/life", "--timeout=60s"],
                ["get", "pod", "life", "--ignore-not-found"],
                ["delete", "pod", "life"],
            )
        ]
        return [plain(one, namespace) for one in said]

    true, told = await asyncio.gather(*(lived(kubectl) for kubectl in pair))
    assert told == true
    assert [code for code, _, _ in told][:11] == [0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0]
    assert told[0][1] == ["pod/life created"]


async def watched(kubectl: Kubectl, namespace: str, words: Sequence[str], started: asyncio.Event) -> list[str]:
    """The lines of ``get -w`` up to the one that has the fence."""
    lines: list[str] = []
    async with kubectl.running("get", "pods", "-n", namespace, "-w", *words) as process:
        while not lines or not lines[-1].endswith(" yes"):
            lines.append(" ".join(AGE.sub("AGE", (await line(process)).decode()).split()))
            started.set()
    return lines


@pytest.mark.parametrize("words", [["-L", "fence"], [JSONPATH]], ids=["table", "jsonpath"])
async def test_get_and_watch(pair: Pair, living: Pod, namespace: str, words: list[str]) -> None:
    started = [asyncio.Event() for _ in pair]
    watching = [
        asyncio.ensure_future(watched(kubectl, namespace, words, event))
        for kubectl, event in zip(pair, started, strict=True)
    ]
    await asyncio.gather(*(event.wait() for event in started))
    await living.run_out_of_memory()
    await living.cluster.kubectl.good("label", "pod", living.name, "-n", namespace, "fence=yes")
    true, told = await asyncio.gather(*watching)
    if words == [JSONPATH]:
        assert (set(true), true[-1]) == ({"Running", "Running yes"}, "Running yes")
        assert (set(told), told[-1]) == ({"Running", "Failed", "Failed yes"}, "Failed yes")
    else:
        assert told == true
        assert told[-1] == f"{living.name} 1/2 OOMKilled 0 AGE yes"


async def test_wait_for_the_phase_ends_at_once(dead: Pod, direct: Way, through: Way) -> None:
    words = ["wait", f"pod/{dead.name}", "-n", dead.namespace, "--for=jsonpath={.status.phase}=Failed", "--timeout=1s"]
    told, true = await through.kubectl(*words), await direct.kubectl(*words)
    assert (told.code, told.out) == (0, f"pod/{dead.name} condition met\n")
    assert true.code == 1
    assert "timed out" in true.err
