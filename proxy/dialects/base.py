"""What a dialect is: the meaning of an API's requests, and the look of its errors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from proxy.domain.messages import Reply, RequestHead, ResponseHead
from proxy.domain.problem import Problem


class Dialect(Protocol):
    """One API's way to speak. Stateless; every method is a function of its arguments."""

    name: str
    operations: frozenset[str]

    def classify(self, method: str, path: str) -> str:
        """The operation of a request, by method and normalised path after the mount."""

    def credential(self, head: RequestHead) -> bytes | None:
        """What the caller authenticates with."""

    def width(self, operation: str, body: bytes | None) -> int:
        """How many sandboxes the request would make: the seats it takes. At least 1."""

    def shielded(self, operation: str) -> bool:
        """Whether it must be finished once sent, even if its caller has left."""

    def not_admitted(self, status: int, body: bytes | None) -> bool:
        """Whether a reply says that the request was provably not processed."""

    def ambiguous(self, operation: str, status: int, body: bytes | None) -> bool:
        """Whether a reply leaves open if the request was processed, and sending it again could do it twice."""

    def needs_body(self, operation: str, head: ResponseHead) -> bool:
        """Whether judging or mending this reply wants its body."""

    def mend(self, head: ResponseHead, body: bytes) -> Problem | None:
        """An edge's error that the API's clients cannot read, as a problem they can; None where it is fine."""

    def render(self, problem: Problem, head: RequestHead | None) -> Reply:
        """A problem in the caller's language."""

    def origin_values(self, head: RequestHead) -> Mapping[str, str]:
        """What may stand in a templated upstream URL. BadRequest where the request names it badly."""


def api_key(head: RequestHead, *names: bytes) -> bytes | None:
    """The first of these fields that is there."""
    for name in names:
        value = head.get(name)
        if value:
            return value
    return None


def read_or_write(method: str) -> str:
    """The operations of a dialect that knows no more."""
    return "read" if method in ("GET", "HEAD", "OPTIONS") else "write"
