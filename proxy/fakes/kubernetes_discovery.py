"""What clients ask before they ask for pods: version, groups, resources, health."""

from __future__ import annotations

from typing import Any, Final

from proxy.fakes.kubernetes_ask import Ask
from proxy.fakes.kubernetes_status import JSON, no_such_resource, not_allowed
from proxy.fakes.server import Refused, Reply

_POD_VERBS: Final = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_POD: Final[dict[str, Any]] = {"singularName": "pod", "namespaced": True, "kind": "Pod"}
_SUB: Final[dict[str, Any]] = {"singularName": "", "namespaced": True}
RESOURCES: Final = [
    {"name": "pods", **_POD, "verbs": _POD_VERBS, "shortNames": ["po"], "categories": ["all"]},
    {"name": "pods/status", **_SUB, "kind": "Pod", "verbs": ["get", "patch", "update"]},
    {"name": "pods/log", **_SUB, "kind": "Pod", "verbs": ["get"]},
    {"name": "pods/exec", **_SUB, "kind": "PodExecOptions", "verbs": ["create", "get"]},
    {"name": "pods/attach", **_SUB, "kind": "PodAttachOptions", "verbs": ["create", "get"]},
    {
        "name": "pods/eviction",
        **_SUB,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    },
]


class Discovery:
    """The handler of everything that is not about pods."""

    def __init__(self, version: str) -> None:
        major, minor, _ = version.removeprefix("v").split(".")
        here = {"clientCIDR": "0.0.0.0/0", "serverAddress": "127.0.0.1:6443"}
        self._documents: dict[str, Any] = {
            "/version": {
                "major": major,
                "minor": minor,
                "gitVersion": version,
                "platform": "linux/amd64",
                "compiler": "gc",
            },
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [here]},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
            "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES},
        }

    async def answer(self, ask: Ask) -> Reply:
        """A document, ``ok`` for the health paths, 404 for what is not served."""
        path = ask.request.rel_url.path.rstrip("/") or "/"
        if path in ("/healthz", "/livez", "/readyz"):
            return Reply(200, "ok", {}, "text/plain; charset=utf-8")
        if path not in self._documents:
            if path.startswith("/api/v1/"):
                raise Refused(no_such_resource())
            return Reply(404, "404 page not found\n", {}, "text/plain; charset=utf-8")
        if ask.request.method not in ("GET", "HEAD"):
            raise Refused(not_allowed())
        return Reply(200, self._documents[path], {}, JSON)
