"""Processes of the fake E2B: started, watched, fed, killed. A process outlives the stream that started it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any, Final

from proxy.fakes.clock import Clock
from proxy.fakes.e2b_connect import ConnectError
from proxy.fakes.e2b_model import Sandbox
from proxy.fakes.e2b_shell import Shell, World
from proxy.fakes.server import FakeServer

KILLED: Final = {"SIGNAL_SIGKILL": "killed", "SIGNAL_SIGTERM": "terminated", 9: "killed", 15: "terminated"}


class Process:
    """One process and everything it has written, as Connect messages."""

    def __init__(self, pid: int, request: dict[str, Any], sandbox: Sandbox) -> None:
        config = request.get("process") or {}
        self.pid = pid
        self.config: dict[str, Any] = config
        self.tag: str | None = request.get("tag")
        self.world = World(
            files=sandbox.files,
            folders=sandbox.folders,
            variables={"HOME": "/home/user", "USER": "user", **sandbox.env, **(config.get("envs") or {})},
            cwd=config.get("cwd") or "/home/user",
        )
        if not request.get("stdin", True):
            self.world.stdin.put_nowait(None)
        self.messages: list[dict[str, Any]] = []
        self.ended = False
        self.gone = False
        self._waiters: list[asyncio.Event] = []

    def script(self) -> str:
        """What bash was asked to run: SDKs send ``/bin/bash -l -c <script>``."""
        args = self.config.get("args") or []
        return str(args[-1]) if args else str(self.config.get("cmd", ""))

    def write(self, kind: str, data: bytes) -> None:
        """Output, seen by every stream at once."""
        self.add({"event": {"data": {kind: base64.b64encode(data).decode()}}})

    def finish(self, end: dict[str, Any]) -> None:
        """The end. Later ones are ignored: a process ends once."""
        if not self.ended:
            self.ended = True
            self.add({"event": {"end": end}})

    def add(self, message: dict[str, Any]) -> None:
        """One more message for the streams."""
        self.messages.append(message)
        self._wake()

    def vanish(self) -> None:
        """The sandbox is gone: streams break off."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        """Wake every stream that waits; each has an event of its own, so none can miss a message."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.set()

    async def follow(self, *, history: bool) -> AsyncIterator[dict[str, Any]]:
        """The start, then messages as they come, the end last. Raises ConnectionError if the sandbox goes."""
        at = 0 if history else len(self.messages)
        yield {"event": {"start": {"pid": self.pid}}}
        while True:
            while at < len(self.messages):
                at += 1
                yield self.messages[at - 1]
            if self.gone:
                raise ConnectionError("the sandbox is gone")
            if self.ended:
                return
            waiter = asyncio.Event()
            self._waiters.append(waiter)
            await waiter.wait()


class Processes:
    """The processes of all sandboxes."""

    def __init__(self, server: FakeServer, clock: Clock) -> None:
        self._server, self._clock = server, clock
        self._running: dict[str, dict[int, Process]] = {}
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._pid = 1000

    def start(self, sandbox: Sandbox, request: dict[str, Any]) -> Process:
        """Begin a process; it runs beside the request."""
        self._pid += 1
        process = Process(self._pid, request, sandbox)
        self._running.setdefault(sandbox.id, {})[process.pid] = process
        self._tasks[process.pid] = self._server.run_aside(self._run(sandbox.id, process), f"pid {process.pid}")
        return process

    async def _run(self, sandbox_id: str, process: Process) -> None:
        try:
            code = await Shell(process.world, process.write, self._clock).run(process.script())
            end = {"exitCode": code, "exited": True, "status": f"exit status {code}"}
            process.finish(end if code == 0 else end | {"error": f"exit status {code}"})
        finally:
            self._tasks.pop(process.pid, None)
            self._running.get(sandbox_id, {}).pop(process.pid, None)

    def find(self, sandbox: Sandbox, request: dict[str, Any]) -> Process:
        """The process a request selects, by pid or tag. Raises ``not_found``."""
        selector = request.get("process") or {}
        for process in self._running.get(sandbox.id, {}).values():
            if selector.get("pid") == process.pid or (process.tag and selector.get("tag") == process.tag):
                return process
        raise ConnectError("not_found", f"process with pid {selector.get('pid')} not found")

    def listed(self, sandbox: Sandbox) -> dict[str, Any]:
        """The answer to ``List``."""
        return {
            "processes": [
                {"pid": p.pid, "config": p.config} | ({"tag": p.tag} if p.tag else {})
                for p in self._running.get(sandbox.id, {}).values()
            ]
        }

    def signal(self, sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
        """Kill or terminate. Raises ``not_found`` for no process, ``invalid_argument`` for other signals."""
        process = self.find(sandbox, request)
        how = KILLED.get(request.get("signal", ""))
        if how is None:
            raise ConnectError("invalid_argument", f"invalid signal: {request.get('signal')}")
        process.finish({"exitCode": -1, "status": f"signal: {how}", "error": f"signal: {how}"})
        self._tasks[process.pid].cancel()
        return {}

    def feed(self, sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
        """``SendInput``."""
        given = request.get("input") or {}
        data = base64.b64decode(given.get("stdin") or given.get("pty") or "")
        self.find(sandbox, request).world.stdin.put_nowait(data)
        return {}

    def close_input(self, sandbox: Sandbox, request: dict[str, Any]) -> dict[str, Any]:
        """``CloseStdin``."""
        self.find(sandbox, request).world.stdin.put_nowait(None)
        return {}

    def end(self, sandbox: Sandbox) -> None:
        """The sandbox is gone: its processes too."""
        for process in list(self._running.pop(sandbox.id, {}).values()):
            process.vanish()
            task = self._tasks.get(process.pid)
            if task is not None:
                task.cancel()
