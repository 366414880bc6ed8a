"""The one place that knows the API's paths: which requests are about pods, and what they do. Pure.

Only the core group has pods: ``/apis/metrics.k8s.io/…/pods`` and others also end in ``/pods`` (kubernetes.md §1.1).
Paths come normalised (:mod:`proxy.domain.paths`) and behind the mount; a trailing slash changes nothing. The API server
routes by the path with every escape decoded (Go's ``URL.Path``), so ``namespaces/a%2Fpods`` is the pods of ``a``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from proxy.dialects.kubernetes.query import first, flag, named, text

OPERATIONS: Final = frozenset({"create", "destroy", "update", "observe", "watch", "stream", "other"})
"""design.md §2.10."""

_PODS: Final = re.compile(
    r"/api/v1/(?P<watch>watch/)?(?:namespaces/(?P<namespace>[^/]+)/)?pods"
    r"(?:/(?P<name>[^/]+)(?:/(?P<subresource>[^/]+)(?P<rest>/.*)?)?)?/?",
    re.DOTALL,
)
_NAMESPACED: Final = re.compile(r"/(?:api/v1|apis/[^/]+/[^/]+)/(?:watch/)?namespaces/([^/]+)(?:/.*)?", re.DOTALL)
_PROXY: Final = re.compile(
    r"/api/v1/(?:proxy/.*|(?:namespaces/[^/]+/services|nodes)/[^/]+/proxy(?:/.*)?)",
    re.DOTALL,
)
EXEC_LINE: Final = re.compile(rb"(?:GET|POST) /api/v1/namespaces/[^/?%]{1,253}/pods/[^/?%]{1,253}/exec\?")
"""How the request line of an exec begins where its path is spelled as clients spell it, without escapes."""
_STREAMS: Final = frozenset({"exec", "attach", "portforward", "proxy"})
_READS: Final = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class PodRoute:
    """What a request about pods names: all of them, those of a namespace, one, or a part of one."""

    namespace: str | None
    name: str | None
    """None: a collection."""
    subresource: str
    """``status``, ``log`` …; empty for the pod itself."""
    watch: bool
    """A stream of events: ``watch=`` on a GET of a collection, or the deprecated prefix (one pod too)."""
    follow: bool
    """A log without end."""
    resumed: bool
    """A watch that goes on from a version its caller knows, without the initial events."""

    @property
    def collection(self) -> bool:
        return self.name is None


def pod_route(method: str, path: str, query: bytes) -> PodRoute | None:
    """The pods that a request is about; None where it is about something else, or names what is not served.

    A ``watch=`` beside a pod's name means nothing: the API server answers with the pod.
    """
    path = _as_routed(path)
    if "/pods" not in path:
        return None
    found = _PODS.fullmatch(path)
    if found is None:
        return None
    name, subresource = found["name"], found["subresource"] or ""
    deeper = found["rest"] not in (None, "/") and subresource != "proxy"
    prefixed = found["watch"] is not None
    if deeper or (name and found["namespace"] is None) or (prefixed and (subresource or method != "GET")):
        return None
    watch = method == "GET" and (prefixed or (name is None and flag(query, "watch")))
    follow = subresource == "log" and flag(query, "follow")
    return PodRoute(found["namespace"], name, subresource, watch, follow, watch and not _initial_events(query))


def _as_routed(path: str) -> str:
    return unquote(path, "latin-1") if "%" in path else path


def _initial_events(query: bytes) -> bool:
    """Whether a watch begins with what is there: asked for, or by default where no version is named."""
    if first(query, "sendInitialEvents") is not None:
        return flag(query, "sendInitialEvents")
    return text(query, "resourceVersion") in ("", "0")


def namespace_of(path: str) -> str | None:
    """The namespace that a path names, of whatever group and resource (and of a namespace itself); None: none."""
    found = _NAMESPACED.fullmatch(_as_routed(path))
    return None if found is None else found[1]


def operation_of(method: str, path: str, query: bytes) -> str:
    """What a request does, in the words of design.md §2.10.

    - ``create``: POST of a pod to a namespace, and a server-side apply (``APPLY``) of one, which makes it where it is
      not there yet · ``destroy``: DELETE of a pod or a collection, POST of an eviction ·
      ``update``: PUT or PATCH of a pod or a part of one · ``observe``: GET or HEAD of pods, of a part of one, and
      of a log that ends · ``watch``: a stream of events of pods.
    - ``stream``: what has no end of its own and may carry anything: exec, attach, portforward, a followed log, and a
      ``proxy`` of pods, services or nodes alike.
    - ``other``: everything else. So are requests about other resources, whatever they do, because seats and waits
      are about pods; and so is what would create or destroy but says ``dryRun=All``, because nothing comes of it.
    """
    route = pod_route(method, path, query)
    if route is None:
        return "stream" if _PROXY.fullmatch(_as_routed(path)) else "other"
    if route.subresource in _STREAMS or (route.follow and method == "GET"):
        return "stream"
    if route.watch:
        return "watch"
    if method in _READS:
        return "observe"
    if method == "APPLY" and route.name is not None and not route.subresource and not _dry_run(query):
        return "create"
    if method in ("PUT", "PATCH", "APPLY"):
        return "update" if route.name is not None else "other"
    ends = method == "DELETE" and not route.subresource
    evicts = method == "POST" and route.subresource == "eviction"
    begins = method == "POST" and route.collection and route.namespace is not None
    if not (ends or evicts or begins) or _dry_run(query):
        return "other"
    return "create" if begins else "destroy"


def _dry_run(query: bytes) -> bool:
    return any(found.value == b"All" for found in named(query, "dryRun"))
