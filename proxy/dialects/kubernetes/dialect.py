"""The Kubernetes API as a dialect: operations, callers' credentials, which replies are safe to repeat. Pure.

The API server's errors pass byte for byte, with their ``Retry-After`` or without it (kubernetes.md §9.3): nothing is
mended, nothing added.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Final

from proxy.dialects.base import api_key
from proxy.dialects.kubernetes.passage import KubernetesTranslator
from proxy.dialects.kubernetes.query import text
from proxy.dialects.kubernetes.routes import EXEC_LINE, OPERATIONS, namespace_of, operation_of
from proxy.dialects.kubernetes.status import status_reply
from proxy.dialects.translation import Translator
from proxy.domain.ids import Seconds
from proxy.domain.messages import USUAL_HEAD, HeadBounds, LongerLine, Reply, RequestHead, ResponseHead
from proxy.domain.pods import PodRules
from proxy.domain.problem import Problem
from proxy.domain.quantities import go_duration

_SUBPROTOCOL: Final = b"base64url.bearer.authorization.k8s.io."
"""A bearer token in ``Sec-WebSocket-Protocol``, for browsers, which cannot set headers (kubernetes.md §8)."""
_FOR_ANOTHER: Final = (b"impersonate-", b"x-remote-")
"""Fields that speak for somebody else on the word of the credential beside them: impersonation, and what a front
proxy with a client certificate tells (kubernetes.md §8)."""
_HEADS: Final = HeadBounds(USUAL_HEAD.line, USUAL_HEAD.whole, LongerLine(EXEC_LINE, 400 * 1024))
"""A script of ``kubectl exec`` stands in the request line (kubernetes.md §10.1): Linux takes 128 KiB in one argument
(``MAX_ARG_STRLEN``), and escaping makes three bytes of one. The API server itself takes 1 MiB. Of an exec nothing but
its path is read here, so such a line costs little; of others the query is read several times."""
_MAY_HAVE_BEEN: Final = frozenset({500, 502, 503, 504})
"""Replies after which a pod may be there all the same: 500 and 504 are the API server's own timeouts too
(kubernetes.md §9.1)."""


class KubernetesDialect:
    """The Kubernetes API server, and whoever speaks like it."""

    name = "kubernetes"
    operations = OPERATIONS
    guards_own_credential = True
    heads = _HEADS
    warning = b""

    def classify(self, method: str, path: str, query: bytes) -> str:
        return operation_of(method, path, query)

    def namespace(self, path: str) -> str | None:
        return namespace_of(path)

    def translator(self, pods: PodRules | None) -> Translator | None:
        return KubernetesTranslator(pods)

    def credential(self, head: RequestHead) -> bytes | None:
        """Whose token it is, as the token says without proof, since a service account's token changes every hour.

        A made-up name gains nothing: the API server refuses its request. A token that names nobody stands for itself.
        """
        token = _bearer(head)
        if token is None:
            return api_key(head, b"authorization")
        subject = _subject(token)
        return token if subject is None else b"sub:" + subject

    def speaks_for_another(self, head: RequestHead) -> str | None:
        for key in head.keys:
            if key.replace(b"_", b"-").startswith(_FOR_ANOTHER):
                return key.decode("latin-1")
        return None if _subprotocol_token(head) is None else "a bearer token in sec-websocket-protocol"

    def timeout(self, target: bytes) -> Seconds | None:
        """``?timeout=20s``; 0 means none, as the API server reads it (its filter ``WithRequestDeadline``)."""
        query = target.partition(b"?")[2]
        if b"timeout" not in query and b"%" not in query:
            return None
        return go_duration(text(query, "timeout"))

    def width(self, operation: str, body: bytes | None) -> int:
        return 1

    def shielded(self, operation: str) -> bool:
        """A create that is cancelled half-way can leave a pod nobody knows."""
        return operation == "create"

    def not_admitted(self, status: int, body: bytes | None) -> bool:
        """429 comes before anything is done: from priority and fairness, from a disruption budget. 503 may come
        after (kubernetes.md §9.1)."""
        return status == 429

    def ambiguous(self, operation: str, status: int, body: bytes | None) -> bool:
        return operation == "create" and status in _MAY_HAVE_BEEN

    def needs_body(self, operation: str, head: ResponseHead) -> bool:
        return False

    def mend(self, head: ResponseHead, body: bytes) -> Problem | None:
        return None

    def render(self, problem: Problem, head: RequestHead | None) -> Reply:
        return status_reply(problem, head)

    def origin_values(self, head: RequestHead) -> Mapping[str, str]:
        return {}


def _bearer(head: RequestHead) -> bytes | None:
    """The token of ``Authorization: Bearer …``, else the one of a WebSocket's subprotocol."""
    authorization = head.get(b"authorization")
    if not authorization:
        return _subprotocol_token(head)
    scheme, _, token = authorization.partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None


def _subprotocol_token(head: RequestHead) -> bytes | None:
    for value in head.get_all(b"sec-websocket-protocol"):
        for protocol in value.split(b","):
            name = protocol.strip()
            if name.startswith(_SUBPROTOCOL):
                encoded = name.removeprefix(_SUBPROTOCOL)
                return _decoded(encoded) or encoded
    return None


def _subject(token: bytes) -> bytes | None:
    """The claim ``sub`` of a JSON web token, unverified; None where it is none or names nobody."""
    parts = token.split(b".")
    claims = _decoded(parts[1]) if len(parts) == 3 else None
    if not claims:
        return None
    try:
        subject = json.loads(claims)["sub"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return subject.encode("utf-8", "replace") if isinstance(subject, str) and subject else None


def _decoded(encoded: bytes) -> bytes | None:
    """base64url without padding; None where it is not."""
    try:
        return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
