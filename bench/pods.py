"""Pods as documents: of agents that live, have had an init container, or are dead; 5 kB each."""

from typing import Any, Final

KINDS: Final = ("live", "init", "dead")
"""Nothing in the pod has ended; an init container has, as in many pods, and nothing is to be told; the main has."""
_NOW: Final = "2026-11-21T09:30:00Z"


def pod(kind: str, number: int) -> dict[str, Any]:
    """An agent's pod with two containers, as a list shows it."""
    name = f"agent-{number:05d}"
    metadata = {
        "name": name,
        "namespace": f"agents-{kind}",
        "uid": f"3e9a0c1e-7c1b-4f6e-9b7d-{number:012d}",
        "resourceVersion": str(800_000 + number),
        "generation": 1,
        "creationTimestamp": _NOW,
        "labels": {"centaur.ai/managed": "true", "centaur.ai/sandbox-id": name, "centaur.ai/harness": "codex"},
        "annotations": {"centaur.ai/thread-key": f"thread/{number}", "note": "step <1> & 2 of the plan, " * 20},
        "managedFields": [_managed("handler", "f:spec"), _managed("kubelet", "f:status")],
    }
    containers = [_container("sandbox", number), _container("tool-server", number)]
    spec: dict[str, Any] = {
        "volumes": [{"name": "work", "emptyDir": {"sizeLimit": "8Gi"}}],
        "containers": containers,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "agent",
        "nodeName": f"node-{number % 40}",
        "schedulerName": "default-scheduler",
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
    }
    if kind == "init":
        spec["initContainers"] = [_container("setup", number)]
    return {"metadata": metadata, "spec": spec, "status": _status(kind, number)}


def _managed(manager: str, field: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        f'k:{{"name":"{name}"}}': {".": {}, "f:image": {}, "f:resources": {}} for name in ("sandbox", "tools")
    }
    known = {field: {"f:containers": fields, "f:restartPolicy": {}, "f:conditions": {'k:{"type":"Ready"}': {}}}}
    told = {"manager": manager, "operation": "Update", "apiVersion": "v1", "time": _NOW}
    return told | {"fieldsType": "FieldsV1", "fieldsV1": known}


def _container(name: str, number: int) -> dict[str, Any]:
    env = [{"name": f"VARIABLE_{n}", "value": f"a value of some length {number}"} for n in range(6)]
    return {
        "name": name,
        "image": f"registry.local/{name}@sha256:{number:064x}",
        "env": env,
        "resources": {"limits": {"cpu": "2", "memory": "4Gi"}, "requests": {"cpu": "500m", "memory": "1Gi"}},
        "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "imagePullPolicy": "IfNotPresent",
    }


def _status(kind: str, number: int) -> dict[str, Any]:
    ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": _NOW, "finishedAt": _NOW}
    setup = {"terminated": ended | {"exitCode": 0, "reason": "Completed"}}
    runs = {"running": {"startedAt": _NOW}}
    ready = "False" if kind == "dead" else "True"
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    conditions = [
        {
            "type": one,
            "observedGeneration": 1,
            "status": ready if one.endswith("Ready") else "True",
            "lastProbeTime": None,
            "lastTransitionTime": _NOW,
        }
        for one in kinds
    ]
    main = {"terminated": ended} if kind == "dead" else runs
    status = {
        "observedGeneration": 1,
        "phase": "Running",
        "conditions": conditions,
        "hostIP": "10.0.0.1",
        "podIP": f"10.1.{number // 250}.{number % 250}",
        "startTime": _NOW,
        "containerStatuses": [_reported("sandbox", main, number), _reported("tool-server", runs, number)],
        "qosClass": "Burstable",
    }
    if kind == "init":
        status["initContainerStatuses"] = [_reported("setup", setup, number)]
    return status


def _reported(name: str, state: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "lastState": {},
        "ready": "running" in state,
        "restartCount": 0,
        "image": f"registry.local/{name}:1",
        "imageID": f"registry.local/{name}@sha256:{number:064x}",
        "containerID": f"containerd://{number:064x}",
        "started": "running" in state,
    }
