"""Scenario A3: an agent in a pod, and the handler that attends to it as the report says (problems.md §4).

The handler's waits go by a clock of its own, which a test moves by hand: thirty reclaims take no half hour.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubernetes_asyncio.stream import WsApiClient

from proxy.fakes import FakeKubernetes, KubernetesConfig
from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_model import Pod
from tests.support.pods import NAMESPACE, agent_pod
from tests.support.proxies import Proxy, running

RETRY_WAIT: Final = 60.0
DEADLINE: Final = 1800.0
WARM: Final = "centaur.ai/warm"

POLICY: Final = """
version: 1
upstreams:
  kube:
    url: "%s"
    dialect: kubernetes
    pods: {main_containers: [sandbox, agent], namespaces: ["agents-*"], labels: "centaur.ai/managed=true"}
"""

_FIRST: Final = {"running": "running", "pending": "created", "succeeded": "stopped", "failed": "stopped"}
"""``status_by_id`` of the first generation: phase only."""


@dataclass
class Handler:
    """Attends to agents over one base URL. ``eofs`` counts ends of attaches, ``reclaims`` the waits after them."""

    core: Any
    streams: Any
    clock: Clock
    eofs: int = 0
    reclaims: int = 0
    said: list[bytes] = field(default_factory=list)
    """Every frame that came from an attach, in order."""
    verdict: str = ""

    async def create(self, name: str, *containers: str, **spec: Any) -> None:
        """A new agent's pod."""
        labels = {WARM: "true"} if spec.pop("warm", False) else {}
        await self.core.create_namespaced_pod(NAMESPACE, agent_pod(name, *containers, labels=labels, **spec))

    async def attend(self, name: str) -> None:
        """Attach; at its end look; while the agent seems to run wait and attach again, until the deadline."""
        deadline = self.clock.now() + DEADLINE
        while self.clock.now() < deadline:
            await self._attach(name)
            self.eofs += 1
            status = await self.status(name)
            if status != "running":
                self.verdict = status
                return
            self.reclaims += 1
            await self.clock.sleep(RETRY_WAIT)
        self.verdict = "deadline"

    async def _attach(self, name: str) -> None:
        """Join the agent until its stream ends. One that cannot be joined is as good as at its end."""
        opening = await self.streams.connect_get_namespaced_pod_attach(
            name,
            NAMESPACE,
            container="sandbox",
            stdin=True,
            stdout=True,
            stderr=False,
            tty=False,
            _preload_content=False,
        )
        try:
            async with opening as socket:
                await socket.send_bytes(b"\0hello\n")
                async for message in socket:
                    self.said.append(message.data)
        except aiohttp.WSServerHandshakeError:
            return

    async def exec(self, name: str, *command: str) -> str:
        """What a command in the agent's container says."""
        said: str = await self.streams.connect_get_namespaced_pod_exec(
            name,
            NAMESPACE,
            command=list(command),
            container="sandbox",
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
        )
        return said

    async def pod(self, name: str) -> Any:
        """The pod as the client shows it."""
        return await self.core.read_namespaced_pod(name, NAMESPACE)

    async def status(self, name: str) -> str:
        """``running``, ``created``, ``stopped`` or ``gone``, by the phase alone."""
        try:
            pod = await self.pod(name)
        except ApiException as why:
            if why.status != 404:
                raise
            return "gone"
        return _FIRST[pod.status.phase.lower()]

    async def second_generation(self, name: str) -> str:
        """The successor's mapping: running and not Ready is taken for something that is still coming."""
        pod = await self.pod(name)
        phase = pod.status.phase.lower()
        ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())
        if phase == "running":
            return "Running" if ready else "Created"
        return "Stopped" if phase == "failed" else phase.title()

    async def tidy_warm_pool(self) -> list[str]:
        """Delete the warm agents that do not run; their names."""
        warm = await self.core.list_namespaced_pod(NAMESPACE, label_selector=f"{WARM}=true")
        dead = [pod.metadata.name for pod in warm.items if pod.status.phase != "Running"]
        for name in dead:
            await self.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=5)
        return dead


@dataclass
class Scene:
    """The cluster, and one handler that reaches it, through Headgate or not."""

    cluster: FakeKubernetes
    handler: Handler
    url: str
    proxy: Proxy | None

    def true(self, name: str) -> Pod:
        """The pod as it is stored."""
        return self.cluster.pod(NAMESPACE, name)

    async def ready(self, *names: str) -> None:
        """These pods are Ready."""

        def all_ready() -> bool:
            return all(_is_ready(self.true(name)) for name in names)

        await self.cluster.until(all_ready)

    async def oom_kill(self, name: str, container: str = "sandbox") -> None:
        """The incident."""
        self.cluster.kubelet.oom_kill(NAMESPACE, name, container)


def _is_ready(pod: Pod) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())


@asynccontextmanager
async def scene(clock: Clock, *, proxied: bool) -> AsyncIterator[Scene]:
    """The stage, with everything closed at the end."""
    async with FakeKubernetes(KubernetesConfig()) as cluster:
        if not proxied:
            async with _handler(cluster.url, clock) as handler:
                yield Scene(cluster, handler, cluster.url, None)
            return
        async with running(POLICY % cluster.url) as proxy, _handler(proxy.url, clock) as handler:
            yield Scene(cluster, handler, proxy.url, proxy)


@asynccontextmanager
async def _handler(url: str, clock: Clock) -> AsyncIterator[Handler]:
    configuration = Configuration(host=url)
    async with ApiClient(configuration) as plain, WsApiClient(configuration, heartbeat=30) as streams:
        yield Handler(CoreV1Api(plain), CoreV1Api(streams), clock)
    await asyncio.sleep(0)
