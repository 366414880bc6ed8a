"""The admin listener (design.md §2.11): health, metrics, what is held and who waits, ending a ticket.

Never on the data port. Binds to loopback unless told otherwise; elsewhere all but the probes and metrics wants a
token. Secrets are not known here: the store knows credentials by salted hashes only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from proxy import __version__
from proxy.admin.guard import closed_guard, is_loopback, loopback_guard, token_guard
from proxy.admin.readiness import Readiness
from proxy.admin.state import State
from proxy.domain.ids import TicketId
from proxy.ports import Store

USUAL_TICKETS: Final = 1000
MOST_TICKETS: Final = 10_000
"""As many tickets a state lists by itself, and with ``?tickets=`` at most."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class AdminServer:
    """Its life is :meth:`start`, then :meth:`close`."""

    def __init__(
        self,
        *,
        store: Store,
        metrics: Callable[[str], tuple[bytes, str]],
        readiness: Readiness,
        policy: Callable[[], Mapping[str, object]],
        token: str | None = None,
    ) -> None:
        """``metrics`` gives text and content type for an Accept header; ``policy`` says ``digest`` and ``stale``.

        ``token`` is wanted off loopback only.
        """
        self._store = store
        self._text = metrics
        self._readiness = readiness
        self._policy = policy
        self._token = (token or "").strip()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Bind, and say where. OSError where the address is taken or not ours."""
        runner = web.AppRunner(
            self._application(self._guard(host)), access_log=None, handle_signals=False, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host.strip("[]"), port).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        bound = runner.addresses[0]
        return str(bound[0]), int(bound[1])

    async def close(self) -> None:
        """Stop listening and end what is under way. Does nothing where nothing was started."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def _guard(self, host: str) -> Middleware:
        if is_loopback(host):
            return loopback_guard()
        return token_guard(self._token) if self._token else closed_guard()

    def _application(self, guard: Middleware) -> web.Application:
        application = web.Application(middlewares=[guard], client_max_size=1024)
        application.on_response_prepare.append(_mark)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/api/v1/state", self._state)
        application.router.add_delete("/api/v1/tickets/{ticket}", self._evict)
        return application

    async def _health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        if self._readiness.is_ready:
            return web.Response(text="ready\n")
        return web.Response(status=503, text=", ".join(self._readiness.reasons) + "\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._text(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _state(self, request: web.Request) -> web.Response:
        asked = request.query.get("tickets", str(USUAL_TICKETS))
        if not (asked.isascii() and asked.isdigit() and len(asked) < 9 and int(asked) <= MOST_TICKETS):
            return web.Response(status=400, text=f"tickets is a number up to {MOST_TICKETS}\n")
        return web.Response(body=msgspec.json.encode(self._snapshot(int(asked))), content_type="application/json")

    def _snapshot(self, tickets: int) -> State:
        view = self._store.view(tickets)
        parts = {
            "limits": view.limits,
            "queues": view.queues,
            "tickets": view.tickets,
            "policy": self._policy(),
            "version": __version__,
            "mode": self._readiness.mode,
        }
        return msgspec.convert(msgspec.to_builtins(parts), State)

    async def _evict(self, request: web.Request) -> web.Response:
        if self._store.evict(TicketId(request.match_info["ticket"])):
            return web.Response(status=204)
        return web.Response(status=404, text="no such ticket waits or lingers\n")


async def _mark(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
