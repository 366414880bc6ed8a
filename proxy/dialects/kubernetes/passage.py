"""What changes in Kubernetes requests and replies on their way: which of them, and what each is given. Pure.

Whatever may be answered with pods is asked for in JSON without compression (kubernetes.md §2.3, §1.7), and the pods in
the reply tell the truth (:mod:`proxy.dialects.kubernetes.truth`). A phase selector is taken out of what goes upstream
and answered here, but for DELETE of a collection: without it every pod would be deleted (kubernetes.md §0.10). A write
of ``…/status`` loses what was told, and so does what ``kubectl apply`` keeps of a file. Logs, exec, attach,
port-forward and proxied bytes are never looked at, and neither is what goes around all this: ``Headgate-Raw: 1``, and
debuggers that refuse a pod that says Failed (§6.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from proxy.dialects.kubernetes.accept import JSON, Asked, asked, only_json
from proxy.dialects.kubernetes.applied import unapplied
from proxy.dialects.kubernetes.replies import Choice, transform
from proxy.dialects.kubernetes.routes import PodRoute, pod_route
from proxy.dialects.kubernetes.selectors import without_phase
from proxy.dialects.kubernetes.starting import heard_by, look_at, told
from proxy.dialects.kubernetes.tables import asked_include, with_objects
from proxy.dialects.kubernetes.whole import Nothing
from proxy.dialects.kubernetes.writeback import restored
from proxy.dialects.translation import LONGEST_WHOLE, PassedAsItWas, PodSeen, Transform, Witness
from proxy.domain.errors import BadRequest
from proxy.domain.messages import RequestHead, ResponseHead
from proxy.domain.pods import PodRules

_PARTS: Final = frozenset({"", "status", "ephemeralcontainers", "resize"})
"""Subresources that are answered with the pod."""
_DEBUGGERS: Final = frozenset({b"exec", b"attach", b"cp", b"port-forward", b"debug"})
_UNCHANGED: Final[Mapping[bytes, bytes | None]] = MappingProxyType({})


class KubernetesTranslator:
    """What changes for one upstream (see :class:`proxy.dialects.translation.Translator`).

    Without rules it works as with rules that name no mains, since an annotation still enrols a pod (design.md §2.9).
    """

    __slots__ = ("_rules",)

    def __init__(self, rules: PodRules | None) -> None:
        self._rules = rules or PodRules()

    def passage(
        self, operation: str, path: str, head: RequestHead, target: bytes, witness: Witness
    ) -> PodPassage | None:
        """See :meth:`proxy.dialects.translation.Translator.passage`. BadRequest for a watch over WebSocket."""
        where, mark, query = target.partition(b"?")
        route = pod_route(head.method, path, query)
        if route is None or (_goes_around(head) and operation != "create"):  # seats may hang on what a create makes
            return None
        asking = _Asking(operation, head.method, route, query, head.get(b"content-type") or b"")
        if not _answered_with_pods(head.method, route):
            if operation != "destroy":
                return None
            return PodPassage(target, _UNCHANGED, asking, None, self._rules, witness)  # how an eviction ends is told
        if route.watch and _is_websocket(head):
            raise BadRequest("pods are not watched over WebSocket here: watch without Upgrade")
        accept = head.get(b"accept")
        wanted = None if accept is None else only_json(accept)
        choice = None
        if head.method == "GET" and route.collection:
            query, choice = _chosen(query, asked(wanted))
            if choice is not None and choice.form.form == "metadata":
                wanted = JSON
        fields = _fields(head, wanted)
        witness = heard_by(witness, route, query)
        return PodPassage(where + mark + query, fields, asking, choice, self._rules, witness)

    def look(self, pod: PodSeen, created: RequestHead) -> RequestHead:
        """See :meth:`proxy.dialects.translation.Translator.look`."""
        return look_at(pod, created)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What is asked."""

    operation: str
    method: str
    route: PodRoute
    query: bytes
    content_type: bytes


