"""``exec`` and ``attach`` over WebSocket, protocols v4 and v5, and ``log`` (kubernetes.md §7.2, §12.1).

Channels: 0 stdin, 1 stdout, 2 stderr, 3 how it ended, 4 resize, 255 close (v5 only).
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import WSMsgType, web

from proxy.fakes.clock import Clock
from proxy.fakes.e2b_shell import Shell, World
from proxy.fakes.kubernetes_ask import Ask
from proxy.fakes.kubernetes_containers import Container
from proxy.fakes.kubernetes_kubelet import Kubelet
from proxy.fakes.kubernetes_model import Pod, encode
from proxy.fakes.kubernetes_status import refuse
from proxy.fakes.kubernetes_store import Store
from proxy.fakes.kubernetes_watch import RunAside
from proxy.fakes.server import Refused, Reply

V5: Final = "v5.channel.k8s.io"
V4: Final = "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, CLOSE = 0, 1, 2, 3, 255
TEXT: Final = "text/plain"
SUCCESS: Final = {"metadata": {}, "status": "Success"}
_KINDS: Final = {"stdout": STDOUT, "stderr": STDERR}


def exit_status(code: int) -> dict[str, Any]:
    """What channel 3 says of a command that ended."""
    if code == 0:
        return SUCCESS
    message = f"command terminated with non-zero exit code: exit status {code}"
    causes = [{"reason": "ExitCode", "message": str(code)}]
    failure = {"metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode"}
    return failure | {"details": {"causes": causes}}


class _Channels:
    """The two ends of one WebSocket: frames that go out in order, and what comes in."""

    def __init__(self, socket: web.WebSocketResponse, hear: Callable[[bytes | None], None]) -> None:
        self._socket, self._hear = socket, hear
        self._out: asyncio.Queue[bytes | None] = asyncio.Queue()

    def say(self, channel: int, data: bytes) -> None:
        """Send this frame when its turn has come."""
        self._out.put_nowait(bytes([channel]) + data)

    async def writing(self) -> None:
        """Send what was said, until ``done``."""
        while (frame := await self._out.get()) is not None:
            await self._socket.send_bytes(frame)

    def done(self) -> None:
        """There is no more to say."""
        self._out.put_nowait(None)

    async def reading(self) -> None:
        """Hear standard input until the caller closes."""
        async for message in self._socket:
            data = message.data if message.type is WSMsgType.BINARY else str(message.data).encode()
            if data[:1] == bytes([STDIN]):
                self._hear(data[1:])
            elif data[:2] == bytes([CLOSE, STDIN]):
                self._hear(None)


class Streams:
    """The handlers of ``exec``, ``attach`` and ``log``."""

    def __init__(self, clock: Clock, store: Store, kubelet: Kubelet, run_aside: RunAside) -> None:
        self._clock, self._store, self._kubelet, self._run_aside = clock, store, kubelet, run_aside

    async def exec(self, ask: Ask) -> web.StreamResponse:
        """Run a command in a container that runs; its exit code goes to channel 3."""
        container = self._running(ask, 'container not found ("{container}")')
        words = [value for name, value in ask.query if name == "command"]
        script = words[2] if words[1:2] == ["-c"] else shlex.join(words)
        world = World(container.files, set(), {}, "/")
        if not ask.flag("stdin"):
            world.stdin.put_nowait(None)

        async def work(channels: _Channels) -> dict[str, Any]:
            shell = Shell(world, lambda kind, data: channels.say(_KINDS[kind], data), self._clock)
            return exit_status(await shell.run(script))

        return await self._stream(ask, work, world.stdin.put_nowait)

    async def attach(self, ask: Ask) -> web.StreamResponse:
        """Join a container's output and input until it ends. That it ended, not how, goes to channel 3."""
        container = self._running(ask, "container {container} not found in pod {pod}_{namespace}")

        async def work(channels: _Channels) -> dict[str, Any]:
            stop = container.listen(lambda data: channels.say(STDOUT, data))
            try:
                await container.ended.wait()
            finally:
                stop()
            return SUCCESS

        return await self._stream(ask, work, lambda data: container.hear(data) if data else None)

    async def _stream(
        self,
        ask: Ask,
        work: Callable[[_Channels], Awaitable[dict[str, Any]]],
        hear: Callable[[bytes | None], None],
    ) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=(V5, V4))
        if not socket.can_prepare(ask.request).ok:
            refuse(400, "BadRequest", "Upgrade request required")
        await socket.prepare(ask.request)
        channels = _Channels(socket, hear)
        channels.say(STDOUT if ask.flag("stdout") else ERROR, b"")  # the first frame says that it is open
        writing = self._run_aside(channels.writing(), "stream out")
        reading = self._run_aside(channels.reading(), "stream in")
        working = self._run_aside(work(channels), "command")
        try:
            await asyncio.wait((working, reading, writing), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                channels.say(ERROR, encode(working.result()).rstrip())
                channels.done()
                await writing
        finally:
            for task in (working, reading, writing):
                task.cancel()
        await socket.close()
        return socket

    def _running(self, ask: Ask, absent: str) -> Container:
        """The container asked for. One that does not run is a plain 500 of the kubelet, no Status."""
        pod, name = self._named(ask)
        container = self._kubelet.container(pod, name)
        if container is None or container.ended.is_set():
            text = absent.format(container=name, pod=ask.name, namespace=ask.namespace)
            raise Refused(Reply(500, text, {}, TEXT))
        return container

    def _named(self, ask: Ask) -> tuple[Pod, str]:
        """The pod and the container's name, which may be left out where there is only one."""
        pod = self._store.get(ask.namespace, ask.name)
        if not pod["spec"].get("nodeName"):
            refuse(400, "BadRequest", f"pod {ask.name} does not have a host assigned")
        names = [c["name"] for c in (*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or ()))]
        name = ask.parameter("container") or ""
        if not name and len(pod["spec"]["containers"]) > 1:
            choice = " ".join(names)
            refuse(
                400, "BadRequest", f"a container name must be specified for pod {ask.name}, choose one of: [{choice}]"
            )
        if name and name not in names:
            refuse(400, "BadRequest", f"container {name} is not valid for pod {ask.name}")
        return pod, name or names[0]

    async def log(self, ask: Ask) -> Reply | web.StreamResponse:
        """What a container has written, with ``follow`` until it ends. Text, whatever was asked for."""
        pod, name = self._named(ask)
        container = self._kubelet.container(pod, name)
        if container is None:
            message = f'container "{name}" in pod "{ask.name}" is waiting to start: ContainerCreating'
            refuse(400, "BadRequest", message)
        lines = bytes(container.log).splitlines(keepends=True)
        tail = ask.number("tailLines")
        written = b"".join(lines if tail is None else lines[max(0, len(lines) - tail) :])
        if not ask.flag("follow"):
            return Reply(200, written.decode(errors="replace"), {}, TEXT)
        return await self._follow(ask, container, written)

    async def _follow(self, ask: Ask, container: Container, written: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": TEXT})
        response.enable_chunked_encoding()
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        lines.put_nowait(written)
        stop = container.listen(lines.put_nowait)
        ending = self._run_aside(_ends(container, lines), "log")
        try:
            await response.prepare(ask.request)
            while (line := await lines.get()) is not None:
                await response.write(line)
        finally:
            ending.cancel()
            stop()
        await response.write_eof()
        return response


async def _ends(container: Container, lines: asyncio.Queue[bytes | None]) -> None:
    await container.ended.wait()
    lines.put_nowait(None)
