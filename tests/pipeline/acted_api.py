"""An API server that is nothing but a dictionary of pods, and a journal of who asked what. In virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from proxy.domain.messages import RequestHead, ResponseHead

PODS = "/api/v1/namespaces/agents/pods"


@dataclass
class Answer:
    """A reply of the API server."""

    status: int
    document: Any = None
    fields: tuple[str, ...] = ("Content-Type: application/json",)
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        return json.dumps(self.document).encode() if self.raw is None else self.raw

    @property
    def head(self) -> ResponseHead:
        raw = "".join(f"{line}\r\n" for line in (*self.fields, f"Content-Length: {len(self.body)}"))
        return ResponseHead(self.status, b"HTTP/1.1 %d Told" % self.status, 1, raw.encode())


@dataclass
class Asked:
    """A request as the API server got it."""

    method: str
    target: str
    head: RequestHead
    at: float
    look: bool


class Api:
    """The API server. ``script`` answers before it does, where it has an answer; ``pause`` is waited for first."""

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.asked: list[Asked] = []
        self.script: Callable[[Asked], Answer | None] = lambda asked: None
        self.pause: Callable[[Asked], float] = lambda asked: 0.0
        self.looking = 0
        self.most_looks = 0
        self._numbers = count(1)

    @property
    def starting(self) -> list[str]:
        """The pods that are neither ready nor over."""
        return [name for name, pod in self.pods.items() if "conditions" not in pod["status"]]

    def make(self, name: str = "") -> dict[str, Any]:
        """A new pod, stored."""
        number = next(self._numbers)
        name = name or f"pod-{number}"
        metadata = {"name": name, "namespace": "agents", "uid": f"uid-{number}"}
        spec = {"containers": [{"name": "sandbox"}, {"name": "tools"}], "restartPolicy": "Never"}
        self.pods[name] = {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}
        return self.pods[name]

    def ready(self, name: str) -> None:
        self.pods[name]["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}

    def dies(self, name: str) -> None:
        """Its main container is killed, its sidecar lives on."""
        ended = {"name": "sandbox", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
        self.pods[name]["status"] = {
            **status,
            "containerStatuses": [ended, {"name": "tools", "state": {"running": {}}}],
        }

    async def answer(self, head: RequestHead, target: bytes, *, look: bool) -> Answer:
        asked = Asked(head.method, target.decode(), head, asyncio.get_running_loop().time(), look)
        self.asked.append(asked)
        self.looking += look
        self.most_looks = max(self.most_looks, self.looking)
        try:
            await asyncio.sleep(self.pause(asked))
        finally:
            self.looking -= look
        return self.script(asked) or self._answer(asked)

    def _answer(self, asked: Asked) -> Answer:
        path = asked.target.partition("?")[0].removeprefix("/k8s")
        name = path.removeprefix(PODS).strip("/").partition("/")[0]
        if asked.method == "POST" and not name:
            wanted = dict(pair.split("=") for pair in asked.target.partition("?")[2].split("&") if pair)
            return Answer(201, self.make(wanted.get("name", "")))
        if not name:
            items = [{key: value for key, value in pod.items() if key != "kind"} for pod in self.pods.values()]
            return Answer(200, {"kind": "PodList", "items": items})
        if name not in self.pods:
            return Answer(404, {"kind": "Status", "reason": "NotFound"})
        if asked.method == "DELETE":
            return Answer(200, self.pods[name])
        return Answer(201, {"kind": "Status"}) if path.endswith("/eviction") else Answer(200, self.pods[name])

    def looks(self, name: str = "") -> list[float]:
        """When we looked (at one pod, or at all), in virtual seconds since the beginning."""
        return [asked.at - 1000 for asked in self.asked if asked.look and name in asked.target]
