"""A pod in a running cluster: made, told what to do, and watched at the API server itself, past any proxy."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.cluster.api import MERGE
from tests.cluster.images import ORDERS
from tests.cluster.pods import NOWHERE, OOM, Json, incident, state_of, status, terminated
from tests.cluster.programs import Level
from tests.cluster.running import Cluster
from tests.support.waiting import WITHIN

LOOK: Final = 0.05
_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. Every method is a coroutine that leaves the loop free for a proxy that runs on it."""

    cluster: Cluster
    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"

    async def read(self) -> Json:
        """The pod as the API server has it now."""
        found: Json = await asyncio.to_thread(self.cluster.api.get, self.path)
        return found

    async def until(self, holds: Callable[[Json], object], what: str = "") -> Json:
        """The pod once it is so; AssertionError with its status where it does not come to that."""
        loop = asyncio.get_running_loop()
        end = loop.time() + WITHIN
        while not holds(pod := await self.read()):
            assert loop.time() < end, f"it did not come to this: {what or holds}: {pod['status']}"
            await asyncio.sleep(LOOK)
        return pod

    async def until_running(self) -> Json:
        """The pod once all its containers run."""

        def all_run(pod: Json) -> bool:
            return all(state_of(pod, one["name"])[0] == "running" for one in pod["spec"]["containers"])

        return await self.until(all_run, "all containers run")

    async def until_terminated(self, container: str) -> Json:
        """The details of how a container has ended, once it has."""
        pod = await self.until(lambda pod: state_of(pod, container)[0] == "terminated", f"{container} has ended")
        return state_of(pod, container)[1]

    async def patch_status(self, new: Json) -> Json:
        """Write a status, as a kubelet does."""
        patch = self.cluster.api.patch
        written: Json = await asyncio.to_thread(patch, f"{self.path}/status", {"status": new}, MERGE)
        return written

    async def do(self, container: str, *command: str) -> str:
        """What a command in a container prints; AssertionError when it fails."""
        return await self.cluster.kubectl.good(*self._exec(container), *command)

    async def order(self, container: str, line: str) -> None:
        """Have an obedient container do a line of shell (``exit 3``, ``echo hello``), after those it was given before.

        Returns when the order is given, which is before it is done.
        """
        write = f'printf "%s\\n" "$1" >{ORDERS}'
        said = await self.cluster.kubectl(*self._exec(container), "sh", "-c", write, "sh", line)
        if said.code != 0:  # whoever brings the order to die may die of it too
            await self.until(lambda pod: state_of(pod, container)[0] == "terminated", f"{line!r} is done: {said.err}")

    def _exec(self, container: str) -> tuple[str, ...]:
        return ("exec", "-n", self.namespace, self.name, "-c", container, "--")

    async def run_out_of_memory(self) -> Json:
        """``sandbox`` is OOMKilled: truly on a node, else by a status that says so. How it ended."""
        if self.cluster.level is Level.NODE:
            await self.order("sandbox", OOM)
        else:
            killed = terminated(137, "OOMKilled")
            await self.patch_status(status(await self.read(), sandbox=killed))
        return await self.until_terminated("sandbox")

    async def delete(self, *, grace: int = 0) -> None:
        """Delete it; with ``grace`` 0 it is gone from the API at once."""
        await asyncio.to_thread(lambda: self.cluster.api.delete(self.path, grace=grace))


async def create(cluster: Cluster, namespace: str, wanted: Json) -> Pod:
    """Create a pod; returns when the API server has it."""
    made: Any = await asyncio.to_thread(cluster.api.post, f"/api/v1/namespaces/{namespace}/pods", wanted)
    return Pod(cluster, namespace, made["metadata"]["name"])


async def running_incident(cluster: Cluster, namespace: str, name: str | None = None, **spec: Any) -> Pod:
    """The pod of the incident before it happens: both containers run, or, without a node, are said to."""
    name = name or f"incident-{next(_names)}"
    if cluster.level is Level.NODE:
        made = await create(cluster, namespace, incident(name, **spec))
        await made.until_running()
    else:
        made = await create(cluster, namespace, incident(name, node=NOWHERE, **spec))
        await made.patch_status(status(await made.read()))
    return made
