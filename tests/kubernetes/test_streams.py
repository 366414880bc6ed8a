"""Streams of kubectl, over WebSocket and over SPDY, to a real kubelet: the same with Headgate and without.

The newest kubectl goes to the sidecar of the pod that says Failed (the bypass of kubernetes.md §6.3). The old one does
not say what it is about to do, refuses such a pod by itself, and therefore goes to one that runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.acting import Pod
from tests.cluster.images import BUSYBOX
from tests.cluster.kubectl import Kubectl
from tests.cluster.running import Cluster
from tests.kubernetes.front import Way
from tests.kubernetes.stage import Stage
from tests.kubernetes.talking import line, rest, send
from tests.support.waiting import WITHIN

SEVERAL = random.Random(1).randbytes(3 << 20)
"""A few megabytes that no compression makes less."""
TRIES = 3
"""Under load a big exec is cut now and then without any proxy too (kubernetes.md §12.1): one that is proves nothing."""
WEB = "mkdir -p /www && echo hello from the pod >/www/index.html && head -c 1000000 /dev/zero >/www/big && {} -h /www"
_numbers = itertools.count(1)

pytestmark = pytest.mark.usefixtures("cluster_with_node")


@dataclass(frozen=True, slots=True)
class Caller:
    """A kubectl that goes one of the ways, and the pod whose sidecar it uses."""

    kubectl: Kubectl
    pod: Pod

    @property
    def sidecar(self) -> list[str]:
        """Where commands go."""
        return ["-n", self.pod.namespace, self.pod.name, "-c", "sidecar"]


@pytest.fixture(params=["direct websocket", "through websocket", "direct spdy", "through spdy"])
def caller(request: pytest.FixtureRequest, stage: Stage) -> Caller:
    """Each kubectl on each way."""
    way_name, _, protocol = request.param.partition(" ")
    way: Way = request.getfixturevalue(way_name)
    if protocol == "websocket":
        return Caller(way.kubectl, stage.dead)
    old: Kubectl = request.getfixturevalue("old_kubectl")
    return Caller(old.using(way.kubeconfig), stage.alive)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def test_exec_with_input_both_outputs_and_an_exit_code(caller: Caller) -> None:
    script = "cat; echo oh >&2; exit 7"
    said = await caller.kubectl("exec", "-i", *caller.sidecar, "--", "sh", "-c", script, stdin=b"to and fro")
    assert (said.code, said.out) == (7, "to and fro")
    assert "oh\n" in said.err


async def test_exec_of_a_command_that_is_not_there(caller: Caller) -> None:
    said = await caller.kubectl("exec", *caller.sidecar, "--", "nothing-of-the-kind")
    assert said.code != 0
    assert '"nothing-of-the-kind": executable file not found' in said.err


async def test_exec_as_a_conversation(caller: Caller) -> None:
    """Every line is answered before the next is sent: nothing is kept back on the way."""
    async with caller.kubectl.running("exec", "-i", *caller.sidecar, "--", "cat") as process:
        for said in (b"one\n", b"two\n", b"three\n"):
            await send(process, said)
            assert await line(process) == said
        assert await rest(process) == (0, b"", b"")


async def test_exec_of_a_long_script(caller: Caller) -> None:
    """It stands in the request line; spaces take three bytes of it."""
    script = f"echo {'x  ' * 40_000} | wc -c"
    said = await caller.kubectl("exec", *caller.sidecar, "--", "sh", "-c", script)
    assert (said.code, said.out) == (0, "80000\n")


async def test_megabytes_into_a_container(caller: Caller) -> None:
    for _ in range(TRIES):
        told = await caller.kubectl.good("exec", "-i", *caller.sidecar, "--", "sha256sum", stdin=SEVERAL)
        if told.split()[0] == digest(SEVERAL):
            return
    pytest.fail(f"cut {TRIES} times")


async def test_cp_of_megabytes_to_and_fro(caller: Caller, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(SEVERAL)
    inside = f"/tmp/file-{next(_numbers)}"
    place = f"{caller.pod.namespace}/{caller.pod.name}:{inside}"
    for _ in range(TRIES):
        await caller.kubectl.good("cp", "-c", "sidecar", str(there), place)
        held = await caller.pod.do("sidecar", "sha256sum", inside)
        await caller.kubectl.good("cp", "-c", "sidecar", place, str(back))
        if held.split()[0] == digest(SEVERAL) == digest(back.read_bytes()):
            return
    pytest.fail(f"cut {TRIES} times")


async def test_attach(caller: Caller) -> None:
    """The container speaks until somebody has heard it: the attach may be there before or after the order."""
    heard = f"/tmp/heard-{next(_numbers)}"
    async with caller.kubectl.running("attach", *caller.sidecar) as process:
        await caller.pod.order("sidecar", f"until test -e {heard}; do echo {heard}; sleep 0.1; done")
        while await line(process) != f"{heard}\n".encode():
            pass
        await caller.pod.do("sidecar", "touch", heard)


async def test_port_forward(caller: Caller) -> None:
    await caller.pod.do("sidecar", "sh", "-c", f"pidof httpd || ({WEB.format('httpd -p 8080')})")
    where = ["port-forward", "-n", caller.pod.namespace, f"pod/{caller.pod.name}", ":8080"]
    async with caller.kubectl.running(*where) as forwarding:
        announced = re.search(rb"127\.0\.0\.1:(\d+)", await line(forwarding))
        assert announced is not None
        port = int(announced[1])
        small, big, again = await asyncio.gather(*(fetch(port, path) for path in ("/", "/big", "/index.html")))
    assert small == again
    assert small.endswith(b"hello from the pod\n")
    assert big.partition(b"\r\n\r\n")[2] == bytes(1_000_000)


async def fetch(port: int, path: str) -> bytes:
    """The whole answer of a server on loopback."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    async with asyncio.timeout(WITHIN):
        answer = await reader.read()
    writer.close()
    return answer


