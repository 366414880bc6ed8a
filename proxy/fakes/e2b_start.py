"""Everything of the fake E2B that takes a place: create, resume, connect to a paused sandbox, fork.

The order is the real server's: let in (``max_creating``, ``max_starting``), reserve a place, start, register,
answer. A caller that leaves before the registration frees the place and leaves nothing, unless
``caller_leaves`` says ``finishes``; a caller that leaves after it leaves a sandbox that nobody knows.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from proxy.fakes.clock import Clock
from proxy.fakes.e2b_ask import Ask
from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_fleet import Fleet
from proxy.fakes.e2b_model import Sandbox, State
from proxy.fakes.e2b_seen import Seen
from proxy.fakes.server import Refused, Reply

DEFAULT_V1: Final = 15  # seconds, of the old routes; also of resume and fork
DEFAULT_V2: Final = 300


class Starter:
    """The four operations that start sandboxes."""

    def __init__(
        self,
        config: E2BConfig,
        clock: Clock,
        fleet: Fleet,
        seen: Seen,
        run_aside: Callable[[Any, str], asyncio.Task[Any]],
    ) -> None:
        self._config, self._clock, self._fleet, self._seen = config, clock, fleet, seen
        self._run_aside = run_aside
        self._starting_until: list[float] = []
        self._resumes: dict[str, asyncio.Task[Sandbox]] = {}

    async def create(self, ask: Ask) -> Reply:
        """201 with a sandbox that lives for ``timeout`` from the moment it was registered."""
        body = ask.body()
        if not isinstance(body.get("templateID"), str):
            raise Refused(error(400, "Error when parsing request: templateID is required"))
        default = DEFAULT_V2 if ask.v2 else DEFAULT_V1
        timeout = ask.seconds("timeout", default=default, most=self._config.max_timeout_seconds)
        secure = ask.v2 or bool(body.get("secure"))

        async def work() -> Sandbox:
            async with self._place(ask.team):
                await self._clock.sleep(self._config.create_seconds)
                return self._fleet.register(ask.team, body, secure=secure, timeout=timeout, now=self._clock.wall())

        return Reply(201, (await self._uncut(work, "create")).answer())

    async def connect(self, ask: Ask) -> Reply:
        """200 for a running sandbox, whose life is only ever extended; 201 for one that had to be resumed."""
        default = DEFAULT_V2 if ask.v2 else None
        timeout = ask.seconds("timeout", default=default, most=self._config.max_timeout_seconds)
        sandbox = self._fleet.find(ask.id, ask.team)
        now = self._clock.wall()
        if sandbox.state is State.RUNNING:
            self._fleet.end(sandbox, max(sandbox.end_at, now + timeout))
            return Reply(200, sandbox.answer())
        return Reply(201, (await self.wake(sandbox, timeout)).answer())

    async def resume(self, ask: Ask) -> Reply:
        """201; 409 for a sandbox that runs already."""
        timeout = ask.seconds("timeout", default=DEFAULT_V1, most=self._config.max_timeout_seconds)
        sandbox = self._fleet.find(ask.id, ask.team)
        if sandbox.state is State.RUNNING:
            raise Refused(error(409, f'Sandbox "{sandbox.id}" is already running'))
        return Reply(201, (await self.wake(sandbox, timeout)).answer())

    async def wake(self, sandbox: Sandbox, timeout: float) -> Sandbox:
        """Resume a paused sandbox. Callers that want the same one meanwhile share a single start.

        Raises 404 for one that is going, 409 for one still being paused, 429 at the live limit.
        """
        if sandbox.state is State.PAUSING:
            raise Refused(error(409, f'Sandbox "{sandbox.id}" is being paused'))
        if sandbox.state is not State.PAUSED:
            raise Refused(error(404, f'Sandbox "{sandbox.id}" not found'))
        task = self._resumes.get(sandbox.id)
        if task is None:
            task = self._run_aside(self._resume(sandbox, timeout), f"resume {sandbox.id}")
            self._resumes[sandbox.id] = task
            task.add_done_callback(lambda _: self._resumes.pop(sandbox.id, None))
        return await asyncio.shield(task)

    async def _resume(self, sandbox: Sandbox, timeout: float) -> Sandbox:
        async with self._place(sandbox.team):
            await self._clock.sleep(self._config.create_seconds)
            now = self._clock.wall()
            self._fleet.find(sandbox.id, sandbox.team)  # it may have been killed meanwhile
            sandbox.started_at = now
            self._fleet.end(sandbox, now + timeout)
            self._fleet.move(sandbox, State.RUNNING)
            return sandbox

    async def fork(self, ask: Ask) -> Reply:
        """201 with one result for each copy: a sandbox, or the error that this copy met (the live limit)."""
        timeout = ask.seconds("timeout", default=DEFAULT_V1, most=self._config.max_timeout_seconds)
        count = ask.body().get("count", 1)
        if not isinstance(count, int) or not 1 <= count <= 100 or count >= self._config.live_limit:
            raise Refused(error(400, "count must be between 1 and 100, and below the account's limit"))
        sandbox = self._fleet.find(ask.id, ask.team)
        if sandbox.state is not State.RUNNING:
            raise Refused(error(409, f'Sandbox "{sandbox.id}" is not running'))
        return Reply(201, await self._uncut(lambda: self._copies(sandbox, count, timeout), "fork"))

    async def _copies(self, sandbox: Sandbox, count: int, timeout: float) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        async with contextlib.AsyncExitStack() as places:
            for _ in range(count):
                try:
                    await places.enter_async_context(self._place(sandbox.team))
                except Refused as refusal:
                    results.append({"error": refusal.reply.body})
            if len(results) < count:
                await self._clock.sleep(self._config.create_seconds)
            for _ in range(count - len(results)):
                twin = self._fleet.copy(sandbox, timeout=timeout, now=self._clock.wall())
                results.insert(0, {"sandbox": twin.answer()})
        return results

    async def _uncut(self, work: Callable[[], Awaitable[Any]], name: str) -> Any:
        """Run ``work``; with ``caller_leaves: finishes`` a caller that hangs up does not stop it."""
        if self._config.caller_leaves == "cancels":
            return await work()
        return await asyncio.shield(self._run_aside(work(), name))

    @contextlib.asynccontextmanager
    async def _place(self, team: str) -> AsyncIterator[None]:
        """Hold one start: counted as under way, and pending in the team's limit. Raises ``Refused``."""
        self._let_in()
        try:
            number = self._fleet.reserve(team, self._clock.wall())
        except Refused:
            self._seen.refused["concurrency"] += 1
            raise
        self._seen.begin()
        try:
            yield
            self._starting_until.append(self._clock.now() + self._config.start_seconds)
        finally:
            self._seen.creating -= 1
            self._fleet.release(team, number)

    def _let_in(self) -> None:
        config, seen, now = self._config, self._seen, self._clock.now()
        if config.max_creating is not None and seen.creating >= config.max_creating:
            seen.refused["creating"] += 1
            message = f"Rate limit exceeded: {config.max_creating} sandboxes are being created, try again later"
            raise Refused(error(429, message))
        self._starting_until = [until for until in self._starting_until if until > now]
        if config.max_starting is not None and seen.creating + len(self._starting_until) >= config.max_starting:
            seen.refused["starting"] += 1
            raise Refused(error(503, "No capacity available to place the sandbox", "sandbox_capacity_unavailable"))
