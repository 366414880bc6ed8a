"""The way of one request through the fake API server: recorded, let in, carried out, and perhaps lost on the way.

The order is that of the real chain: a scripted fault before the work, the caller's token, the bound of requests in
flight, the work after its latency; then the way back, where a fault may replace the answer of work that was done.
"""

from __future__ import annotations

import asyncio
import gzip
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_ask import Ask, read
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.kubernetes_faults import ANSWERS, Fault, Script
from proxy.fakes.kubernetes_model import encode
from proxy.fakes.kubernetes_seen import Call, Seen
from proxy.fakes.kubernetes_status import busy, status
from proxy.fakes.server import Refused, Reply, hang_up

Handler = Callable[[Ask], Awaitable[Reply | web.StreamResponse]]

WHOLE: Final = 2048
"""Bytes up to which a reply has a Content-Length; longer ones come in chunks, as Go's server writes them."""
CHUNK: Final = 16_384
COMPRESSED_FROM: Final = 128 * 1024
"""Bytes from which a reply is gzipped for whoever takes that (kubernetes.md §1.7)."""
TOO_LARGE: Final = status(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728")
_PRETTY: Final = ("curl", "Wget", "Mozilla/5.0")
_LONG: Final = frozenset({"watch", "exec", "attach", "log"})
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Door:
    """Takes every request to its handler and the answer back."""

    def __init__(
        self,
        config: KubernetesConfig,
        clock: Clock,
        seen: Seen,
        handlers: Mapping[str, Handler],
        other: Handler,
        notice: Callable[[], None],
    ) -> None:
        self._config, self._clock, self._seen = config, clock, seen
        self._handlers, self._other, self._notice = handlers, other, notice
        self._script = Script(config.faults)
        self._carried_out = {"reading": 0, "writing": 0}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The aiohttp handler of every path."""
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return await self._say(read(request, b""), TOO_LARGE)
        ask = read(request, raw)
        self._record(ask)
        self._seen.enter(ask.operation)
        self._notice()
        try:
            return await self._through(ask)
        except asyncio.CancelledError:
            self._seen.left += 1
            raise
        except ConnectionError:  # the caller went while something was written to it
            self._seen.left += 1
            return hang_up(request, reset=False)
        finally:
            self._seen.in_flight[ask.operation] -= 1
            self._notice()

    def _record(self, ask: Ask) -> None:
        request = ask.request
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)
        call = Call(
            at=self._clock.now(),
            operation=ask.operation,
            method=request.method,
            target=request.raw_path,
            namespace=ask.namespace,
            name=ask.name,
            headers=headers,
            body=ask.raw,
        )
        self._seen.calls.append(call)

    async def _through(self, ask: Ask) -> web.StreamResponse:
        fault = self._script.next(ask.operation)
        if fault is not None and not fault.done:
            return await self._lose(ask, fault, None)
        try:
            self._authorise(ask)
            answer = await self._carry_out(ask)
        except Refused as refusal:
            answer = refusal.reply
        if isinstance(answer, web.StreamResponse):
            self._seen.answers.append((ask.operation, answer.status))
            return answer
        if fault is not None:
            return await self._lose(ask, fault, answer)
        return await self._say(ask, answer)

    def _authorise(self, ask: Ask) -> None:
        tokens = self._config.tokens
        bearer = ask.request.headers.get("Authorization", "").removeprefix("Bearer ")
        if tokens is not None and bearer not in tokens:
            self._seen.refused["unauthorized"] += 1
            raise Refused(status(401, "Unauthorized", "Unauthorized"))

    async def _carry_out(self, ask: Ask) -> Reply | web.StreamResponse:
        """The handler, after the latency of its operation, as one of at most so many at once."""
        handler = self._handlers.get(ask.operation, self._other)
        seconds = self._config.latency.get(ask.operation, 0.0)
        if ask.operation in _LONG:
            await self._clock.sleep(seconds)
            return await handler(ask)
        kind = "writing" if ask.request.method in _WRITES else "reading"
        most = self._config.max_writing if kind == "writing" else self._config.max_reading
        if most is not None and self._carried_out[kind] >= most:
            self._seen.refused["busy"] += 1
            raise Refused(busy(1))
        self._carried_out[kind] += 1
        try:
            await self._clock.sleep(seconds)
            return await handler(ask)
        finally:
            self._carried_out[kind] -= 1

    async def _lose(self, ask: Ask, fault: Fault, answer: Reply | None) -> web.StreamResponse:
        """Answer as the fault says, instead of with ``answer``."""
        await self._clock.sleep(fault.delay)
        if fault.what == "answer" and answer is not None:
            return await self._say(ask, answer)
        self._seen.refused["fault"] += 1
        if fault.what in ANSWERS:
            return await self._say(ask, ANSWERS[fault.what])
        if fault.what == "hang":
            await asyncio.Event().wait()  # ends when the caller hangs up: the handler is cancelled then
        self._seen.answers.append((ask.operation, 0))
        if fault.what == "truncate" and answer is not None:
            await self._half(ask, answer)
        return hang_up(ask.request, reset=fault.what == "reset")

    async def _half(self, ask: Ask, answer: Reply) -> None:
        """The head and half of the body."""
        payload, headers = _payload(ask, answer)
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.content_length = len(payload)
        await response.prepare(ask.request)
        await response.write(payload[: len(payload) // 2])

    async def _say(self, ask: Ask, answer: Reply) -> web.StreamResponse:
        self._seen.answers.append((ask.operation, answer.status))
        payload, headers = _payload(ask, answer)
        if len(payload) <= WHOLE:
            return web.Response(status=answer.status, body=payload, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(ask.request)
        for start in range(0, len(payload), CHUNK):
            await response.write(payload[start : start + CHUNK])
        await response.write_eof()
        return response


def _payload(ask: Ask, answer: Reply) -> tuple[bytes, dict[str, str]]:
    """The body as it goes on the wire, and the fields with it."""
    headers = {
        "Audit-Id": str(uuid.uuid4()),
        "Cache-Control": "no-cache, private",
        "Content-Type": answer.content_type,
        "X-Kubernetes-Pf-Flowschema-Uid": "5c0f6c2e-7a2f-4b3d-9a55-0d0a4a4f0001",
        "X-Kubernetes-Pf-Prioritylevel-Uid": "5c0f6c2e-7a2f-4b3d-9a55-0d0a4a4f0002",
        **answer.headers,
    }
    if isinstance(answer.body, str):
        return answer.body.encode(), headers
    asked = ask.parameter("pretty")
    wanted = ask.flag("pretty") if asked is not None else ask.request.headers.get("User-Agent", "").startswith(_PRETTY)
    payload = encode(answer.body, pretty=wanted)
    if len(payload) > COMPRESSED_FROM and "gzip" in ask.request.headers.get("Accept-Encoding", ""):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        payload = gzip.compress(payload, 1)
    return payload, headers
