"""The fake E2B's data plane: finds the sandbox a request is for, wakes it if it may, and answers as envd.

The sandbox is named by ``E2b-Sandbox-Id`` or by the host name ``<port>-<id>.…``; the API key is never sent
here, the access token of the create's answer is. Errors of the edge are JSON with ``sandboxId``; errors of
RPCs are Connect's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from proxy.fakes import e2b_files
from proxy.fakes.e2b_connect import END, STREAM, UNARY, ConnectError, document, envelope, messages
from proxy.fakes.e2b_faults import error
from proxy.fakes.e2b_model import Sandbox, State
from proxy.fakes.e2b_process import Processes
from proxy.fakes.server import Refused, Reply, hang_up

if TYPE_CHECKING:
    from proxy.fakes.e2b import FakeE2B

PORT: Final = "49983"
LEAST_WAKE: Final = 300.0
"""Seconds of life that traffic to a paused sandbox with ``autoResume`` gives it."""


class Envd:
    """All sandboxes' envd."""

    def __init__(self, fake: FakeE2B) -> None:
        self._fake = fake
        self.processes = Processes(fake, fake.clock)
        fake.fleet.on_gone = self.processes.end

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Any request to any sandbox."""
        try:
            sandbox = await self._sandbox(request)
            _authorise(sandbox, request)
            return await self._serve(sandbox, request)
        except Refused as refusal:
            return refusal.reply.response()
        except ConnectError as failure:
            if request.content_type != STREAM:
                return failure.unary().response()
            return web.Response(body=failure.end(), headers={"Content-Type": STREAM})

    async def _sandbox(self, request: web.Request) -> Sandbox:
        name, port = _address(request)
        self._fake.settle()
        try:
            sandbox = self._fake.fleet.find(name)
        except Refused:
            raise Refused(_edge(502, "The sandbox was not found", name)) from None
        if sandbox.state is State.PAUSED and sandbox.auto_resume:
            try:
                await self._fake.starter.wake(sandbox, LEAST_WAKE)
            except Refused as refusal:
                raise Refused(_edge(refusal.reply.status, refusal.reply.body["message"], name)) from None
        if sandbox.state not in (State.RUNNING, State.SNAPSHOTTING):
            raise Refused(_edge(502, "The sandbox was not found", name))
        if port != PORT:
            raise Refused(_edge(502, "The sandbox is running but port is not open", name, port=int(port)))
        return sandbox

    async def _serve(self, sandbox: Sandbox, request: web.Request) -> web.StreamResponse:
        match request.method, request.path:
            case "GET", "/health":
                return web.Response(status=204)
            case "GET", "/files":
                return e2b_files.read(sandbox, request)
            case "POST", "/files":
                return (await e2b_files.write(sandbox, request)).response()
            case "POST", path if path.startswith("/process.Process/"):
                return await self._process(sandbox, path.rpartition("/")[2], request)
            case "POST", path if path.startswith("/filesystem.Filesystem/"):
                return await self._filesystem(sandbox, path.rpartition("/")[2], request)
        raise Refused(error(404, "404 page not found"))

    async def _process(self, sandbox: Sandbox, name: str, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        if request.content_type == STREAM:
            return await self._stream(sandbox, name, messages(raw), request)
        said = document(raw)
        match name:
            case "List":
                return _unary(self.processes.listed(sandbox))
            case "SendSignal":
                return _unary(self.processes.signal(sandbox, said))
            case "SendInput":
                return _unary(self.processes.feed(sandbox, said))
            case "CloseStdin":
                return _unary(self.processes.close_input(sandbox, said))
            case "Update":
                self.processes.find(sandbox, said)
                return _unary({})
        raise ConnectError("unimplemented", f"process.Process.{name} is not implemented")

    async def _stream(
        self, sandbox: Sandbox, name: str, said: list[dict[str, Any]], request: web.Request
    ) -> web.StreamResponse:
        first = said[0] if said else {}
        match name:
            case "Start":
                return await _relay(self.processes.start(sandbox, first).follow(history=True), request)
            case "Connect":
                return await _relay(self.processes.find(sandbox, first).follow(history=False), request)
            case "StreamInput":
                selected = first.get("start") or {}
                for message in said[1:]:
                    given = (message.get("data") or {}).get("input") or {}
                    self.processes.feed(sandbox, {"process": selected.get("process"), "input": given})
                body = envelope({}) + envelope({}, flags=END)
                return web.Response(body=body, headers={"Content-Type": STREAM})
        raise ConnectError("unimplemented", f"process.Process.{name} is not implemented")

    async def _filesystem(self, sandbox: Sandbox, name: str, request: web.Request) -> web.StreamResponse:
        rpc = e2b_files.RPCS.get(name)
        if rpc is None:
            raise ConnectError("unimplemented", f"filesystem.Filesystem.{name} is not implemented")
        return _unary(rpc(sandbox, document(await request.read())))


async def _relay(events: AsyncIterator[dict[str, Any]], request: web.Request) -> web.StreamResponse:
    """Send every event as it comes. A sandbox that goes meanwhile breaks the connection."""
    response = web.StreamResponse(headers={"Content-Type": STREAM})
    response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        async for event in events:
            await response.write(envelope(event))
        await response.write(envelope({}, flags=END))
    except ConnectionError:
        hang_up(request, reset=False)
        return response
    await response.write_eof()
    return response


def _unary(body: dict[str, Any]) -> web.Response:
    return Reply(200, body, content_type=UNARY).response()


def _address(request: web.Request) -> tuple[str, str]:
    """Sandbox id and port. The host name decides when it names a sandbox, as at the real edge."""
    label = request.host.split(".", 1)[0]
    port, dash, name = label.partition("-")
    if dash and port.isdigit():
        return name, port
    name = request.headers.get("E2b-Sandbox-Id", "")
    if not name:
        raise Refused(error(400, "Invalid host: no sandbox named"))
    return name, request.headers.get("E2b-Sandbox-Port", PORT)


def _authorise(sandbox: Sandbox, request: web.Request) -> None:
    if sandbox.access_token is None or request.path == "/health":
        return
    if request.headers.get("X-Access-Token") == sandbox.access_token:
        return
    if "." in request.path.rpartition("/")[0]:  # an RPC: /package.Service/Method
        raise ConnectError("unauthenticated", "no or invalid access token")
    raise Refused(error(401, "no or invalid access token"))


def _edge(status: int, message: str, sandbox_id: str, **more: int) -> Reply:
    return Reply(status, {"sandboxId": sandbox_id, "message": message, "code": status, **more})
