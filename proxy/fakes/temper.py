"""A fake Temper: jobs, sessions and files as state machines with liveness timers, over OData on loopback.

async with FakeTemper(TemperConfig(timer_scale=0.01)) as fake:
    job = fake.job("acme", running=True)        # its timer runs out in 18 s, unless progress is recorded
    ...                                          # POST {fake.url}/tdata/CurationJobs('job-1')/...
    assert not fake.world.fired
"""

from __future__ import annotations

import math
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.server import FakeServer
from proxy.fakes.temper_api import Api
from proxy.fakes.temper_config import TemperConfig
from proxy.fakes.temper_model import Entity
from proxy.fakes.temper_world import ActionCall, Fired, World

LARGEST_FILE: Final = 1 << 30  # bytes; files are kept in memory


class FakeTemper(FakeServer):
    """The server. ``url`` is set while it is open; ``world`` is what there is and what happened."""

    def __init__(
        self,
        config: TemperConfig | None = None,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock)
        self.config = config or TemperConfig()
        self._where = (host, port)
        self.url = ""
        self._fresh()

    def _fresh(self) -> None:
        self.world = World(self.config)
        self._api = Api(self.config, self.clock, self.world, self.notice)

    async def __aenter__(self) -> FakeTemper:
        app = web.Application(client_max_size=LARGEST_FILE)
        app.router.add_get("/_fake/state", self._state)
        app.router.add_post("/_fake/reset", self._reset)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self.url = await self.serve(app, *self._where)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def next_due(self) -> float | None:
        """When the next liveness timer fires, on the fake's clock."""
        due = self.world.next_due()
        return None if due == math.inf else due

    def settle(self) -> None:
        """Fire the timers that are due now, as any request would."""
        self.world.settle(self.clock.now())

    def job(self, tenant: str = "default", *, running: bool = False, id: str = "") -> Entity:
        """A new CurationJob, ``Queued`` or already ``Running``."""
        job = self.world.create(tenant, "CurationJobs", {}, self.clock.now(), id)
        if running:
            self.world.dispatch(job, "Start", {}, self.clock.now())
        return job

    def session(self, tenant: str = "default", *, provisioning: bool = False, id: str = "") -> Entity:
        """A new Session, ``Created`` or already ``Provisioning``."""
        session = self.world.create(tenant, "Sessions", {}, self.clock.now(), id)
        if provisioning:
            self.world.dispatch(session, "Configure", {}, self.clock.now())
        return session

    def calls(self, action: str = "RecordProgress", id: str | None = None) -> list[ActionCall]:
        """The calls of one action, of one entity or of all."""
        return [c for c in self.world.calls if c.action == action and id in (None, c.id)]

    def timers_fired(self) -> list[Fired]:
        """Every liveness timer that has run out by now."""
        self.settle()
        return self.world.fired

    def state(self) -> dict[str, Any]:
        """Everything there is and everything observed, as JSON."""
        self.settle()
        world = self.world
        return {
            "now": self.clock.now(),
            "entities": [e.document() | {"tenant": e.tenant} for e in world.entities.values()],
            "calls": [asdict(call) for call in world.calls],
            "fired": [asdict(fired) for fired in world.fired],
            "killed": world.killed,
            "versions": {name: len(versions) for name, versions in world.versions.items()},
            "exhausted": world.exhausted,
        }

    async def _answer(self, request: web.Request) -> web.Response:
        return await self._api.answer(request)

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state())

    async def _reset(self, request: web.Request) -> web.Response:
        await self.cancel_tasks()
        self._fresh()
        return web.Response(status=204)
