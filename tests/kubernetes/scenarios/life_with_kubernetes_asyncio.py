"""A pod's life with ``kubernetes_asyncio``. Arguments: stage's namespace, own namespace, manifest, level."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from aiohttp import WSServerHandshakeError
from kubernetes_asyncio import client, config
from kubernetes_asyncio.stream import WsApiClient
from kubernetes_asyncio.watch import Watch


async def error(call: Any) -> Any:
    """What a call fails with."""
    try:
        await call
    except (client.ApiException, WSServerHandshakeError) as why:
        return [type(why).__name__, why.status]
    return None


async def reading(pods: Any, stage: str) -> Any:
    """What the pods of the stage look like."""
    dead = await pods.read_namespaced_pod("dead", stage)
    sandbox = next(one for one in dead.status.container_statuses if one.name == "sandbox").state.terminated
    failed = await pods.list_namespaced_pod(stage, field_selector="status.phase=Failed")
    pages = [await pods.list_namespaced_pod(stage, limit=2)]
    while pages[-1].metadata._continue:
        pages.append(await pods.list_namespaced_pod(stage, limit=2, _continue=pages[-1].metadata._continue))
    return {
        "get": [dead.status.phase, dead.status.reason, sandbox.reason, sandbox.exit_code],
        "list": {pod.metadata.name: pod.status.phase for page in pages for pod in page.items},
        "failed": sorted(pod.metadata.name for pod in failed.items),
        "missing": await error(pods.read_namespaced_pod("nobody", stage)),
    }


async def run(sockets: Any, pod: Any, *command: str, read: str = "") -> Any:
    """Exec over WebSocket: standard output, standard error, exit code."""
    container, *words = command
    opening = await sockets.connect_get_namespaced_pod_exec(
        pod.metadata.name,
        pod.metadata.namespace,
        container=container,
        command=words,
        stdin=bool(read),
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    said = {1: b"", 2: b"", 3: b""}
    async with opening as socket:
        if read:
            await socket.send_bytes(b"\0" + read.encode())
        async for message in socket:
            said[message.data[0]] += message.data[1:]
    return [said[1].decode(), said[2].decode(), WsApiClient.parse_error_data(said[3])]


async def order(sockets: Any, pod: Any, line: str) -> None:
    """Have the sandbox do a line of shell."""
    await run(sockets, pod, "sandbox", "sh", "-c", 'printf "%s\\n" "$1" >/orders', "sh", line)


async def streams(pods: Any, sockets: Any, pod: Any) -> Any:
    """Exec and a followed log, while the pod runs; then its sandbox ends with 3."""
    found = {
        "exec": await run(sockets, pod, "sidecar", "sh", "-c", "echo out; echo err >&2; exit 7"),
        "stdin": await run(sockets, pod, "sidecar", "sh", "-c", "read line; echo got $line", read="this\n"),
    }
    await order(sockets, pod, "echo one")
    where = {"container": "sandbox", "follow": True, "_preload_content": False}
    log = await pods.read_namespaced_pod_log(pod.metadata.name, pod.metadata.namespace, **where)
    lines = [await log.content.readline()]
    await order(sockets, pod, "echo two; exit 3")
    lines += [line async for line in log.content]
    found["log"] = [line.decode().rstrip("\n") for line in lines]
    return found


def states(pod: Any) -> Any:
    """How the containers are."""
    return [
        "running" if one.state.running else "terminated" if one.state.terminated else "waiting"
        for one in pod.status.container_statuses or []
    ]


async def living(pods: Any, sockets: Any, own: str, manifest: Any, level: str) -> Any:
    """A pod made, changed, watched to its end, deleted."""
    created = await pods.create_namespaced_pod(own, manifest)
    name = created.metadata.name
    again = await error(pods.create_namespaced_pod(own, manifest))
    patched = await pods.patch_namespaced_pod(name, own, {"metadata": {"labels": {"patched": "yes"}}})
    told: Any = {}
    phases: list[str] = []
    where = {"field_selector": f"metadata.name={name}", "resource_version": created.metadata.resource_version}
    async with Watch().stream(pods.list_namespaced_pod, own, **where) as events:
        async for event in events:
            pod = event["object"]
            phases += [pod.status.phase] if phases[-1:] != [pod.status.phase] else []
            if level == "node" and not told and states(pod) == ["running"] * 2:
                told = await streams(pods, sockets, pod)
            if (level == "control" and "patched" in pod.metadata.labels) or "terminated" in states(pod):
                break
    attach = None
    if level == "node":
        attach = await error(sockets.connect_get_namespaced_pod_attach(name, own, container="sandbox", stdout=True))
    deleted = await pods.delete_namespaced_pod(name, own, grace_period_seconds=0)
    return {
        "created": created.status.phase,
        "again": again,
        "patched": patched.metadata.labels,
        "phases": phases,
        "streams": told,
        "attach": attach,
        "deleted": deleted.status.phase,
        "gone": await error(pods.read_namespaced_pod(name, own)),
    }


async def main(stage: str, own: str, manifest: Any, level: str) -> None:
    """Print all of it."""
    await config.load_kube_config()
    async with client.ApiClient() as api, WsApiClient() as sockets:
        pods: Any = client.CoreV1Api(api)
        told = await reading(pods, stage)
        told |= await living(pods, client.CoreV1Api(sockets), own, manifest, level)
    json.dump(told, sys.stdout)


stage, own, manifest, level = sys.argv[1:]
asyncio.run(main(stage, own, json.loads(Path(manifest).read_text()), level))
