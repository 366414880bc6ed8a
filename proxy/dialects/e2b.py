"""E2B's control plane: what its requests mean, and errors that its SDKs read without breaking. Pure.

``/x`` and ``/v2/x`` mean the same. Every error must be JSON with an integer ``code`` and a string ``message``, ASCII
and below 500 bytes: newer Python SDKs raise JSONDecodeError or KeyError on anything else, and WASM guests cut the
body at byte 500 (e2b.md §3.4, problems.md §1.2a). ``Should-Retry: false`` keeps the SDK from sending again what
may have been processed (e2b.md §3.3).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from proxy.dialects.base import ChangesNothing, api_key, edge_problem, error_body
from proxy.domain.messages import Reply, RequestHead, ResponseHead
from proxy.domain.problem import Problem

_PATH: Final = re.compile(r"(?:/v\d+)?/sandboxes(?:/([^/]+)(?:/([a-z]+))?)?/?")
_POSTS: Final = {
    "resume": "resume",
    "connect": "resume",
    "fork": "fork",
    "pause": "pause",
    "timeout": "extend",
    "refreshes": "extend",
    "snapshots": "snapshot",
}
_CHANGES: Final = frozenset({"create", "resume", "fork", "pause", "destroy", "extend", "snapshot"})
_MAKES: Final = frozenset({"create", "resume", "fork", "snapshot"})
_NOT_ADMITTED: Final = b'"sandbox_capacity_unavailable"'
"""The one 503 that says nothing was made (e2b.md §4.4)."""


class E2bDialect(ChangesNothing):
    """E2B and whoever speaks like it."""

    name = "e2b"
    operations = _CHANGES | {"observe", "other"}
    warning = b"Should-Retry: false\r\n"

    def classify(self, method: str, path: str, query: bytes) -> str:
        found = _PATH.fullmatch(path)
        if found is None:
            return "observe" if method in ("GET", "HEAD") and _under_sandboxes(path) else "other"
        sandbox, action = found[1], found[2]
        if method in ("GET", "HEAD"):
            return "observe"
        if method == "DELETE" and sandbox is not None and action is None:
            return "destroy"
        if method != "POST":
            return "other"
        if sandbox is None:
            return "create"
        return _POSTS.get(action or "", "other")

    def credential(self, head: RequestHead) -> bytes | None:
        return api_key(head, b"x-api-key", b"authorization")

    def width(self, operation: str, body: bytes | None) -> int:
        if operation != "fork" or not body:
            return 1
        try:
            count = json.loads(body).get("count", 1)
        except (ValueError, AttributeError, RecursionError):
            return 1
        return count if isinstance(count, int) and not isinstance(count, bool) and count >= 1 else 1

    def shielded(self, operation: str) -> bool:
        """A cancelled create can leave a sandbox nobody knows, a cancelled pause can lose one (e2b.md §4.7)."""
        return operation in _CHANGES

    def not_admitted(self, status: int, body: bytes | None) -> bool:
        return status == 429 or (status == 503 and body is not None and _NOT_ADMITTED in body)

    def ambiguous(self, operation: str, status: int, body: bytes | None) -> bool:
        return operation in _MAKES and status in (502, 503, 504) and not self.not_admitted(status, body)

    def needs_body(self, operation: str, head: ResponseHead) -> bool:
        return head.status >= 400  # JSON by name may still be empty, or lack what the SDKs want

    def mend(self, head: ResponseHead, body: bytes) -> Problem | None:
        return None if head.status < 400 or _readable(body) else edge_problem(head, body)

    def render(self, problem: Problem, head: RequestHead | None) -> Reply:
        fields = [("Content-Type", "application/json")]
        if problem.retry_after is not None:
            fields.append(("Retry-After", str(problem.retry_after)))
        if problem.final:
            fields.append(("Should-Retry", "false"))
        document = {"code": problem.status, "message": problem.message, "error_code": problem.code}
        return Reply(problem.status, tuple(fields), error_body(document, "message"))

    def origin_values(self, head: RequestHead) -> Mapping[str, str]:
        return {}


def _under_sandboxes(path: str) -> bool:
    return re.match(r"(?:/v\d+)?/sandboxes/", path) is not None


def _readable(body: bytes) -> bool:
    """Whether every SDK can read it; the type it goes by does not matter to them."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and type(document.get("code")) is int and isinstance(document.get("message"), str)
