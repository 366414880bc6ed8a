"""A fake Kubernetes API server with one little node, for pods only: on loopback, over HTTP or TLS.

It answers as a real 1.34 does (kubernetes.md §1, §5, §9, §12.1), JSON only, and remembers what it saw. It is no
emulator: everything but pods is a 404, and containers run a dozen words of shell.

    async with FakeKubernetes(KubernetesConfig(ready_seconds=2)) as fake:
        ...                                                  # a client with server: fake.url
        fake.kubelet.oom_kill("default", "pod-1", "sandbox")  # its phase stays Running
        assert len(fake.seen.of("create")) == 1
"""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Any, Final

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.kubernetes_discovery import Discovery
from proxy.fakes.kubernetes_door import Door, Handler
from proxy.fakes.kubernetes_kubelet import Kubelet
from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_read import Reading
from proxy.fakes.kubernetes_seen import Seen
from proxy.fakes.kubernetes_store import Store
from proxy.fakes.kubernetes_streams import Streams
from proxy.fakes.kubernetes_watch import Cut, Watches
from proxy.fakes.kubernetes_write import Writing
from proxy.fakes.server import FakeServer, Refused

LARGEST_BODY: Final = 3 << 20  # bytes; what the real one takes
LONGEST_LINE: Final = 1 << 20  # bytes; an exec's whole command stands in its request line


class FakeKubernetes(FakeServer):
    """The server. ``url`` is set while it is open; ``store``, ``kubelet`` and ``watches`` are what there is, ``seen``
    what has happened."""

    def __init__(
        self,
        config: KubernetesConfig | None = None,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(clock)
        self.config = config or KubernetesConfig()
        self._where = (host, port)
        self.url = ""
        self._fresh()

    def _fresh(self) -> None:
        config = self.config
        self.seen = Seen()
        self.store = Store(config.history)
        self.kubelet = Kubelet(config, self.clock, self.store, self.run_aside)
        if config.kubelet:
            self.store.watch(self.kubelet.noticed)
        self.watches = Watches(config, self.clock, self.store, self.run_aside)
        self.store.watch(lambda event: self.notice())
        self._door = Door(
            config, self.clock, self.seen, self._handlers(), Discovery(config.version).answer, self.notice
        )

    def _handlers(self) -> dict[str, Handler]:
        reading = Reading(self.clock, self.store)
        writing = Writing(self.config, self.clock, self.store, self.seen)
        streams = Streams(self.clock, self.store, self.kubelet, self.run_aside)
        return {
            "get": reading.get,
            "get/status": reading.get,
            "list": reading.many,
            "watch": self.watches.watch,
            "create": writing.create,
            "update": writing.update,
            "update/status": writing.update,
            "patch": writing.patch,
            "patch/status": writing.patch,
            "delete": writing.delete,
            "deletecollection": writing.delete_collection,
            "evict": writing.evict,
            "log": streams.log,
            "exec": streams.exec,
            "attach": streams.attach,
        }

    async def __aenter__(self) -> FakeKubernetes:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_get("/_fake/state", self._state)
        app.router.add_post("/_fake/reset", self._reset)
        app.router.add_post("/_fake/end/{namespace}/{name}/{container}/{code}", self._end)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        context = None
        if self.config.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(self.config.certificate)
        self.url = await self.serve(app, *self._where, tls=context, longest_line=LONGEST_LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def pod(self, namespace: str, name: str) -> Pod:
        """A pod as it is stored, which is what is true; ``Refused`` where there is none."""
        return self.store.get(namespace, name)

    def cut_watches(self, how: Cut = "close") -> int:
        """End every open watch so; how many there were."""
        return self.watches.cut(how)

    def state(self) -> dict[str, Any]:
        """Everything observed and everything there is, as JSON."""
        return self.seen.document() | {
            "now": self.clock.now(),
            "resource_version": self.store.version,
            "watches": self.watches.open,
            "pods": list(self.store),
        }

    async def reset(self) -> None:
        """Forget everything, scripted faults that have happened too; what was under way is cancelled."""
        self.watches.cut("close")
        await self.cancel_tasks()
        self._fresh()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        return await self._door.answer(request)

    async def _state(self, request: web.Request) -> web.Response:
        return web.json_response(self.state())

    async def _reset(self, request: web.Request) -> web.Response:
        await self.reset()
        return web.Response(status=204)

    async def _end(self, request: web.Request) -> web.Response:
        """End a container from outside; code 137 is an OOM kill."""
        found = request.match_info
        code = int(found["code"])
        reason = "OOMKilled" if code == 137 else ""
        try:
            self.kubelet.end(found["namespace"], found["name"], found["container"], code, reason)
        except Refused as refusal:
            return refusal.reply.response()
        return web.Response(status=204)
