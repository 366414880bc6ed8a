"""An informer over the real ``kubernetes_asyncio``: lists once, watches from there, and goes on from the last event.

It remembers every resourceVersion it was shown, in order. A watch that breaks off is opened again from the last one;
only ``410 Gone`` makes it list anew, as any informer does.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import aiohttp
from kubernetes_asyncio.client import ApiClient, ApiException, Configuration, CoreV1Api
from kubernetes_asyncio.watch import Watch

GONE: Final = 410
_PAUSE: Final = 0.01
"""Seconds between two tries; a real one waits longer."""
_BREAKS: Final = (aiohttp.ClientError, ApiException, ConnectionError, asyncio.TimeoutError)


class Informer:
    """What one client knows. ``pods`` by namespace and name, as they were shown last."""

    def __init__(self, url: str) -> None:
        self._api = ApiClient(Configuration(host=url))
        self._core: Any = CoreV1Api(self._api)
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.listed = 0
        """The resourceVersion of the list."""
        self.lists = 0
        self.watches = 0
        self.shown: list[tuple[int, str, dict[str, Any]]] = []
        """Every event: resourceVersion, type, pod."""
        self._task: asyncio.Task[None] | None = None

    @property
    def version(self) -> int:
        """The last resourceVersion it knows of."""
        return self.shown[-1][0] if self.shown else self.listed

    def start(self) -> None:
        """Begin, and go on until ``stop``."""
        self._task = asyncio.create_task(self._inform())

    async def stop(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._api.close()

    async def _inform(self) -> None:
        while True:
            try:
                if not self.listed:
                    await self._list()
                await self._watch()
            except _BREAKS as why:
                if isinstance(why, ApiException) and why.status == GONE:
                    self.listed = 0
                await asyncio.sleep(_PAUSE)

    async def _list(self) -> None:
        reply = await self._core.list_pod_for_all_namespaces(_preload_content=False)
        listed = await reply.json()
        if reply.status != 200:
            raise ApiException(status=reply.status, reason=str(listed))
        self.lists += 1
        self.shown.clear()
        self.pods = {_key(pod): pod for pod in listed["items"]}
        self.listed = int(listed["metadata"]["resourceVersion"])

    async def _watch(self) -> None:
        """One watch, as ``kubernetes_asyncio`` follows it: it opens the next by itself where one ends in good order."""
        self.watches += 1
        async with Watch(return_type="object") as watch:
            events = watch.stream(self._opened, resource_version=str(self.version))
            async for event in events:
                if not isinstance(event, dict):
                    return  # half a line, which was the last of its stream
                self._note(event["type"], event["raw_object"])

    async def _opened(self, **asked: Any) -> Any:
        """The reply of a watch; ApiException where there is none."""
        reply = await self._core.list_pod_for_all_namespaces(**asked)
        if reply.status != 200:
            raise ApiException(status=reply.status, reason=reply.reason)
        return reply

    def _note(self, kind: str, pod: dict[str, Any]) -> None:
        self.shown.append((int(pod["metadata"]["resourceVersion"]), kind, pod))
        if kind == "DELETED":
            self.pods.pop(_key(pod), None)
        else:
            self.pods[_key(pod)] = pod


def _key(pod: dict[str, Any]) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]
