"""What a dialect is: the meaning of an API's requests, and the look of its errors. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

from proxy.dialects.translation import Translator
from proxy.domain.ids import Seconds
from proxy.domain.messages import USUAL_HEAD, HeadBounds, Reply, RequestHead, ResponseHead
from proxy.domain.pods import PodRules
from proxy.domain.problem import Problem

MAX_BODY: Final = 499
"""Bytes of an error: some callers (WASM guests) see no more than 500 of a body (problems.md §1.2a)."""
_TAIL: Final = 80
"""Characters at a message's end that are kept: they say when to come back."""


class Dialect(Protocol):
    """One API's way to speak. Stateless; every method is a function of its arguments."""

    name: str
    operations: frozenset[str]
    guards_own_credential: bool
    """Whether what Headgate's own credential may do there is worth keeping web pages out of."""
    heads: HeadBounds
    """How long heads may be on an upstream's own listener, where nothing but this API is spoken."""
    warning: bytes
    """Header line, ended by CRLF, added to an upstream's ambiguous reply so that the client does not send again;
    empty: none."""

    def classify(self, method: str, path: str, query: bytes) -> str:
        """The operation of a request, by method, normalised path after the mount, and the caller's query.

        The method is ``APPLY`` for a PATCH that is a server-side apply.
        """

    def namespace(self, path: str) -> str | None:
        """The namespace that a path names; None where it names none or the API has none."""

    def translator(self, pods: PodRules | None) -> Translator | None:
        """What changes in requests and replies of an upstream with these rules; None: nothing ever does."""

    def credential(self, head: RequestHead) -> bytes | None:
        """What the caller authenticates with."""

    def speaks_for_another(self, head: RequestHead) -> str | None:
        """What in a request claims to be somebody, and would be believed on Headgate's own credential; None: nothing.

        Asked only where Headgate speaks with its own.
        """

    def timeout(self, target: bytes) -> Seconds | None:
        """How long the caller gives the request in the API's own words, by its target; None: it does not say."""

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


class ChangesNothing:
    """The part of a dialect whose API has no namespaces and whose bytes pass as they are."""

    heads = USUAL_HEAD
    warning = b""
    guards_own_credential = False

    def namespace(self, path: str) -> str | None:
        return None

    def translator(self, pods: PodRules | None) -> Translator | None:
        return None

    def speaks_for_another(self, head: RequestHead) -> str | None:
        return None

    def timeout(self, target: bytes) -> Seconds | None:
        return None


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


def edge_problem(head: ResponseHead, body: bytes) -> Problem:
    """What something in front of an API answered, in a page or a word of its own."""
    said = re.sub(r"[^\x20-\x7e]+", " ", re.sub(rb"<[^>]*>", b" ", body[:2000]).decode("latin-1"))
    text = re.sub(r" {2,}", " ", said).strip()[:200] or "no further word"
    retry_after = head.get(b"retry-after")
    seconds = int(retry_after) if retry_after is not None and retry_after.isdigit() else None
    return Problem(head.status, "edge_error", f"the edge answered {head.status}: {text}", "", seconds)


def error_body(document: Mapping[str, Any], *texts: str, most: int = MAX_BODY) -> bytes:
    """An error as ASCII JSON of at most ``most`` bytes; the members named by ``texts`` lose their middle for it."""
    body = json.dumps(document).encode("ascii")
    if len(body) <= most:
        return body
    fits, too_long = 0, max(len(document[name]) for name in texts)
    while too_long - fits > 1:  # escapes make a character up to six bytes, so lengths are tried
        length = (fits + too_long) // 2
        if len(_shortened(document, texts, length)) <= most:
            fits = length
        else:
            too_long = length
    return _shortened(document, texts, fits)


def _shortened(document: Mapping[str, Any], texts: Iterable[str], length: int) -> bytes:
    return json.dumps({**document, **{t: _without_middle(document[t], length) for t in texts}}).encode("ascii")


def _without_middle(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    if length <= _TAIL + 3:
        return text[-length:] if length > 0 else ""
    return f"{text[: length - _TAIL - 3]}...{text[-_TAIL:]}"
