"""One request as the fake API server reads it: what it is about, by path and query (kubernetes.md §1.1, §1.2)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

from aiohttp import web

from proxy.fakes.kubernetes_selectors import Test, parse
from proxy.fakes.kubernetes_status import refuse

_PODS: Final = re.compile(
    r"/api/v1/(?P<watch>watch/)?(?:namespaces/(?P<namespace>[^/]+)/)?pods"
    r"(?:/(?P<name>[^/]+)(?:/(?P<sub>[^/]+))?)?/?"
)
_STREAMS: Final = frozenset({"exec", "attach", "log"})
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get"}
_SUBRESOURCES: Final = frozenset({"status", "log", "exec", "attach", "eviction"})
UNKNOWN_FORMAT: Final = "the body of the request was in an unknown format - accepted media types include: "

_JSON_BODIES: Final = frozenset({"application/json", ""})


def truth(value: str | None) -> bool:
    """A boolean of a query: absent, ``0`` and any-case ``false`` are false, everything else is true."""
    return value is not None and value != "0" and value.lower() != "false"


@dataclass(frozen=True)
class Ask:
    """What a request wants of pods. Empty strings for what it does not name."""

    request: web.Request
    raw: bytes
    operation: str
    """``create``, ``get``, ``list``, ``watch``, ``update``, ``patch``, ``delete``, ``deletecollection``; those of
    ``/status`` are ``patch/status`` and so on; ``log``, ``exec``, ``attach``, ``evict``; ``other`` for the rest."""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """Every parameter in order, blank values too."""
        return parse_qsl(self.request.rel_url.raw_query_string, keep_blank_values=True)

    def parameter(self, name: str) -> str | None:
        """The first of that name."""
        return next((value for key, value in self.query if key == name), None)

    def flag(self, name: str) -> bool:
        """A boolean parameter."""
        return truth(self.parameter(name))

    def number(self, name: str) -> int | None:
        """A parameter that is a whole number; 400 for anything else."""
        value = self.parameter(name)
        if not value:
            return None
        if not value.isdigit():
            refuse(400, "BadRequest", f'strconv.ParseInt: parsing "{value}": invalid syntax')
        return int(value)

    @property
    def selected(self) -> Test:
        """The selectors and the path in one test."""
        test = parse(self.parameter("labelSelector") or "", self.parameter("fieldSelector") or "")
        namespace, name = self.namespace, self.name

        def selects(pod: dict[str, Any]) -> bool:
            mine = namespace in ("", pod["metadata"]["namespace"]) and name in ("", pod["metadata"]["name"])
            return mine and test(pod)

        return selects

    @property
    def content_type(self) -> str:
        """The body's type without parameters; empty for none."""
        return self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    def document(self) -> dict[str, Any]:
        """The body as a JSON object; 415 for another type, 400 for a body that is none. Empty for no body."""
        if self.content_type not in _JSON_BODIES:
            refuse(415, "UnsupportedMediaType", UNKNOWN_FORMAT + "application/json")
        document = self.json()
        if not isinstance(document, dict):
            refuse(400, "BadRequest", "the object provided is unrecognized (must be of type Pod)")
        return document

    def json(self) -> Any:
        """The body as JSON, whatever its type says."""
        try:
            return json.loads(self.raw or b"{}")
        except ValueError as why:
            refuse(400, "BadRequest", f"the object provided is unrecognized (must be of type Pod): {why}")


def read(request: web.Request, raw: bytes) -> Ask:
    """What a request is about; ``other`` for everything that is not about pods of the core group."""
    found = _PODS.fullmatch(request.rel_url.path)
    if found is None:
        return Ask(request, raw, "other")
    namespace, name, sub = found["namespace"] or "", found["name"] or "", found["sub"] or ""
    return Ask(request, raw, _operation(request, name, sub, bool(found["watch"])), namespace, name, sub)


def _operation(request: web.Request, name: str, sub: str, watches: bool) -> str:
    if sub and sub not in _SUBRESOURCES:
        return "other"
    if sub in _STREAMS:
        return sub
    if sub == "eviction":
        return "evict"
    verb = _VERBS.get(request.method, "other")
    if verb == "get" and not sub and (watches or truth(request.rel_url.query.get("watch"))):
        return "watch"
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return f"{verb}/{sub}" if sub else verb
