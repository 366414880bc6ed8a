"""The stage of a run before an API server: callers who create pods, informers, Headgate, the fake, one link between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp import web

from chaos.crowd import Crowd, address
from chaos.faults import POD_SECONDS
from chaos.informer import Informer
from chaos.ledger import HeldClock, Ledger
from chaos.toxics import Link, Toxiproxy
from proxy.fakes import FakeKubernetes
from proxy.fakes.kubernetes_model import Pod
from tests.support.pods import NAMESPACE, PODS, agent_pod
from tests.support.proxies import Proxy, running

MARK: Final = "headgate.dev/PhaseDerived"
INFORMERS: Final = 3
AGENTS: Final = 12
"""Pods that are there before anything happens."""

POLICY: Final = """
version: 1
upstreams: {{kube: {{url: "{kube}", dialect: kubernetes, pods: {{main_containers: [sandbox]}}}}}}
limits: {{creates: {{seats: {seats}, per: upstream}}}}
routes:
  - name: create
    match: {{upstream: kube, operation: create}}
    limits: [creates]
    queue: {{patience: 60s, waiting: {{per_tenant: 1000, total: 1000}}}}
    retry: {{attempts: 4, backoff: 20ms..200ms, budget: 100%}}
  - {{name: rest, match: {{upstream: kube}}}}
"""
"""Retries are allowed generously: what must not be sent twice must not be, however many tries the policy grants."""


class WatchedKubernetes(FakeKubernetes):
    """A fake API server whose creates go through a ledger, and can be held."""

    def __init__(self, ledger: Ledger, held: HeldClock) -> None:
        super().__init__()
        self._ledger = ledger
        self._held = held

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.method != "POST":
            return await super()._answer(request)
        number, status = number_of(await request.read()), None
        self._ledger.arrived(number)
        try:
            await self._held.sleep(POD_SECONDS)
            response = await super()._answer(request)
            status = response.status
            return response
        finally:
            self._ledger.ended(number, status)


@dataclass(slots=True)
class Cluster:
    """Everything that plays a part."""

    kube: WatchedKubernetes
    link: Link
    proxy: Proxy
    ledger: Ledger
    held: HeldClock
    crowd: Crowd
    informers: list[Informer]
    session: aiohttp.ClientSession

    def busy(self) -> int:
        """Headgate's connections to the API server that are not idle; those of the informers' watches too."""
        connections = self.proxy.app.connections
        return connections.open - connections.idle

    def present(self) -> int:
        """Callers that have come: they wait at Headgate, or their create has arrived."""
        return self.proxy.waiting() + len(self.ledger.arrivals)

    def up_to_date(self) -> bool:
        """Whether every informer has seen what happened last."""
        return all(informer.listed and informer.version >= self.kube.store.version for informer in self.informers)

    def changes(self) -> Iterator[None]:
        """What happens to the agents meanwhile, one change at a time: labels, a death, a removal."""
        for turn in range(4):
            for number in range(AGENTS):
                pod = self.kube.store.get(NAMESPACE, f"agent-{number}")
                if turn == 1 and number % 3 == 0:
                    self.kube.kubelet.oom_kill(NAMESPACE, f"agent-{number}", "sandbox")
                elif turn == 3 and number % 4 == 0:
                    self.kube.store.remove((NAMESPACE, f"agent-{number}"))
                else:
                    labels = pod["metadata"]["labels"] | {"turn": str(turn)}
                    metadata = pod["metadata"] | {"labels": labels}
                    self.kube.store.replace(pod | {"metadata": metadata})
                yield

    async def get(self, target: str) -> tuple[int, Any]:
        """A GET through Headgate: status and document."""
        async with self.session.get(self.proxy.url + target) as reply:
            return reply.status, await reply.json(content_type=None)

    async def delete(self, name: str) -> int:
        """A DELETE through Headgate."""
        async with self.session.delete(f"{self.proxy.url}{PODS}/{name}") as reply:
            return reply.status

    def denied(self) -> list[int]:
        """Callers who were told that their create was not processed, while it had arrived."""
        told = (number for number, caller in self.crowd.callers.items() if caller.outcome == "503")
        return sorted(number for number in told if self.ledger.arrivals[number] > self.ledger.refused[number])

    def mixed_up(self) -> list[int]:
        """Callers who were given a pod that is not theirs, or that is not there."""
        made = set(self.kube.seen.created)
        given = ((n, c) for n, c in self.crowd.callers.items() if c.outcome == "201")
        names = ((number, json.loads(caller.body)["metadata"]["name"]) for number, caller in given)
        return sorted(n for n, name in names if name != _name(n) or f"{NAMESPACE}/{name}" not in made)


def number_of(body: bytes) -> int:
    """Whose create this is."""
    said: Any = json.loads(body)
    return int(said["metadata"]["name"].rpartition("-")[2])


def _name(number: int) -> str:
    return f"new-{number}"


def _create(base: str, number: int) -> bytes:
    body = json.dumps(agent_pod(_name(number))).encode()
    head = (
        f"POST {base}{PODS} HTTP/1.1\r\nHost: headgate\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


def told_truth(pod: Pod) -> str:
    """The phase that Headgate must tell of a pod: these never restart, so what has ended stays so."""
    phase = str(pod["status"].get("phase"))
    states = {c["name"]: c["state"] for c in pod["status"].get("containerStatuses") or ()}
    ended = states.get("sandbox", {}).get("terminated")
    if ended is None or phase not in ("Running", "Pending"):
        return phase
    return "Failed" if ended["exitCode"] else "Succeeded"


@asynccontextmanager
async def cluster(server: Toxiproxy, *, seats: int, cap: int) -> AsyncIterator[Cluster]:
    """Set it up: agents ready, informers watching, creates held at the fake. Cleared away at the end."""
    crowd, held = Crowd(_create), HeldClock()
    ledger = Ledger(cap, crowd.ended)
    kube = WatchedKubernetes(ledger, held)
    async with kube, aiohttp.ClientSession() as session:
        for number in range(AGENTS):
            body = agent_pod(f"agent-{number}")
            kube.store.add(_stored(body, number))
        await kube.until(lambda: all(_ready(pod) for pod in kube.store))
        with server.between("api", *address(kube.url)) as link:
            async with running(POLICY.format(kube=f"http://{link.host}:{link.port}", seats=seats)) as proxy:
                informers = [Informer(proxy.url) for _ in range(INFORMERS)]
                try:
                    yield Cluster(kube, link, proxy, ledger, held, crowd, informers, session)
                finally:
                    for informer in informers:
                        await informer.stop()
                    crowd.leave()


def _stored(body: dict[str, Any], number: int) -> Pod:
    """A pod as a create stores it."""
    metadata = body["metadata"] | {"namespace": NAMESPACE, "uid": f"agent-{number}", "generation": 1}
    return body | {"metadata": metadata, "status": {"phase": "Pending"}}


def _ready(pod: Pod) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
