"""The little kubelet: what becomes of a pod, by the clock and by command."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.fakes import FakeKubernetes, KubernetesConfig, ManualClock
from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_phase import phase
from tests.fakes.client import client
from tests.support.pods import NAMESPACE, PODS, agent_pod, container

JSON = {"Content_Type": "application/json", "Accept": "application/json"}


def condition(pod: Pod, kind: str) -> dict[str, Any]:
    return next(one for one in pod["status"].get("conditions", ()) if one["type"] == kind)


def state(pod: Pod, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in pod["status"]["containerStatuses"] if c["name"] == name)["state"]
    return found


def is_ready(fake: FakeKubernetes, name: str = "a") -> bool:
    pod = fake.pod(NAMESPACE, name)
    return bool(pod["status"].get("conditions")) and condition(pod, "Ready")["status"] == "True"


async def test_a_pod_becomes_ready_by_the_clock() -> None:
    clock = ManualClock()
    config = KubernetesConfig(schedule_seconds=1, start_seconds=2, ready_seconds=4)
    async with FakeKubernetes(config, clock=clock) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))

        def seen() -> tuple[object, ...]:
            pod = fake.pod(NAMESPACE, "a")
            return pod["spec"].get("nodeName"), pod["status"]["phase"], pod["status"].get("podIP"), is_ready(fake)

        await clock.sleeping(1)
        assert seen() == (None, "Pending", None, False)
        await clock.advance(1)
        assert seen() == ("node-1", "Pending", None, False)
        assert state(fake.pod(NAMESPACE, "a"), "sandbox") == {"waiting": {"reason": "ContainerCreating"}}
        await clock.advance(2)
        assert seen()[:2] == ("node-1", "Running")
        assert not is_ready(fake)
        assert condition(fake.pod(NAMESPACE, "a"), "Ready")["reason"] == "ContainersNotReady"
        since = condition(fake.pod(NAMESPACE, "a"), "Initialized")["lastTransitionTime"]
        await clock.advance(4)
        assert is_ready(fake)
        assert condition(fake.pod(NAMESPACE, "a"), "Initialized")["lastTransitionTime"] == since


async def test_the_incident() -> None:
    """problems.md §4.3: the agent is killed, its sidecar lives, the phase stays Running."""
    async with FakeKubernetes() as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        await fake.until(lambda: is_ready(fake))
        pod = fake.kubelet.oom_kill(NAMESPACE, "a", "sandbox")
        assert pod["status"]["phase"] == "Running"
        killed = state(pod, "sandbox")["terminated"]
        assert (killed["reason"], killed["exitCode"]) == ("OOMKilled", 137)
        assert killed["containerID"].startswith("containerd://")
        assert "running" in state(pod, "tool-server")
        assert condition(pod, "Ready") == condition(pod, "Ready") | {
            "status": "False",
            "reason": "ContainersNotReady",
            "message": "containers with unready status: [sandbox]",
        }
        pod = fake.kubelet.end(NAMESPACE, "a", "tool-server")
        assert pod["status"]["phase"] == "Failed"
        assert condition(pod, "Ready")["reason"] == "PodFailed"


async def test_a_pod_whose_containers_all_end_well() -> None:
    async with FakeKubernetes() as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a", "sandbox"))
        await fake.until(lambda: is_ready(fake))
        pod = fake.kubelet.end(NAMESPACE, "a", "sandbox")
        assert (pod["status"]["phase"], state(pod, "sandbox")["terminated"]["reason"]) == ("Succeeded", "Completed")


async def test_a_container_that_is_to_be_restarted_comes_back() -> None:
    clock = ManualClock()
    async with FakeKubernetes(clock=clock) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a", restartPolicy="Always"))
        await fake.until(lambda: is_ready(fake))
        first = fake.kubelet.container(fake.pod(NAMESPACE, "a"), "sandbox")
        pod = fake.kubelet.end(NAMESPACE, "a", "sandbox", 1)
        assert pod["status"]["phase"] == "Running"
        await clock.sleeping(1)
        pod = fake.pod(NAMESPACE, "a")
        assert state(pod, "sandbox")["waiting"]["reason"] == "CrashLoopBackOff"
        assert pod["status"]["phase"] == "Running"
        await clock.advance(10)
        status = fake.pod(NAMESPACE, "a")["status"]["containerStatuses"][0]
        assert ("running" in status["state"], status["restartCount"]) == (True, 1)
        assert status["lastState"]["terminated"]["exitCode"] == 1
        second = fake.kubelet.container(fake.pod(NAMESPACE, "a"), "sandbox")
        assert first is not second
        assert first is not None and first.ended.is_set()


async def test_a_native_sidecar_lets_the_pod_end() -> None:
    async with FakeKubernetes() as fake, client(fake.url, **JSON) as call:
        inits = [container("setup"), container("proxy", restartPolicy="Always")]
        await call("POST", PODS, agent_pod("a", "sandbox", initContainers=inits))
        await fake.until(lambda: is_ready(fake))
        statuses = fake.pod(NAMESPACE, "a")["status"]["initContainerStatuses"]
        assert statuses[0]["state"]["terminated"]["exitCode"] == 0
        assert "running" in statuses[1]["state"]
        assert fake.kubelet.oom_kill(NAMESPACE, "a", "sandbox")["status"]["phase"] == "Running"


async def test_a_pod_deleted_before_it_has_a_node_is_gone_at_once() -> None:
    clock = ManualClock()
    config = KubernetesConfig(schedule_seconds=5)
    async with FakeKubernetes(config, clock=clock) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        await clock.sleeping(1)
        await call("DELETE", f"{PODS}/a")
        await call("POST", PODS, agent_pod("a"))
        await clock.sleeping(2)
        await clock.advance(5)
        await fake.until(lambda: is_ready(fake))
        assert len(list(fake.store)) == 1


async def test_a_deleted_pod_ends_within_its_grace() -> None:
    clock = ManualClock()
    config = KubernetesConfig(stop_seconds=60)
    async with FakeKubernetes(config, clock=clock) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a"))
        await fake.until(lambda: is_ready(fake))
        await call("DELETE", f"{PODS}/a?gracePeriodSeconds=5")
        await clock.sleeping(1)
        events = fake.store.version
        await clock.advance(5)
        assert list(fake.store) == []
        last = fake.store.since(events)
        assert [event.after is None for event in last] == [False, False, True]
        assert last[0].after is not None
        assert last[0].after["status"]["phase"] == "Failed"
        assert state(last[0].after, "sandbox")["terminated"]["exitCode"] == 143


async def test_without_a_kubelet_nothing_happens() -> None:
    async with FakeKubernetes(KubernetesConfig(kubelet=False)) as fake, client(fake.url, **JSON) as call:
        await call("POST", PODS, agent_pod("a", nodeName="n"))
        assert fake.store.version == 2


RUNS: dict[str, Any] = {"running": {}}
WAITS: dict[str, Any] = {"waiting": {}}
CRASHED = {"lastState": {"terminated": {"exitCode": 1}}}


def ended(code: int) -> dict[str, Any]:
    return {"terminated": {"exitCode": code}}


@pytest.mark.parametrize(
    ("policy", "states", "said"),
    [
        ("Never", [RUNS, RUNS], "Running"),
        ("Never", [ended(137), RUNS], "Running"),
        ("Never", [ended(137), ended(0)], "Failed"),
        ("Never", [ended(0), ended(0)], "Succeeded"),
        ("Never", [ended(1), WAITS], "Pending"),
        ("OnFailure", [ended(0), ended(0)], "Succeeded"),
        ("OnFailure", [ended(0), ended(1)], "Running"),
        ("Always", [ended(0), ended(0)], "Running"),
        ("Always", [WAITS | CRASHED, RUNS], "Running"),
        ("Never", [RUNS, None], "Pending"),
    ],
)
def test_the_phase_is_the_kubelets_own(policy: str, states: list[dict[str, Any] | None], said: str) -> None:
    statuses: list[dict[str, Any]] = []
    for name, value in enumerate(states):
        if value is not None:
            last = {"lastState": value["lastState"]} if "lastState" in value else {}
            shown = {key: inner for key, inner in value.items() if key != "lastState"}
            statuses.append({"name": str(name), "state": shown, **last})
    pod = {
        "metadata": {},
        "spec": {"restartPolicy": policy, "containers": [{"name": str(name)} for name in range(len(states))]},
        "status": {"phase": "Running", "containerStatuses": statuses},
    }
    assert phase(pod) == said
    pod["status"] = {"phase": "Failed"}
    assert phase(pod) == "Failed"
