"""How containers end in tests, truly or, without a node, by a status that says so; and what is told of them then."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from tests.cluster.acting import Pod
from tests.cluster.pods import Json, status, terminated
from tests.cluster.programs import Level
from tests.kubernetes.front import Way

MARK: Final = "headgate.dev/PhaseDerived"
IN_ETCD: Final = (b"PhaseDerived", b"MainContainerTerminated", b"PodFailed", b"PodCompleted")
"""Words of ours, in whatever encoding a pod is stored."""


async def end(pod: Pod, **codes: int) -> Json:
    """Containers end with these codes, in this order; the pod when the API server knows it."""
    if pod.cluster.level is Level.NODE:
        for container, code in codes.items():
            await pod.order(container, f"exit {code}")
            await pod.until_terminated(container)
        return await pod.read()
    now = await pod.read()
    states = {name: terminated(code, "Error" if code else "Completed") for name, code in codes.items()}
    for one in now["status"]["containerStatuses"]:
        if "terminated" in one["state"]:
            states[one["name"]] = one["state"]
    ended = [state["terminated"]["exitCode"] for state in states.values()]
    phase = "Running"
    if len(ended) == len(now["spec"]["containers"]):
        phase = "Failed" if any(ended) else "Succeeded"
    return await pod.patch_status(status(now, phase, **states))


async def be_deaf(pod: Pod, container: str) -> None:
    """Have a container live on when its pod is deleted, for all of the grace period."""
    if pod.cluster.level is Level.NODE:
        await pod.order(container, "trap '' TERM; touch /tmp/deaf")
        await pod.do(container, "sh", "-c", "until test -e /tmp/deaf; do sleep 0.02; done")


async def look(way: Way, pod: Pod) -> Json:
    """The pod as it is told on this way."""
    found: Json = await asyncio.to_thread(way.api.get, pod.path)
    return found


async def phase(way: Way, pod: Pod) -> str:
    """Its phase on this way."""
    return str((await look(way, pod))["status"]["phase"])


def without_phase(pod: Json) -> Json:
    """What is told alike everywhere: the pod without phase, reason, message, and what goes with them in conditions."""
    told: Json = {key: value for key, value in pod.items() if key != "status"}
    told["status"] = {key: value for key, value in pod["status"].items() if key not in ("phase", "reason", "message")}
    told["status"]["conditions"] = [_without_reason(one) for one in pod["status"].get("conditions", [])]
    told["status"]["conditions"] = [one for one in told["status"]["conditions"] if one["type"] != MARK]
    return told


def _without_reason(condition: Json) -> Json:
    said: dict[str, Any] = {key: value for key, value in condition.items() if key not in ("reason", "message")}
    return said if condition["type"] in ("Ready", "ContainersReady") else condition


async def assert_nothing_derived_is_stored(pod: Pod) -> None:
    """Neither in what the API server says of the pod, nor anywhere in the bytes that etcd holds."""
    told = await pod.read()
    assert told["status"]["phase"] == "Running"
    assert MARK not in [one["type"] for one in told["status"]["conditions"]]
    held = await asyncio.to_thread(pod.cluster.stored_pod, pod.namespace, pod.name)
    assert [word for word in IN_ETCD if word in held] == []
