"""What a dialect changes in requests and replies on their way: the seam between meaning and bytes. Pure.

Most dialects change nothing and have no :class:`Translator`. One that has looks at each request once, and gives a
:class:`Passage` where anything is to change. Everything without a passage goes byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from proxy.domain.messages import RequestHead, ResponseHead

PassedAsItWas = Literal["too-big", "not-json", "other-encoding", "broken"]
"""Why a pod that may have needed a change passed with its original bytes: bigger than what is parsed · not the JSON
that was asked for · compressed though it was not asked to be · neither (truncated, malformed, of another shape)."""

PodState = Literal["starting", "ready", "over", "gone"]
"""As ``hold: ready`` sees a pod: not yet Ready · Ready · its mains final, or a terminal phase · deleted."""


@dataclass(frozen=True, slots=True)
class PodSeen:
    """One pod as a reply showed it. ``uid`` is empty where the reply does not tell it (a 404)."""

    namespace: str
    name: str
    uid: str
    state: PodState


class Witness(Protocol):
    """Is told what passes. Never raises, never blocks."""

    @property
    def expecting(self) -> bool:
        """Whether anybody waits to hear of a pod: only then are pods that need no change looked at."""

    def saw(self, pod: PodSeen) -> None:
        """A reply showed this pod; called only while ``expecting``."""

    def rewritten(self) -> None:
        """One pod was changed."""

    def passed(self, why: PassedAsItWas) -> None:
        """Something passed with its original bytes though it may have needed a change."""


class Transform(Protocol):
    """Changes one body as it passes. Holds back at most one value that is not complete yet; never raises."""

    def feed(self, data: bytes) -> bytes:
        """The next bytes, without frames or coding; returns what can go on: often the same object, or nothing."""

    def end(self) -> bytes:
        """The body is complete: what was still held back."""


class Passage(Protocol):
    """What changes in one request and its reply."""

    target: bytes
    """The target for the upstream."""
    fields: Mapping[bytes, bytes | None]
    """Request fields by lower-case name: a value replaces the first line of that name, in its place and case, and
    drops the others; None drops all. A field that the request lacks is not added."""
    longest_body: int
    """Bytes of request body to be read whole and given to ``body``; 0: the body passes as it comes."""
    streams: bool
    """Whether the reply is to be changed as it comes. Otherwise it is given whole, where it is at most
    :data:`LONGEST_WHOLE` bytes, so that it keeps its Content-Length."""

    def body(self, body: bytes) -> bytes:
        """The request's body for the upstream; the same object where nothing changes.

        HeadgateError where it must not be sent.
        """

    def reply(self, head: ResponseHead) -> Transform | None:
        """What changes the reply's body; None: nothing does."""

    def told(self, status: int) -> PodSeen | None:
        """What the reply's status alone tells of a pod (its uid is empty): a 404 that it is gone; None: nothing."""


LONGEST_WHOLE = 3 * 1024 * 1024
"""Bytes of a reply that is changed whole: what the API server takes as a body at most (kubernetes.md §9.1)."""


class Translator(Protocol):
    """What a dialect changes for one upstream. Stateless."""

    def passage(self, operation: str, path: str, head: RequestHead, target: bytes, witness: Witness) -> Passage | None:
        """What changes in this request and its reply; None: nothing.

        ``path`` is normalised and behind the mount, ``target`` what would go upstream, with its query.
        HeadgateError where the request cannot be passed on at all.
        """

    def look(self, pod: PodSeen, created: RequestHead) -> RequestHead:
        """The request that reads this pod for whoever sent the one that created it, with the same credential.

        Its target is a path behind the mount; there is no Host in it.
        """
