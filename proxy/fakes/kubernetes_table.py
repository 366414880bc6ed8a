"""Pods as ``kubectl get`` shows them: the server's own printing (kubernetes.md §1.4, §3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from proxy.fakes.kubernetes_model import TERMINAL, Pod

Container = Mapping[str, Any]

_NAMES: Final = (
    ("Name", "name", 0),
    ("Ready", "", 0),
    ("Status", "", 0),
    ("Restarts", "", 0),
    ("Age", "", 0),
    ("IP", "", 1),
    ("Node", "", 1),
    ("Nominated Node", "", 1),
    ("Readiness Gates", "", 1),
)
COLUMNS: Final = [
    {"name": name, "type": "string", "format": form, "description": name, "priority": priority}
    for name, form, priority in _NAMES
]


def cells(pod: Pod, wall: float) -> list[Any]:
    """The nine cells of a pod's row. ``wall`` is now, in seconds since 1970."""
    status, spec = pod["status"], pod["spec"]
    ready, total, restarts, last = _counts(pod)
    shown = f"{restarts} ({_age(last, wall)} ago)" if restarts and last else str(restarts)
    where = [status.get("podIP"), spec.get("nodeName"), status.get("nominatedNodeName"), None]
    born = pod["metadata"].get("creationTimestamp")
    return [
        pod["metadata"]["name"],
        f"{ready}/{total}",
        status_cell(pod),
        shown,
        _age(born, wall) if born else "<unknown>",
        *(value or "<none>" for value in where),
    ]


def conditions(pod: Pod) -> list[dict[str, str]]:
    """What a row says of a pod that is over."""
    phase = pod["status"].get("phase")
    if phase not in TERMINAL:
        return []
    message = "The pod failed." if phase == "Failed" else "The pod has completed successfully."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


def status_cell(pod: Pod) -> str:
    """The STATUS column."""
    status = pod["status"]
    says: str = status.get("reason") or status.get("phase") or ""
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        says = "SchedulingGated"
    initialising = _initialising(pod)
    if initialising is None or _condition(pod, "Initialized").get("status") == "True":
        says = _regular(pod, says)
    else:
        says = initialising
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            return "Unknown"
        if status.get("phase") not in TERMINAL:
            return "Terminating"
    return says


def _initialising(pod: Pod) -> str | None:
    """What the first init container that is not done says; None where all are."""
    specs = {c["name"]: c for c in pod["spec"].get("initContainers") or ()}
    for number, container in enumerate(pod["status"].get("initContainerStatuses") or ()):
        state = container.get("state") or {}
        ended, waits = state.get("terminated"), state.get("waiting")
        if ended and not ended.get("exitCode"):
            continue
        if specs.get(container["name"], {}).get("restartPolicy") == "Always" and container.get("started"):
            continue
        if ended:
            return "Init:" + _ended(ended)
        if waits and waits.get("reason") not in (None, "PodInitializing"):
            return f"Init:{waits['reason']}"
        return f"Init:{number}/{len(specs)}"
    return None


def _regular(pod: Pod, says: str) -> str:
    """From the last container to the first, so that the first has the last word."""
    running, error = False, ""
    for container in reversed(pod["status"].get("containerStatuses") or ()):
        state = container.get("state") or {}
        ended, waits = state.get("terminated"), state.get("waiting")
        if waits and waits.get("reason"):
            says = waits["reason"]
        elif ended:
            says = _ended(ended)
            error = says if ended.get("exitCode") else error
        elif container.get("ready") and "running" in state:
            running = True
    if says != "Completed":
        return says
    if running and _condition(pod, "Ready").get("status") == "True":
        return "Running"
    return error or ("NotReady" if running else says)


def _ended(terminated: Container) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _counts(pod: Pod) -> tuple[int, int, int, str | None]:
    """Containers that are ready, containers, restarts, and when the last one ended that was restarted."""
    statuses = pod["status"].get("containerStatuses") or ()
    ready = sum(bool(c.get("ready")) and "running" in (c.get("state") or {}) for c in statuses)
    restarts = sum(c.get("restartCount", 0) for c in statuses)
    ends = [((c.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for c in statuses]
    return ready, len(pod["spec"]["containers"]), restarts, max((end for end in ends if end), default=None)


def _condition(pod: Pod, kind: str) -> dict[str, Any]:
    found = (c for c in pod["status"].get("conditions") or () if c.get("type") == kind)
    return next(found, {})


def _age(moment: str, wall: float) -> str:
    """How long ago, as kubectl writes it: ``5m10s``, ``3h``."""
    seconds = max(0, int(wall - datetime.fromisoformat(moment).timestamp()))
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"
