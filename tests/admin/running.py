"""A real admin listener over a real memory store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from proxy.admin.readiness import Readiness
from proxy.admin.server import AdminServer
from proxy.observe.metrics import Metrics
from proxy.stores.memory import MemoryStore
from tests.observe.policies import policy


@dataclass
class Running:
    """The parts, and a client."""

    url: str
    store: MemoryStore
    readiness: Readiness
    metrics: Metrics
    client: aiohttp.ClientSession
    policy: dict[str, object] = field(default_factory=dict)

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body."""
        async with self.client.request(method, self.url + path, headers=headers) as reply:
            return reply.status, await reply.text()


@asynccontextmanager
async def admin(host: str = "127.0.0.1", token: str | None = None) -> AsyncIterator[Running]:
    """An admin listener on a free port, until the end of the block."""
    policies = policy()
    store, readiness = MemoryStore(policies, asyncio.get_running_loop()), Readiness()
    metrics = Metrics(store.view)
    metrics.policy_in_force(policies)
    facts: dict[str, object] = {"digest": policies.digest, "stale": False}
    server = AdminServer(store=store, metrics=metrics.text, readiness=readiness, policy=lambda: facts, token=token)
    _, port = await server.start(host, 0)
    try:
        async with aiohttp.ClientSession() as client:
            yield Running(f"http://127.0.0.1:{port}", store, readiness, metrics, client, facts)
    finally:
        await server.close()
        store.close()
