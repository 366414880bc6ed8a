"""A fake E2B: control plane and data plane on two ports of loopback.

It behaves as the open-source service and the published limits say, traps included, and it remembers what it
saw. ``headgate demo`` runs against it, and so do the tests. It is no emulator: commands are a dozen words of
shell, files live in memory.

    async with FakeE2B(E2BConfig(max_creating=4, create_seconds=2)) as fake:
        ...  # E2B_API_URL=fake.url, E2B_SANDBOX_URL=fake.sandbox_url
        assert fake.seen.max_creating <= 4
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.e2b_api import Api
from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.e2b_door import Door
from proxy.fakes.e2b_envd import Envd
from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_fleet import Fleet
from proxy.fakes.e2b_seen import Seen
from proxy.fakes.e2b_start import Starter
from proxy.fakes.server import FakeServer, Reply

LARGEST_BODY: Final = 16 << 20  # bytes; the real API refuses larger ones
LARGEST_FILE: Final = 8 << 30  # bytes; files are kept in memory


class FakeE2B(FakeServer):
    """The server. ``url`` and ``sandbox_url`` are set while it is open."""

    def __init__(
        self,
        config: E2BConfig | None = None,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        sandbox_port: int = 0,
    ) -> None:
        super().__init__(clock)
        self.config = config or E2BConfig()
        self._where = (host, port, sandbox_port)
        self.url = self.sandbox_url = ""
        self._fresh()

    def _fresh(self) -> None:
        self.seen = Seen()
        self.fleet = Fleet(self.config)
        self._starter = Starter(self.config, self.clock, self.fleet, self.seen, self.run_aside)
        self._door = Door(self.config, self.clock, self.fleet, self.seen, self.notice)
        self._api = Api(self.config, self.clock, self.fleet, self.seen, self._starter)
        self._envd = Envd(self)

    @property
    def starter(self) -> Starter:
        """What starts sandboxes; the data plane wakes paused ones with it."""
        return self._starter

    async def __aenter__(self) -> FakeE2B:
        host, port, sandbox_port = self._where
        self.url = await self.serve(self._control_plane(), host, port)
        self.sandbox_url = await self.serve(self._data_plane(), host, sandbox_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def next_due(self) -> float | None:
        """When a sandbox will next end or change by itself, on the fake's clock."""
        due = self.fleet.next_due()
        return None if due == float("inf") else self.clock.now() + max(0.0, due - self.clock.wall())

    def settle(self) -> None:
        """Let what is due happen now, as any request would."""
        self.fleet.settle(self.clock.wall())

    def live(self, team: str | None = None) -> list[str]:
        """Ids of the sandboxes that run now."""
        self.settle()
        return [s.id for s in self.fleet if s.state.value == "running" and team in (None, s.team)]

    def state(self) -> dict[str, Any]:
        """Everything observed and everything that lives, as JSON."""
        self.settle()
        sandboxes = [s.listed() | {"team": s.team, "state": s.state.value} for s in self.fleet]
        return self.seen.document() | {
            "now": self.clock.now(),
            "sandboxes": sandboxes,
            "live": sum(s["state"] == "running" for s in sandboxes),
            "pending": self.fleet.pending(self.clock.wall()),
            "created": self.fleet.created,
        }

    async def reset(self) -> None:
        """Forget everything, scripted faults that have happened too; what was under way is cancelled."""
        await self.cancel_tasks()
        self._fresh()

    def _control_plane(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/health", _alive)
        app.router.add_get("/_fake/state", self._state)
        app.router.add_post("/_fake/reset", self._reset)
        for number, (method, path, _, _) in enumerate(self._api.routes()):
            for prefix in ("", "/v2"):
                app.router.add_route(method, prefix + path, self._numbered(number))
        app.router.add_route("*", "/{rest:.*}", _no_route)
        return app

    def _numbered(self, number: int) -> Any:
        """A route that survives ``reset``: it looks its handler up in the table of the day."""

        async def handle(request: web.Request) -> web.StreamResponse:
            _, _, operation, handler = self._api.routes()[number]
            return await self._door.route(operation, handler)(request)

        return handle

    def _data_plane(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_FILE)

        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._envd.answer(request)

        app.router.add_route("*", "/{rest:.*}", handle)
        return app

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state())

    async def _reset(self, request: web.Request) -> web.Response:
        await self.reset()
        return web.Response(status=204)


async def _alive(request: web.Request) -> web.Response:
    return web.Response(status=204)


async def _no_route(request: web.Request) -> web.Response:
    reply: Reply = error(404, "no matching operation was found")
    return reply.response()
