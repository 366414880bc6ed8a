"""Reading pods: one, and lists in pages (kubernetes.md §1.2)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, Final

from proxy.fakes.clock import Clock
from proxy.fakes.kubernetes_ask import Ask
from proxy.fakes.kubernetes_model import Pod
from proxy.fakes.kubernetes_status import JSON, refuse
from proxy.fakes.kubernetes_store import Key, Store, key_of
from proxy.fakes.kubernetes_views import View, negotiate
from proxy.fakes.server import Refused, Reply

WHENEVER: Final = -1
"""The resourceVersion of a continue token that goes on with the pods of now."""


def view_of(ask: Ask, clock: Clock) -> View:
    """How this request wants its pods shown; 406 where it cannot be."""
    return View(negotiate(ask.request.headers.get("Accept")), ask.parameter("includeObject") or "", clock.wall())


class Reading:
    """The handlers of GET."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock, self._store = clock, store

    async def get(self, ask: Ask) -> Reply:
        """One pod; ``/status`` shows the whole pod too."""
        pod = self._store.get(ask.namespace, ask.name)
        return Reply(200, view_of(ask, self._clock).one(pod), {}, JSON)

    async def many(self, ask: Ask) -> Reply:
        """Pods of a namespace or of all, by name. All pages of a list show one moment."""
        view, selected = view_of(ask, self._clock), ask.selected
        limit, token = ask.number("limit") or 0, ask.parameter("continue")
        version, start = _read_token(token) if token else (self._version(ask), None)
        pods = [pod for pod in self._pods(version, start) if selected(pod)]
        version = self._store.version if version == WHENEVER else version
        page = pods[:limit] if limit else pods
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if len(page) < len(pods):
            metadata["continue"] = _token(version, key_of(page[-1]))
            if not ask.parameter("labelSelector") and not ask.parameter("fieldSelector"):
                metadata["remainingItemCount"] = len(pods) - len(page)
        return Reply(200, view.many(page, metadata), {}, JSON)

    def _version(self, ask: Ask) -> int:
        """The moment that a first page shows: now, unless an exact one is asked for."""
        asked = ask.number("resourceVersion")
        if asked and ask.parameter("resourceVersionMatch") == "Exact":
            return asked
        if asked:
            self._store.since(max(asked, self._store.oldest))  # only one from the future is refused
        return self._store.version

    def _pods(self, version: int, start: Key | None) -> list[Pod]:
        try:
            pods = self._store.at(self._store.version if version == WHENEVER else version)
        except Refused as refusal:
            if start is None:
                raise
            raise Refused(_too_old(refusal.reply, start)) from None
        behind: Callable[[Pod], bool] = lambda pod: start is None or key_of(pod) > start  # noqa: E731
        return [pod for pod in pods if behind(pod)]


def _token(version: int, last: Key) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": list(last)})
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[int, Key]:
    try:
        said = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return int(said["rv"]), (said["start"][0], said["start"][1])
    except (ValueError, KeyError, TypeError, IndexError):
        refuse(400, "BadRequest", f"invalid continue token: continue key is not valid: {token}")


def _too_old(reply: Reply, start: Key) -> Reply:
    """The 410 of a page; it brings a token with which the rest can be had as it is now."""
    message = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    body = reply.body | {"metadata": {"continue": _token(WHENEVER, start)}, "message": message}
    return Reply(reply.status, body, reply.headers, reply.content_type)
