"""A watch of pods with the moment at which each event arrives, read in the background."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.cluster.pods import Json, state_of
from tests.kubernetes.front import Way
from tests.support.pods import Stream
from tests.support.waiting import turns, until


@dataclass(frozen=True, slots=True)
class Seen:
    """One event; ``at`` is when it came, by the loop's clock."""

    at: float
    kind: str
    pod: Json

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def phase(self) -> str:
        """What the event says of its pod."""
        return str(self.pod["status"]["phase"])

    @property
    def version(self) -> str:
        """The pod's resourceVersion."""
        return str(self.pod["metadata"]["resourceVersion"])

    def state(self, container: str) -> str:
        """running, waiting or terminated."""
        return state_of(self.pod, container)[0]


@dataclass
class Watch:
    """What has come so far, without bookmarks."""

    events: list[Seen] = field(default_factory=list)

    @property
    def phases(self) -> list[str]:
        """Of all events, without repetition."""
        told = [event.phase for event in self.events]
        return [phase for at, phase in enumerate(told) if at == 0 or told[at - 1] != phase]

    @property
    def kinds(self) -> list[tuple[str, str]]:
        """Each event's type and pod."""
        return [(event.kind, event.name) for event in self.events]

    async def first(self, holds: Callable[[Seen], object], what: str = "") -> Seen:
        """The first event that is so, once it has come."""
        await until(lambda: any(holds(event) for event in self.events), what or "such an event")
        return next(event for event in self.events if holds(event))

    async def version(self, version: str) -> Seen:
        """The event of this resourceVersion."""
        return await self.first(lambda event: event.version == version, f"version {version}")

    async def read(self, stream: Stream) -> None:
        """Keep events as they come, until there are no more."""
        loop = asyncio.get_running_loop()
        while line := await stream.line():
            event: dict[str, Any] = json.loads(line)
            assert event["type"] != "ERROR", event
            if event["type"] != "BOOKMARK":
                self.events.append(Seen(loop.time(), event["type"], event["object"]))


@asynccontextmanager
async def watching(way: Way, namespace: str, **parameters: str) -> AsyncIterator[Watch]:
    """An open watch of the pods in a namespace, from its first event on; parameters as the API names them."""
    watch = Watch()
    context = ssl.create_default_context(cafile=str(way.authority))
    url = f"{way.server}/api/v1/namespaces/{namespace}/pods"
    headers = {"Authorization": f"Bearer {way.api.token}", "Accept": "application/json"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None), headers=headers) as session,
        session.get(url, params={"watch": "true", **parameters}, ssl=context) as reply,
    ):
        assert reply.status == 200, await reply.text()
        reading = asyncio.ensure_future(watch.read(Stream(reply)))
        try:
            yield watch
        finally:
            reading.cancel()
            result = (await asyncio.gather(reading, return_exceptions=True))[0]
            if reply.connection is not None and reply.connection.transport is not None:
                reply.connection.transport.abort()  # TLS's farewell would outlast the test's loop
                await turns(3)
        if isinstance(result, Exception):
            raise result
