"""A pod's life with ``kubernetes``. Arguments: stage's namespace, own namespace, manifest, ``node`` or ``control``."""

import json
import sys
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.stream import stream
from kubernetes.watch import Watch

config.load_kube_config()
pods = client.CoreV1Api()


def error(act: Any) -> Any:
    """What a call fails with."""
    try:
        act()
    except client.ApiException as why:
        return [type(why).__name__, why.status]
    return None


def reading(stage: str) -> Any:
    """What the pods of the stage look like."""
    dead = pods.read_namespaced_pod("dead", stage)
    sandbox = next(one for one in dead.status.container_statuses if one.name == "sandbox").state.terminated
    failed = pods.list_namespaced_pod(stage, field_selector="status.phase=Failed")
    pages = [pods.list_namespaced_pod(stage, limit=2)]
    while pages[-1].metadata._continue:
        pages.append(pods.list_namespaced_pod(stage, limit=2, _continue=pages[-1].metadata._continue))
    return {
        "get": [dead.status.phase, dead.status.reason, sandbox.reason, sandbox.exit_code],
        "list": {pod.metadata.name: pod.status.phase for page in pages for pod in page.items},
        "failed": sorted(pod.metadata.name for pod in failed.items),
        "missing": error(lambda: pods.read_namespaced_pod("nobody", stage)),
    }


def run(pod: Any, *command: str, read: str = "") -> Any:
    """Exec in the sidecar, over WebSocket: standard output, standard error, exit code."""
    container, *words = command
    opened = stream(
        pods.connect_get_namespaced_pod_exec,
        pod.metadata.name,
        pod.metadata.namespace,
        container=container,
        command=words,
        stdin=bool(read),
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    if read:
        opened.write_stdin(read)
    opened.run_forever(timeout=60)
    return [opened.read_stdout() or "", opened.read_stderr() or "", opened.returncode]


def order(pod: Any, line: str) -> None:
    """Have the sandbox do a line of shell."""
    run(pod, "sandbox", "sh", "-c", 'printf "%s\\n" "$1" >/orders', "sh", line)


def streams(pod: Any) -> Any:
    """Exec and a followed log, while the pod runs; then its sandbox ends with 3."""
    found = {
        "exec": run(pod, "sidecar", "sh", "-c", "echo out; echo err >&2; exit 7"),
        "stdin": run(pod, "sidecar", "sh", "-c", "read line; echo got $line", read="this\n"),
    }
    order(pod, "echo one")
    log = pods.read_namespaced_pod_log
    where = {"container": "sandbox", "follow": True}
    lines = Watch().stream(log, pod.metadata.name, pod.metadata.namespace, **where)
    found["log"] = [next(lines)]
    order(pod, "echo two; exit 3")
    found["log"] += list(lines)
    return found


def attach_to_the_dead(name: str, namespace: str) -> Any:
    """What an attach to a container that has ended says: its error comes within the WebSocket."""
    where = {"container": "sandbox", "stdout": True, "_preload_content": False}
    opened = stream(pods.connect_get_namespaced_pod_attach, name, namespace, **where)
    opened.run_forever(timeout=60)
    status = json.loads(opened.read_channel(3))
    return [status["reason"], status["code"]]


def states(pod: Any) -> Any:
    """How the containers are."""
    return [
        "running" if one.state.running else "terminated" if one.state.terminated else "waiting"
        for one in pod.status.container_statuses or []
    ]


def living(own: str, manifest: Any, level: str) -> Any:
    """A pod made, changed, watched to its end, deleted."""
    created = pods.create_namespaced_pod(own, manifest)
    name = created.metadata.name
    again = error(lambda: pods.create_namespaced_pod(own, manifest))
    patched = pods.patch_namespaced_pod(name, own, {"metadata": {"labels": {"patched": "yes"}}})
    told: Any = {}
    phases: list[str] = []
    watch = Watch()
    where = {"field_selector": f"metadata.name={name}", "resource_version": created.metadata.resource_version}
    for event in watch.stream(pods.list_namespaced_pod, own, **where):
        pod = event["object"]
        phases += [pod.status.phase] if phases[-1:] != [pod.status.phase] else []
        if level == "node" and not told and states(pod) == ["running"] * 2:
            told = streams(pod)
        if (level == "control" and pod.metadata.labels.get("patched")) or "terminated" in states(pod):
            watch.stop()
    attach = attach_to_the_dead(name, own) if level == "node" else None
    deleted = pods.delete_namespaced_pod(name, own, grace_period_seconds=0)
    return {
        "created": created.status.phase,
        "again": again,
        "patched": patched.metadata.labels,
        "phases": phases,
        "streams": told,
        "attach": attach,
        "deleted": deleted.status.phase,
        "gone": error(lambda: pods.read_namespaced_pod(name, own)),
    }


def main(stage: str, own: str, manifest: str, level: str) -> None:
    """Print all of it."""
    told = reading(stage) | living(own, json.loads(Path(manifest).read_text()), level)
    json.dump(told, sys.stdout)


main(*sys.argv[1:])
