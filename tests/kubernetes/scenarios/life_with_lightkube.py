"""A pod's life with ``lightkube``. Arguments: stage's namespace, own namespace, manifest, ``node`` or ``control``."""

import json
import sys
import threading
from pathlib import Path
from typing import Any

from lightkube import ApiError, Client
from lightkube.resources.core_v1 import Pod

client = Client()


def error(act: Any) -> Any:
    """What a call fails with."""
    try:
        act()
    except ApiError as why:
        return [type(why).__name__, why.status.code]
    return None


def reading(stage: str) -> Any:
    """What the pods of the stage look like. It pages by itself."""
    dead = client.get(Pod, "dead", namespace=stage)
    sandbox = next(one for one in dead.status.containerStatuses if one.name == "sandbox").state.terminated
    listed = client.list(Pod, namespace=stage, chunk_size=2)
    failed = client.list(Pod, namespace=stage, fields={"status.phase": "Failed"})
    return {
        "get": [dead.status.phase, dead.status.reason, sandbox.reason, sandbox.exitCode],
        "list": {pod.metadata.name: pod.status.phase for pod in listed},
        "failed": sorted(pod.metadata.name for pod in failed),
        "missing": error(lambda: client.get(Pod, "nobody", namespace=stage)),
    }


def run(pod: Any, *command: str, read: str | None = None) -> Any:
    """Exec over WebSocket: standard output, standard error, exit code.

    httpx2 leaves a thread behind that still reads from the closed connection's descriptor. The next connection gets the
    same number, and loses the beginning of its TLS handshake to that thread: so its end is waited for.
    """
    container, *words = command
    where = {"namespace": pod.metadata.namespace, "container": container}
    ran = client.exec(pod.metadata.name, command=words, stdin=read, stdout=True, stderr=True, **where)
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join()
    return [ran.stdout, ran.stderr, ran.exit_code]


def order(pod: Any, line: str) -> None:
    """Have the sandbox do a line of shell."""
    run(pod, "sandbox", "sh", "-c", 'printf "%s\\n" "$1" >/orders', "sh", line)


def streams(pod: Any) -> Any:
    """Exec and a followed log, while the pod runs; then its sandbox ends with 3."""
    found = {
        "exec": run(pod, "sidecar", "sh", "-c", "echo out; echo err >&2; exit 7"),
        "stdin": run(pod, "sidecar", "cat", read="this\n"),
    }
    order(pod, "echo one")
    where = {"namespace": pod.metadata.namespace, "container": "sandbox"}
    lines = iter(client.log(pod.metadata.name, follow=True, newlines=False, **where))
    found["log"] = [next(lines)]
    order(pod, "echo two; exit 3")
    found["log"] += list(lines)
    return found


def states(pod: Any) -> Any:
    """How the containers are."""
    return [
        "running" if one.state.running else "terminated" if one.state.terminated else "waiting"
        for one in pod.status.containerStatuses or []
    ]


def living(own: str, manifest: Any, level: str) -> Any:
    """A pod made, changed, watched to its end, deleted."""
    wanted = Pod.from_dict(manifest)
    created = client.create(wanted, namespace=own)
    name, since = created.metadata.name, created.metadata.resourceVersion
    again = error(lambda: client.create(wanted, namespace=own))
    patched = client.patch(Pod, name, {"metadata": {"labels": {"patched": "yes"}}}, namespace=own)
    told: Any = {}
    phases: list[str] = []
    for _, pod in client.watch(Pod, namespace=own, fields={"metadata.name": name}, resource_version=since):
        phases += [pod.status.phase] if phases[-1:] != [pod.status.phase] else []
        if level == "node" and not told and states(pod) == ["running"] * 2:
            told = streams(pod)
        if (level == "control" and "patched" in pod.metadata.labels) or "terminated" in states(pod):
            break
    shown = client.get(Pod, name, namespace=own).status.phase
    client.delete(Pod, name, namespace=own, grace_period=0)
    return {
        "created": created.status.phase,
        "again": again,
        "patched": patched.metadata.labels,
        "phases": phases,
        "streams": told,
        "deleted": shown,
        "gone": error(lambda: client.get(Pod, name, namespace=own)),
    }


def main(stage: str, own: str, manifest: str, level: str) -> None:
    """Print all of it."""
    told = reading(stage) | living(own, json.loads(Path(manifest).read_text()), level)
    json.dump(told, sys.stdout)


main(*sys.argv[1:])
