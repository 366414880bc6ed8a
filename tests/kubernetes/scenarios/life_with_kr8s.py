"""A pod's life with ``kr8s``. Arguments: stage's namespace, own namespace, manifest, ``node`` or ``control``."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import kr8s
from kr8s.asyncio.objects import Pod


async def error(call: Any) -> Any:
    """What a call fails with."""
    try:
        await call
    except kr8s.NotFoundError as why:
        return [type(why).__name__, 404]
    except kr8s.ServerError as why:
        return [type(why).__name__, why.response.status_code]
    return None


def sandbox_of(pod: Any) -> Any:
    """The status of the main container."""
    return next(one for one in pod.status.containerStatuses if one.name == "sandbox")


async def reading(api: Any, stage: str) -> Any:
    """What the pods of the stage look like. It reads one pod by a LIST, and all in pages of its own."""
    dead = await Pod.get("dead", namespace=stage, api=api)
    killed = sandbox_of(dead).state.terminated
    listed = [pod async for pod in api.get("pods", namespace=stage)]
    failed = [pod async for pod in api.get("pods", namespace=stage, field_selector="status.phase=Failed")]
    return {
        "get": [dead.status.phase, dead.status.get("reason"), killed.reason, killed.exitCode],
        "list": {pod.name: pod.status.phase for pod in listed},
        "failed": sorted(pod.name for pod in failed),
        "missing": await error(Pod.get("nobody", namespace=stage, api=api)),
    }


async def run(pod: Any, *command: str) -> Any:
    """Exec over WebSocket: standard output, standard error, exit code."""
    container, *words = command
    ran = await pod.exec(words, container=container, check=False)
    return [ran.stdout.decode(), ran.stderr.decode(), ran.returncode]


async def order(pod: Any, line: str) -> None:
    """Have the sandbox do a line of shell."""
    await run(pod, "sandbox", "sh", "-c", 'printf "%s\\n" "$1" >/orders', "sh", line)


async def streams(pod: Any) -> Any:
    """Exec and a followed log, while the pod runs; then its sandbox ends with 3. Its exec has no standard input."""
    found = {"exec": await run(pod, "sidecar", "sh", "-c", "echo out; echo err >&2; exit 7")}
    await order(pod, "echo one")
    lines = pod.logs(container="sandbox", follow=True)
    found["log"] = [await anext(lines)]
    await order(pod, "echo two; exit 3")
    found["log"] += [line async for line in lines]
    return found


def states(pod: Any) -> Any:
    """How the containers are."""
    return [next(iter(one.state)) for one in pod.status.get("containerStatuses", [])]


async def living(api: Any, own: str, manifest: Any, level: str) -> Any:
    """A pod made, changed, watched to its end, deleted."""
    pod = await Pod(manifest, namespace=own, api=api)
    await pod.create()
    created, since = pod.status.phase, pod.metadata.resourceVersion
    again = await error((await Pod(manifest, namespace=own, api=api)).create())
    await pod.patch({"metadata": {"labels": {"patched": "yes"}}})
    told: Any = {}
    phases: list[str] = []
    events = api.watch("pods", namespace=own, field_selector=f"metadata.name={pod.name}", since=since)
    async for _, shown in events:
        phases += [shown.status.phase] if phases[-1:] != [shown.status.phase] else []
        if level == "node" and not told and states(shown) == ["running"] * 2:
            told = await streams(pod)
        if (level == "control" and "patched" in shown.labels) or "terminated" in states(shown):
            break
    await events.aclose()
    await pod.refresh()
    patched, shown = dict(pod.labels), pod.status.phase
    await pod.delete(force=True)
    return {
        "created": created,
        "again": again,
        "patched": patched,
        "phases": phases,
        "streams": told,
        "deleted": shown,
        "gone": await error(pod.refresh()),
    }


async def main(stage: str, own: str, manifest: Any, level: str) -> None:
    """Print all of it."""
    api = await kr8s.asyncio.api()
    told = await reading(api, stage) | await living(api, own, manifest, level)
    json.dump(told, sys.stdout)


stage, own, manifest, level = sys.argv[1:]
asyncio.run(main(stage, own, json.loads(Path(manifest).read_text()), level))
