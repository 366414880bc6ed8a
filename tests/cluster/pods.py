"""Pods for tests, as plain objects to POST: containers that do what they are told, when they are told.

An obedient container waits for orders, one line of shell each, at the named pipe of its image, which somebody who
execs into it writes: nothing happens before a test says so, and nothing has to be waited out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from tests.cluster.control import NODE_NAME
from tests.cluster.images import BUSYBOX, ORDERS

Json = dict[str, Any]

OOM: Final = "s=x; while :; do s=$s$s; done"
"""An order that takes memory without end: the kernel kills the container at its limit (machines.md §3)."""
LIMIT: Final = "30Mi"
NOWHERE: Final = "nowhere"
"""A node that does not exist: nobody changes the status of its pods but who PATCHes it."""
OBEY: Final = f"trap 'exit 143' TERM; exec 3<>{ORDERS}; while read -r order <&3; do eval \"$order\"; done"


def obedient(name: str, *, memory: str | None = None) -> Json:
    """A container that waits for orders; ``memory`` is its limit."""
    container: Json = {
        "name": name,
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", OBEY],
    }
    if memory is not None:
        container["resources"] = {"limits": {"memory": memory}, "requests": {"memory": memory}}
    return container


def pod(name: str, containers: Sequence[Json], *, node: str = NODE_NAME, restart: str = "Never", **spec: Any) -> Json:
    """A pod bound to the node: no scheduler is waited for. ``spec`` adds to or replaces what it says."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "restartPolicy": restart,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "containers": list(containers),
            **spec,
        },
    }


def incident(name: str, *, node: str = NODE_NAME, **spec: Any) -> Json:
    """The pod of the incident (problems.md §4): ``sandbox``, which will run out of memory, and ``sidecar``."""
    return pod(name, [obedient("sandbox", memory=LIMIT), obedient("sidecar")], node=node, **spec)


def status(pod: Json, phase: str = "Running", **states: Json) -> Json:
    """A status as kubelet would write it: for each container its state, running unless given by name."""
    statuses = []
    for container in pod["spec"]["containers"]:
        name = container["name"]
        state = states.get(name, {"running": {"startedAt": "2026-01-01T00:00:00Z"}})
        statuses.append(
            {
                "name": name,
                "image": container["image"],
                "imageID": "",
                "restartCount": 0,
                "ready": "running" in state,
                "started": "running" in state,
                "state": state,
            }
        )
    ready = "True" if all(one["ready"] for one in statuses) else "False"
    conditions = [{"type": kind, "status": ready} for kind in ("Ready", "ContainersReady")]
    return {"phase": phase, "conditions": conditions, "containerStatuses": statuses}


def terminated(code: int, reason: str) -> Json:
    """The state of a container that has ended."""
    at = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:01:00Z"}
    return {"terminated": {"exitCode": code, "reason": reason, **at}}


def state_of(pod: Json, container: str) -> tuple[str, Json]:
    """What the API says of a container: ``running``, ``waiting``, ``terminated`` or ``""``, with its details."""
    for one in pod.get("status", {}).get("containerStatuses", []):
        if one["name"] == container:
            return next(iter(one["state"].items()), ("", {}))
    return "", {}
