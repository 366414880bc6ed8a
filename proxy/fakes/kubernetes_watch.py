"""Watches: one JSON value and a line feed for each event (kubernetes.md §1.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from aiohttp import web

from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_ask import Ask
from proxy.fakes.kubernetes_config import KubernetesConfig
from proxy.fakes.kubernetes_model import Pod, bookmark, encode
from proxy.fakes.kubernetes_read import view_of
from proxy.fakes.kubernetes_selectors import Test
from proxy.fakes.kubernetes_status import refuse
from proxy.fakes.kubernetes_store import Event, Store
from proxy.fakes.kubernetes_views import View
from proxy.fakes.server import Refused, hang_up

Cut = Literal["end", "half", "close", "reset"]
"""How a watch may end: in good order; in the middle of a frame; at once, with an end of file or a TCP reset."""

EXPIRED: Final = 410
RunAside = Callable[[Any, str], "asyncio.Task[Any]"]


@dataclass(frozen=True, slots=True)
class _Bookmark:
    version: int
    initial_events_end: bool = False


@dataclass(frozen=True, slots=True)
class _Error:
    status: Any


@dataclass(eq=False, slots=True)
class _Watch:
    """One watch. What it has to say goes through ``queue`` in the order in which it happened."""

    request: web.Request
    view: View
    selected: Test
    queue: asyncio.Queue[Event | _Bookmark | _Error | Cut] = field(default_factory=asyncio.Queue)

    def frame(self, item: Event | _Bookmark | _Error) -> dict[str, Any] | None:
        """The WatchEvent of something that happened; None where this watch need not know."""
        if isinstance(item, _Error):
            return {"type": "ERROR", "object": item.status}
        if isinstance(item, _Bookmark):
            marked = bookmark(item.version, initial_events_end=item.initial_events_end)
            return {"type": "BOOKMARK", "object": self.view.event(marked) if self.view.kind != "table" else marked}
        return self._change(item)

    def _change(self, event: Event) -> dict[str, Any] | None:
        was = event.before is not None and self.selected(event.before)
        now: Pod | None = event.after if event.after is not None and self.selected(event.after) else None
        if now is not None:
            return {"type": "MODIFIED" if was else "ADDED", "object": self.view.event(now)}
        return {"type": "DELETED", "object": self.view.event(event.last())} if was else None


class Watches:
    """The handler of watches; ``open`` is how many there are."""

    def __init__(self, config: KubernetesConfig, clock: Clock, store: Store, run_aside: RunAside) -> None:
        self._config, self._clock, self._store, self._run_aside = config, clock, store, run_aside
        self._open: set[_Watch] = set()
        self.events = 0
        """Events written, bookmarks not counted."""

    @property
    def open(self) -> int:
        """Watches that go on now."""
        return len(self._open)

    def cut(self, how: Cut) -> int:
        """End every open watch so; returns how many there were. What was not sent yet is never sent."""
        for watch in self._open:
            if how in ("end", "half"):
                watch.queue.put_nowait(how)
            else:
                hang_up(watch.request, reset=how == "reset")
        return len(self._open)

    async def watch(self, ask: Ask) -> web.StreamResponse:
        """Stream until the caller leaves, its time is over, or the watch is cut."""
        view = view_of(ask, self._clock)
        watch = _Watch(ask.request, view, ask.selected)
        seconds = ask.number("timeoutSeconds") or self._config.watch_seconds
        stop = self._store.watch(watch.queue.put_nowait)  # from here on nothing is missed: no await until the backlog
        try:
            backlog = list(self._backlog(ask))
            ticks = self._run_aside(self._tick(watch, seconds, ask.flag("allowWatchBookmarks")), "watch")
            self._open.add(watch)
            try:
                return await self._send(watch, backlog)
            finally:
                self._open.discard(watch)
                ticks.cancel()
        finally:
            stop()

    def _backlog(self, ask: Ask) -> Iterator[Event | _Bookmark | _Error]:
        """What the watch begins with: the pods there are, or what has happened since a resourceVersion."""
        initial = ask.parameter("sendInitialEvents") is not None
        if initial and ask.parameter("resourceVersionMatch") != "NotOlderThan":
            why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            cause = {"reason": "FieldValueForbidden", "message": why, "field": "resourceVersionMatch"}
            details = {"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]}
            message = f'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: {why}'
            refuse(422, "Invalid", message, details)
        since = ask.number("resourceVersion")
        if ask.flag("sendInitialEvents") or (not initial and not since):
            yield from (Event(int(pod["metadata"]["resourceVersion"]), ("", ""), None, pod) for pod in self._store)
            if initial:
                yield _Bookmark(self._store.version, initial_events_end=True)
        elif since:
            try:
                yield from self._store.since(since)
            except Refused as refusal:
                if refusal.reply.status != EXPIRED:
                    raise
                yield _Error(refusal.reply.body)

    async def _tick(self, watch: _Watch, seconds: float, bookmarks: bool) -> None:
        """Bookmarks where they are allowed, and the end."""
        every = self._config.bookmark_seconds
        while bookmarks and seconds > every:
            await self._clock.sleep(every)
            watch.queue.put_nowait(_Bookmark(self._store.version))
            seconds -= every
        await self._clock.sleep(seconds)
        watch.queue.put_nowait("end")

    async def _send(self, watch: _Watch, backlog: list[Event | _Bookmark | _Error]) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        response = web.StreamResponse(headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(watch.request)
        for begins in backlog:
            await self._write(watch, response, begins)
            if isinstance(begins, _Error):
                await response.write_eof()
                return response
        while not isinstance(item := await watch.queue.get(), str):
            await self._write(watch, response, item)
        if item == "half":
            await response.write(b'{"type":"MODIFIED","object":{"kind":"Pod","apiVersi')
            return hang_up(watch.request, reset=False)
        await response.write_eof()
        return response

    async def _write(self, watch: _Watch, response: web.StreamResponse, item: Event | _Bookmark | _Error) -> None:
        frame = watch.frame(item)
        if frame is not None:
            await response.write(encode(frame))
            self.events += isinstance(item, Event)
