"""The way of one request through the fake E2B: recorded, throttled, let in, answered, and perhaps lost on the
way.

The order is that of the real chain: edge (drops, throttles), API (key, route rate, idempotency), handler;
then the way back, where a scripted fault may replace the answer of work that was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.e2b_api import Handler
from proxy.fakes.e2b_ask import Ask
from proxy.fakes.e2b_config import E2BConfig
from proxy.fakes.e2b_faults import ANSWERS, Fault, Script
from proxy.fakes.e2b_fleet import Fleet
from proxy.fakes.e2b_gate import Dropped, Gate, key_of
from proxy.fakes.e2b_idempotency import Idempotency
from proxy.fakes.e2b_seen import Call, Seen
from proxy.fakes.server import Refused, Reply, hang_up

Route = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """Wraps handlers into aiohttp routes."""

    def __init__(self, config: E2BConfig, clock: Clock, fleet: Fleet, seen: Seen, notice: Callable[[], None]) -> None:
        self._clock, self._fleet, self._seen, self._notice = clock, fleet, seen, notice
        self._gate = Gate(config, seen)
        self._script = Script(config.faults)
        self._idempotency = Idempotency(config.idempotency_seconds) if config.idempotency else None

    def route(self, operation: str, handler: Handler) -> Route:
        """The aiohttp handler of one operation."""

        async def answer(request: web.Request) -> web.StreamResponse:
            raw = await request.read()
            self._record(request, operation, raw)
            if operation == "create":
                self._seen.enter()
            try:
                response = await self._through(request, operation, handler, raw)
            except asyncio.CancelledError:
                self._seen.left += operation == "create"
                raise
            finally:
                self._seen.in_flight -= operation == "create"
                self._notice()
            return response

        return answer

    def _record(self, request: web.Request, operation: str, raw: bytes) -> None:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
        target = request.raw_path
        call = Call(self._clock.now(), operation, request.method, target, key_of(request), headers, raw)
        self._seen.calls.append(call)
        self._notice()

    async def _through(self, request: web.Request, operation: str, handler: Handler, raw: bytes) -> web.StreamResponse:
        fault = self._script.next(operation)
        self._fleet.settle(self._clock.wall())
        try:
            self._gate.edge(request, operation, self._clock.now())
            if fault is not None and not fault.done and not fault.from_api:
                return await self._lose(request, operation, fault, None)
            reply = await self._api(request, operation, handler, raw, fault)
        except Dropped:
            return self._broken(request, operation, reset=False)
        except Refused as refusal:
            reply = refusal.reply
        if fault is not None and fault.done:
            return await self._lose(request, operation, fault, reply)
        return self._said(operation, reply)

    async def _api(
        self, request: web.Request, operation: str, handler: Handler, raw: bytes, fault: Fault | None
    ) -> Reply:
        team = self._gate.team(request)
        rate = self._gate.route_rate(team, operation, self._clock.now())

        async def work() -> Reply:
            if fault is not None and fault.from_api:
                await self._clock.sleep(fault.delay)
                self._seen.refused["fault"] += 1
                return ANSWERS[fault.what]
            return await handler(Ask(request, team, raw))

        key = request.headers.get("Idempotency-Key")
        try:
            if self._idempotency and key is not None and request.path == "/v2/sandboxes":
                reply = await self._idempotency.once(team, key, raw, work, self._clock.now())
            else:
                reply = await work()
        except Refused as refusal:
            reply = refusal.reply
        return Reply(reply.status, reply.body, {**rate, **reply.headers}, reply.content_type)

    async def _lose(
        self, request: web.Request, operation: str, fault: Fault, reply: Reply | None
    ) -> web.StreamResponse:
        """Answer as the fault says, instead of with ``reply``."""
        await self._clock.sleep(fault.delay)
        if fault.what == "answer" and reply is not None:
            return self._said(operation, reply)
        self._seen.refused["fault"] += 1
        if fault.what in ANSWERS:
            return self._said(operation, ANSWERS[fault.what])
        if fault.what == "hang":
            await asyncio.Event().wait()  # ends when the caller hangs up: the handler is cancelled then
        if fault.what == "truncate" and reply is not None:
            return await self._half(request, operation, reply)
        return self._broken(request, operation, reset=fault.what == "reset")

    async def _half(self, request: web.Request, operation: str, reply: Reply) -> web.StreamResponse:
        """The head and half of the body, then the end of the connection."""
        payload = reply.payload()
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
        response.content_length = len(payload)
        await response.prepare(request)
        await response.write(payload[: len(payload) // 2])
        self._broken(request, operation, reset=False)
        return response

    def _broken(self, request: web.Request, operation: str, *, reset: bool) -> web.StreamResponse:
        self._seen.answers.append((operation, 0))
        return hang_up(request, reset=reset)

    def _said(self, operation: str, reply: Reply) -> web.Response:
        self._seen.answers.append((operation, reply.status))
        return reply.response()
