"""The fake E2B's control plane: routes, and the handlers that do not start sandboxes.

Every handler takes an ``Ask`` and returns a ``Reply`` or raises ``Refused``. What happens before a handler is
``e2b_gate`` and ``e2b_door``; what takes a place is ``e2b_start``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from proxy.fakes import e2b_list
from proxy.fakes.clock import Clock
from proxy.fakes.e2b_ask import Ask
from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_fleet import Fleet
from proxy.fakes.e2b_model import Sandbox, State, stamp
from proxy.fakes.e2b_seen import Seen
from proxy.fakes.e2b_start import Starter
from proxy.fakes.server import Refused, Reply

Handler = Callable[[Ask], Awaitable[Reply]]
LONGEST_REFRESH: Final = 3600  # seconds


class Api:
    """The handlers. ``routes`` says which of them answers what."""

    def __init__(self, config: E2BConfig, clock: Clock, fleet: Fleet, seen: Seen, starter: Starter) -> None:
        self._config, self._clock, self._fleet, self._seen = config, clock, fleet, seen
        self._starter = starter
        self._snapshots: list[dict[str, Any]] = []

    def routes(self) -> list[tuple[str, str, str, Handler]]:
        """Method, path below ``/`` and below ``/v2``, operation, handler."""
        one = "/sandboxes/{id}"
        return [
            ("POST", "/sandboxes", "create", self._starter.create),
            ("GET", "/sandboxes", "list", self.list),
            ("GET", "/sandboxes/metrics", "metrics", self.all_metrics),
            ("GET", one, "get", self.get),
            ("DELETE", one, "destroy", self.destroy),
            ("POST", one + "/timeout", "timeout", self.timeout),
            ("POST", one + "/refreshes", "refreshes", self.refreshes),
            ("POST", one + "/pause", "pause", self.pause),
            ("POST", one + "/connect", "connect", self._starter.connect),
            ("POST", one + "/resume", "resume", self._starter.resume),
            ("POST", one + "/fork", "fork", self._starter.fork),
            ("POST", one + "/snapshots", "snapshot", self.snapshot),
            ("PUT", one + "/network", "network", self.network),
            ("GET", one + "/metrics", "metrics", self.metrics),
            ("GET", one + "/logs", "logs", self.logs),
            ("GET", "/snapshots", "snapshots", self.snapshots),
            ("GET", "/templates", "templates", self.nothing),
            ("GET", "/teams", "teams", self.teams),
        ]

    async def list(self, ask: Ask) -> Reply:
        """The team's sandboxes: paged and in both states under ``/v2``, running and all at once without."""
        query = ask.request.rel_url.raw_query_string
        mine = self._fleet.of(ask.team)
        return e2b_list.page(mine, e2b_list.parse(query)) if ask.v2 else e2b_list.old(mine, query)

    async def get(self, ask: Ask) -> Reply:
        """One sandbox, paused ones too."""
        return Reply(200, self._visible(ask).detail())

    async def destroy(self, ask: Ask) -> Reply:
        """204 once it is gone and its place is free; a paused one goes with its snapshot."""
        sandbox = self._visible(ask)
        self._seen.deletes.append(sandbox.id)
        self._end_now(sandbox)
        self._fleet.move(sandbox, State.KILLING)
        try:
            await self._clock.sleep(self._config.destroy_seconds)
        finally:
            self._fleet.remove(sandbox)  # a kill, once begun, goes on without its caller
        return Reply(204)

    async def timeout(self, ask: Ask) -> Reply:
        """``endAt`` becomes now plus ``timeout``, which may shorten it."""
        seconds = ask.seconds("timeout", default=None, most=self._config.max_timeout_seconds)
        self._fleet.end(self._running(ask), self._clock.wall() + seconds)
        return Reply(204)

    async def refreshes(self, ask: Ask) -> Reply:
        """Extends only; 15 seconds at least."""
        seconds = max(15, ask.seconds("duration", default=15, most=LONGEST_REFRESH))
        sandbox = self._running(ask)
        self._fleet.end(sandbox, max(sandbox.end_at, self._clock.wall() + seconds))
        return Reply(204)

    async def pause(self, ask: Ask) -> Reply:
        """204 once the place is free. A caller that hangs up meanwhile loses the sandbox."""
        sandbox = self._visible(ask)
        if sandbox.state is not State.RUNNING:
            raise Refused(error(409, f'Error pausing sandbox: sandbox "{sandbox.id}" is already paused'))
        self._end_now(sandbox)
        self._fleet.move(sandbox, State.PAUSING)
        try:
            await self._clock.sleep(self._config.pause_seconds)
        except asyncio.CancelledError:
            self._fleet.remove(sandbox)
            raise
        self._fleet.move(sandbox, State.PAUSED)
        return Reply(204)

    async def snapshot(self, ask: Ask) -> Reply:
        """201; the sandbox keeps running and keeps its place, but no list shows it meanwhile."""
        sandbox = self._running(ask)
        self._fleet.move(sandbox, State.SNAPSHOTTING)
        try:
            await self._clock.sleep(self._config.snapshot_seconds)
        finally:
            self._fleet.move(sandbox, State.RUNNING)
        name = ask.body().get("name")
        made = {"snapshotID": f"snap-{len(self._snapshots) + 1}", "names": [name] if name else []}
        self._snapshots.append(made)
        return Reply(201, made)

    async def snapshots(self, ask: Ask) -> Reply:
        """Every snapshot made."""
        return Reply(200, self._snapshots)

    async def network(self, ask: Ask) -> Reply:
        """Accepted and forgotten."""
        self._running(ask)
        return Reply(204)

    async def metrics(self, ask: Ask) -> Reply:
        """One point, now."""
        self._visible(ask)
        now = self._clock.wall()
        used = {"cpuCount": 2, "cpuUsedPct": 1.5, "memUsed": 1 << 27, "memTotal": 1 << 29, "memCache": 0}
        disk = {"diskUsed": 1 << 28, "diskTotal": 1 << 30}
        return Reply(200, [{"timestamp": stamp(now), "timestampUnix": int(now), **used, **disk}])

    async def all_metrics(self, ask: Ask) -> Reply:
        """No points for anybody."""
        return Reply(200, {"sandboxes": {}})

    async def logs(self, ask: Ask) -> Reply:
        """No logs."""
        self._visible(ask)
        return Reply(200, {"logs": []})

    async def teams(self, ask: Ask) -> Reply:
        """The key's own team. No endpoint tells its limit."""
        return Reply(200, [{"teamID": ask.team, "name": ask.team, "apiKey": "", "isDefault": True}])

    async def nothing(self, ask: Ask) -> Reply:
        """An empty list."""
        return Reply(200, [])

    def _visible(self, ask: Ask) -> Sandbox:
        sandbox = self._fleet.find(ask.id, ask.team)
        if not sandbox.visible and sandbox.state is not State.SNAPSHOTTING:
            raise Refused(error(404, f'Sandbox "{sandbox.id}" not found'))
        return sandbox

    def _running(self, ask: Ask) -> Sandbox:
        sandbox = self._fleet.find(ask.id, ask.team)
        if sandbox.state in (State.PAUSING, State.KILLING):
            raise Refused(error(409, f'Sandbox "{sandbox.id}" is {sandbox.state.value}'))
        if sandbox.state is State.PAUSED:
            raise Refused(error(404, f'Sandbox "{sandbox.id}" is not running'))
        return sandbox

    def _end_now(self, sandbox: Sandbox) -> None:
        """The real server sets ``endAt`` to now before it kills or pauses."""
        sandbox.end_at = self._clock.wall()
