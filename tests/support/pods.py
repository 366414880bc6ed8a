"""Pods as callers make them, and how tests talk to an API server about them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.support.waiting import WITHIN

NAMESPACE = "agents-1"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def container(name: str, **more: Any) -> dict[str, Any]:
    """A container of a spec."""
    return {"name": name, "image": f"registry.local/{name}:1", **more}


def agent_pod(
    name: str,
    *containers: str,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A pod's create body: ``sandbox`` and ``tool-server`` unless told otherwise, never restarted (problems.md §4)."""
    metadata: dict[str, Any] = {"name": name, "labels": {"centaur.ai/managed": "true", **(labels or {})}}
    if annotations:
        metadata["annotations"] = dict(annotations)
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {
            "restartPolicy": "Never",
            "containers": [container(one) for one in containers or ("sandbox", "tool-server")],
            **spec,
        },
    }


class Stream:
    """A watch as a client reads it: one JSON value a line."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self.reply = reply
        self._rest = b""

    async def line(self) -> bytes:
        """The next line without its end; empty when the stream is over. Lines may be of any length.

        TimeoutError where it does not come.
        """
        async with asyncio.timeout(WITHIN):
            while b"\n" not in self._rest:
                data = await self.reply.content.readany()
                if not data:
                    last, self._rest = self._rest, b""
                    return last
                self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    async def event(self) -> dict[str, Any]:
        """The next event."""
        event: dict[str, Any] = json.loads(await self.line())
        return event

    async def until(self, kind: str) -> list[dict[str, Any]]:
        """Events up to the first of this type."""
        found: list[dict[str, Any]] = []
        while not found or found[-1]["type"] != kind:
            found.append(await self.event())
        return found


@asynccontextmanager
async def watching(url: str, **parameters: str) -> AsyncIterator[Stream]:
    """An open watch of the pods at a URL; query parameters as the API names them."""
    query = {"watch": "true", **parameters}
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, params=query, headers={"Accept": "application/json"}) as reply,
    ):
        yield Stream(reply)