class PodPassage:
    """One request about pods (see :class:`proxy.dialects.translation.Passage`)."""

    __slots__ = ("_asking", "_choice", "_rules", "_witness", "fields", "longest_body", "streams", "target")

    def __init__(
        self,
        target: bytes,
        fields: Mapping[bytes, bytes | None],
        asking: _Asking,
        choice: Choice | None,
        rules: PodRules,
        witness: Witness,
    ) -> None:
        self.target = target
        self.fields = fields
        self._asking = asking
        self._choice = choice
        self._rules = rules
        self._witness = witness
        writes = asking.method in ("POST", "PUT", "PATCH") and asking.route.subresource in ("", "status")
        self.longest_body = LONGEST_WHOLE if writes else 0
        """What the API server takes at most (kubernetes.md §9.1), where what was told could get stored."""
        self.streams = asking.route.watch or (asking.route.collection and asking.method != "POST")

    def body(self, body: bytes) -> bytes:
        """See :meth:`proxy.dialects.translation.Passage.body`. StatusNotRestorable where it must not be stored."""
        if self._asking.route.subresource:
            return restored(body, self._asking.content_type)
        return unapplied(body)

    def reply(self, head: ResponseHead) -> Transform | None:
        """See :meth:`proxy.dialects.translation.Passage.reply`. Errors pass, and so does what is no JSON after all.

        But nothing passes of pods that were to be chosen here and cannot be: who asks for failed pods may delete all
        that is listed (kubernetes.md §0.10).
        """
        asking = self._asking
        if not 200 <= head.status < 300 or head.status == 204 or head.get(b"content-length") == b"0":
            return None
        if not _answered_with_pods(asking.method, asking.route):
            return None
        if (head.get(b"content-encoding") or b"identity").lower() != b"identity":
            return self._unread("other-encoding")
        if (head.get(b"content-type") or b"").partition(b";")[0].strip().lower() != JSON:
            return self._unread("not-json")
        return transform(asking.route, self.streams, self._choice, self._rules, self._witness)

    def _unread(self, why: PassedAsItWas) -> Transform | None:
        self._witness.passed(why)
        return None if self._choice is None else Nothing()

    def told(self, status: int) -> PodSeen | None:
        """See :meth:`proxy.dialects.translation.Passage.told`."""
        asking = self._asking
        return told(asking.route, asking.operation, status, asking.query)


def _answered_with_pods(method: str, route: PodRoute) -> bool:
    """The table of kubernetes.md §1.1. A HEAD has no body to change."""
    match method:
        case "GET":
            return route.subresource in _PARTS
        case "PUT" | "PATCH":
            return route.name is not None and route.subresource in _PARTS
        case "POST":
            return route.collection and route.namespace is not None
        case "DELETE":
            return not route.subresource
    return False


def _goes_around(head: RequestHead) -> bool:
    """Whether the caller wants to see pods as they are (kubernetes.md §6.3)."""
    if head.get(b"headgate-raw") == b"1":
        return True
    words = (head.get(b"kubectl-command") or b"").split()
    return head.method == "GET" and len(words) > 1 and words[0] == b"kubectl" and words[1] in _DEBUGGERS


def _is_websocket(head: RequestHead) -> bool:
    """Whether the API server would answer with one message per event (kubernetes.md §1.3)."""
    return b"websocket" in head.tokens(b"upgrade") and b"upgrade" in head.tokens(b"connection")


def _chosen(query: bytes, form: Asked) -> tuple[bytes, Choice | None]:
    """The query for the upstream, and what is left to be chosen from its answer."""
    found = without_phase(query)
    include = asked_include(query)
    if found is None or include is None:
        return query, None
    rest, test = found
    return with_objects(rest) if form.form == "table" else rest, Choice(test, form, include)


def _fields(head: RequestHead, accept: bytes | None) -> Mapping[bytes, bytes | None]:
    fields: dict[bytes, bytes | None] = {}
    if accept is not None and accept != head.get(b"accept"):
        fields[b"accept"] = accept
    if any(value.lower() != b"identity" for value in head.get_all(b"accept-encoding")):
        fields[b"accept-encoding"] = b"identity"
    return fields
