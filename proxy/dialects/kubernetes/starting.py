"""What is known of starting pods besides their JSON: how to look at one, and what a status alone tells. Pure."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from proxy.dialects.kubernetes.query import text
from proxy.dialects.kubernetes.routes import PodRoute
from proxy.dialects.translation import PassedAsItWas, PodSeen, Witness
from proxy.domain.messages import RequestHead

_SPEAKS: Final = re.compile(rb"authorization|(?:impersonate|x-remote)-.*")
"""Fields by which the API server knows who asks (kubernetes.md §8)."""
_WHOLE: Final = frozenset({"", "status"})
"""Subresources that are the pod itself: where these are not found, no pod is."""
_SURE: Final = re.compile(r"metadata\.name(?:space)?=")
"""Fields that never change, so that a selector on them alone never loses a pod that is there."""


def look_at(pod: PodSeen, created: RequestHead) -> RequestHead:
    """The request that reads a pod as whoever sent ``created`` would; names are the upstream's, and not trusted."""
    namespace, name = (quote(text, safe="", errors="replace") for text in (pod.namespace, pod.name))
    target = f"/api/v1/namespaces/{namespace}/pods/{name}"
    same = [line for key, line in zip(created.keys, created.lines, strict=True) if _SPEAKS.fullmatch(key)]
    fields = b"\r\n".join([b"Accept: application/json", *same, b""])
    return RequestHead("GET", target.encode("ascii"), 1, fields)


class Doubting:
    """The witness of a watch with a selector: DELETED may only mean that a pod is no longer selected (§1.3).

    A pod that is deleted in good order says so before, with its ``deletionTimestamp``.
    """

    __slots__ = ("_witness",)

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    @property
    def expecting(self) -> bool:
        return self._witness.expecting

    def saw(self, pod: PodSeen) -> None:
        if pod.state != "gone":
            self._witness.saw(pod)

    def rewritten(self) -> None:
        self._witness.rewritten()

    def passed(self, why: PassedAsItWas) -> None:
        self._witness.passed(why)


def heard_by(witness: Witness, route: PodRoute, query: bytes) -> Witness:
    """The witness of a request's reply: one that doubts where the reply does not tell who is gone."""
    if not route.watch:
        return witness
    terms = text(query, "fieldSelector").split(",")
    chosen = text(query, "labelSelector") or any(term and not _SURE.match(term) for term in terms)
    return Doubting(witness) if chosen else witness


def told(route: PodRoute, operation: str, status: int, query: bytes) -> PodSeen | None:
    """What a reply's status tells of the one pod it is about: not found, or on its way out; None: nothing.

    A delete or an eviction that is taken ends the start of a pod at once, whatever its grace period. With a
    ``resourceVersion`` the answer may come from a cache that has not heard of a new pod yet.
    """
    if route.namespace is None or route.name is None:
        return None
    if status == 404 and route.subresource in _WHOLE and not text(query, "resourceVersion"):
        return PodSeen(route.namespace, route.name, "", "gone")
    if operation == "destroy" and 200 <= status < 300:
        return PodSeen(route.namespace, route.name, "", "over")
    return None
