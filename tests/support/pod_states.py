"""Pods as the API server shows them, in any state, for tests of pure code. Not a test."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]

STARTED: Final = "2025-11-21T10:00:00Z"
FINISHED: Final = "2025-11-21T10:05:00Z"
UNREADY: Final = "containers with unready status: [sandbox]"


def running() -> Json:
    """A container's state while it runs."""
    return {"running": {"startedAt": STARTED}}


def waiting(reason: str = "ContainerCreating") -> Json:
    """A container's state before it runs, or between two runs."""
    return {"waiting": {"reason": reason}}


def terminated(code: int, reason: str | None = None, *, at: str | None = FINISHED) -> Json:
    """A container's state after it ran. The kubelet says Completed or Error where the runtime gives no reason."""
    reason = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": STARTED, "finishedAt": at}}


def container_status(name: str, state: Json, *, last: Json | None = None, restarts: int = 0) -> Json:
    """What the kubelet reports of one container; ``last`` is the state at the end of the run before."""
    runs = "running" in state
    return {
        "name": name,
        "state": state,
        "lastState": last or {},
        "ready": runs,
        "restartCount": restarts,
        "image": "busybox:latest",
        "imageID": "sha256:" + "0" * 64,
        "containerID": "containerd://" + "1" * 64,
        "started": runs,
    }


def condition(kind: str, status: str, **more: object) -> Json:
    """One condition, with 1.34's observedGeneration."""
    stamps = {"lastProbeTime": None, "lastTransitionTime": STARTED}
    return {"type": kind, "observedGeneration": 1, "status": status, **stamps, **more}


def conditions(*, ready: bool) -> list[Json]:
    """The conditions of a pod that started; not ready because of a container named sandbox."""
    why = {} if ready else {"reason": "ContainersNotReady", "message": UNREADY}
    status = str(ready)
    return [
        condition("PodReadyToStartContainers", "True"),
        condition("Initialized", "True"),
        condition("Ready", status, **why),
        condition("ContainersReady", status, **why),
        condition("PodScheduled", "True"),
    ]


def pod(
    *statuses: Json,
    phase: str = "Running",
    restart_policy: str | None = "Never",
    specs: Mapping[str, Json] | None = None,
    inits: Sequence[Json] = (),
    init_statuses: Sequence[Json] = (),
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    namespace: str = "agents-1",
    deleting: bool = False,
    status: Mapping[str, object] | None = None,
) -> Json:
    """A pod with these container statuses. ``specs`` adds to a container's spec, or a container nothing is reported of.

    ``status`` adds to the status or replaces parts of it.
    """
    names = dict.fromkeys([*(told["name"] for told in statuses), *(specs or {})])
    metadata: Json = {
        "name": "agent-1",
        "namespace": namespace,
        "uid": "11111111-2222-3333-4444-555555555555",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": STARTED,
        "labels": dict(labels or {}),
        "annotations": dict(annotations or {}),
        "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {'k:{"type":"Ready"}': {".": {}}}}}],
    }
    if deleting:
        metadata |= {"deletionTimestamp": FINISHED, "deletionGracePeriodSeconds": 30}
    spec: Json = {
        "initContainers": list(inits),
        "containers": [{"name": name, "image": "busybox", **(specs or {}).get(name, {})} for name in names],
        "terminationGracePeriodSeconds": 30,
    }
    if restart_policy is not None:
        spec["restartPolicy"] = restart_policy
    shown: Json = {
        "observedGeneration": 1,
        "phase": phase,
        "conditions": conditions(ready=all(told["ready"] for told in statuses)),
        "hostIP": "10.0.0.1",
        "podIP": "10.1.0.7",
        "startTime": STARTED,
        "initContainerStatuses": list(init_statuses),
        "containerStatuses": list(statuses),
        "qosClass": "Burstable",
    }
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": shown | dict(status or {})}


def incident_pod(**more: Any) -> Json:
    """The reported pod: ``sandbox`` was killed for its memory, ``sidecar`` runs on (problems.md §4)."""
    return pod(
        container_status("sandbox", terminated(137, "OOMKilled")), container_status("sidecar", running()), **more
    )


def encoded(document: object) -> bytes:
    """JSON as Go writes it: compact, with ``<``, ``>`` and ``&`` escaped, ended by a newline."""
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode() + b"\n"
