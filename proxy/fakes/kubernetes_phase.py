"""The kubelet's own rules: what phase a pod is in, whether a container starts again, what its conditions are.

Written from kubernetes.md §3.2 and §3.3, apart from what Headgate derives by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.fakes.kubernetes_model import TERMINAL, Pod, stamp

KUBELETS_OWN = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def restarts(pod: Pod, name: str, code: int) -> bool:
    """Whether the kubelet starts this container again after it ended with ``code``."""
    specs = (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))
    spec: Mapping[str, Any] = next((c for c in specs if c["name"] == name), {})
    policy = spec.get("restartPolicy") or pod["spec"].get("restartPolicy", "Always")
    return bool(policy == "Always" or (policy == "OnFailure" and code != 0))


def phase(pod: Pod) -> str:
    """The phase that the container states mean; a terminal one stays."""
    said: str = pod["status"].get("phase", "Pending")
    if said in TERMINAL:
        return said
    running = stopped = waiting = unknown = 0
    codes: dict[str, int] = {}
    states = {c["name"]: c for c in pod["status"].get("containerStatuses") or ()}
    for spec in pod["spec"]["containers"]:
        status = states.get(spec["name"], {})
        state, last = status.get("state") or {}, (status.get("lastState") or {}).get("terminated")
        ended = state.get("terminated") or (last if "waiting" in state else None)
        if "running" in state:
            running += 1
        elif ended:
            stopped += 1
            codes[spec["name"]] = ended.get("exitCode", 0)
        elif "waiting" in state:
            waiting += 1
        else:
            unknown += 1
    sidecars = _sidecars_running(pod)
    if waiting:
        return "Pending"
    if (running or sidecars) and not unknown:
        return "Running"
    if unknown or not stopped:
        return "Pending"
    if not pod["metadata"].get("deletionTimestamp") and any(restarts(pod, name, code) for name, code in codes.items()):
        return "Running"
    return "Failed" if any(codes.values()) else "Succeeded"


def _sidecars_running(pod: Pod) -> bool:
    """Native sidecars keep a pod running while they run; once ended they are not looked at."""
    return any("running" in (c.get("state") or {}) for c in pod["status"].get("initContainerStatuses") or ())


def conditions(pod: Pod, wall: float) -> list[dict[str, Any]]:
    """The conditions of a pod on a node. Those of others stay; one that does not change keeps its time."""
    status = pod["status"]
    before = {c["type"]: c for c in status.get("conditions") or ()}
    containers = status.get("containerStatuses") or ()
    unready = [c["name"] for c in containers if not c.get("ready")] or ([] if containers else ["?"])
    why: dict[str, str] = {}
    if status.get("phase") in TERMINAL:
        why = {"reason": "PodCompleted" if status["phase"] == "Succeeded" else "PodFailed"}
    elif unready:
        names = " ".join(unready)
        why = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{names}]"}
    started = bool(status.get("podIP"))
    values = {
        "PodReadyToStartContainers": (started, {}),
        "Initialized": (True, {}),
        "Ready": (not why, why),
        "ContainersReady": (not why, why),
        "PodScheduled": (True, {}),
    }
    found = [_condition(pod, before, kind, holds, text, wall) for kind, (holds, text) in values.items()]
    return found + [c for kind, c in before.items() if kind not in KUBELETS_OWN]


def _condition(
    pod: Pod, before: Mapping[str, dict[str, Any]], kind: str, holds: bool, why: Mapping[str, str], wall: float
) -> dict[str, Any]:
    value, old = str(holds), before.get(kind, {})
    since = old["lastTransitionTime"] if old.get("status") == value else stamp(wall)
    told = {"type": kind, "observedGeneration": pod["metadata"]["generation"], "status": value}
    return told | {"lastProbeTime": None, "lastTransitionTime": since, **why}