async def test_run_with_input(caller: Caller) -> None:
    name = f"run-{next(_numbers)}"
    image = [f"--image={BUSYBOX}", "--image-pull-policy=Never", "--restart=Never"]
    words = ["run", name, "-n", caller.pod.namespace, *image, "-i", "--rm", "--", "cat"]
    said = await caller.kubectl(*words, stdin=b"through and through\n", within=60)
    assert said.code == 0, said.err
    assert said.out.startswith("through and through\n")


async def test_logs_end_with_the_container(living: Pod, direct: Way, through: Way, old_kubectl: Kubectl) -> None:
    """Four that follow at once: each kubectl on each way."""
    kubectls = [way.kubectl for way in (direct, through)]
    kubectls += [old_kubectl.using(way.kubeconfig) for way in (direct, through)]
    where = ["logs", "-f", "-n", living.namespace, living.name, "-c", "sandbox"]

    async def follow(kubectl: Kubectl, began: asyncio.Event) -> bytes:
        async with kubectl.running(*where) as process:
            first = await line(process)
            began.set()
            code, more, _ = await rest(process)
            assert code == 0
            return first + more

    began = [asyncio.Event() for _ in kubectls]
    await living.order("sandbox", "echo one")
    following = [asyncio.ensure_future(follow(*pair)) for pair in zip(kubectls, began, strict=True)]
    await asyncio.gather(*(event.wait() for event in began))
    await living.order("sandbox", "echo two; exit 0")
    assert await asyncio.gather(*following) == [b"one\ntwo\n"] * 4
    for kubectl in kubectls:
        assert await kubectl.good(*where, "--tail=1") == "two\n"


async def test_attach_and_exec_to_a_dead_container_fail_as_without_headgate(
    dead: Pod, direct: Way, through: Way
) -> None:
    where = ["-n", dead.namespace, dead.name, "-c", "sandbox"]
    for words in (["attach", *where], ["exec", *where, "--", "id"]):
        true, told = await direct.kubectl(*words), await through.kubectl(*words)
        assert told == true
        assert "sandbox" in told.err and "not found" in told.err
        assert told.code != 0


async def test_without_the_bypass_kubectl_refuses_a_pod_that_says_failed(
    dead: Pod, through: Way, old_kubectl: Kubectl, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is the client's own decision: kubectl 1.20 does not say what it is about to do, nor one told not to."""
    words = ["exec", "-n", dead.namespace, dead.name, "-c", "sidecar", "--", "id"]
    assert "uid=0" in await through.kubectl.good(*words)
    monkeypatch.setenv("KUBECTL_COMMAND_HEADERS", "false")
    for kubectl in (through.kubectl, old_kubectl.using(through.kubeconfig)):
        said = await kubectl(*words)
        assert said.err.strip() == "error: cannot exec into a container in a completed pod; current phase is Failed"


async def test_all_kubectls_are_what_they_are_taken_for(cluster: Cluster, old_kubectl: Kubectl) -> None:
    versions = [await kubectl.good("version", "--client") for kubectl in (cluster.kubectl, old_kubectl)]
    assert "v1.34" in versions[0]
    assert "v1.20" in versions[1]
