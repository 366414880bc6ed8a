"""The plain dialect: reads and writes, errors as ``application/problem+json`` (RFC 9457). Pure.

``message`` stands beside ``detail`` because SDKs meet this dialect too, where a base URL is wrong: E2B's raises
KeyError on an error without it (e2b.md §3.4).
"""

from __future__ import annotations

from collections.abc import Mapping

from proxy.dialects.base import ChangesNothing, api_key, error_body, read_or_write
from proxy.domain.messages import Reply, RequestHead, ResponseHead
from proxy.domain.problem import Problem

_TITLES: dict[str, str] = {
    "bad_request": "The request is malformed",
    "unknown_upstream": "No such upstream",
    "queue_timeout": "No seat became free in time",
    "queue_full": "The queue is full",
}


class HttpDialect(ChangesNothing):
    """Any HTTP API."""

    name = "http"
    operations = frozenset({"read", "write"})

    def classify(self, method: str, path: str, query: bytes) -> str:
        return read_or_write(method)

    def credential(self, head: RequestHead) -> bytes | None:
        return api_key(head, b"authorization", b"x-api-key", b"x-auth-token")

    def width(self, operation: str, body: bytes | None) -> int:
        return 1

    def shielded(self, operation: str) -> bool:
        return False

    def not_admitted(self, status: int, body: bytes | None) -> bool:
        return status == 429

    def ambiguous(self, operation: str, status: int, body: bytes | None) -> bool:
        return False

    def needs_body(self, operation: str, head: ResponseHead) -> bool:
        return False

    def mend(self, head: ResponseHead, body: bytes) -> Problem | None:
        return None

    def render(self, problem: Problem, head: RequestHead | None) -> Reply:
        document = {
            "type": "about:blank",
            "title": _TITLES.get(problem.code, problem.code.replace("_", " ").capitalize()),
            "status": problem.status,
            "detail": problem.message,
            "message": problem.message,
            "code": problem.code,
        }
        fields = [("Content-Type", "application/problem+json")]
        if problem.retry_after is not None:
            document["retry_after"] = problem.retry_after
            fields.append(("Retry-After", str(problem.retry_after)))
        return Reply(problem.status, tuple(fields), error_body(document, "detail", "message"))

    def origin_values(self, head: RequestHead) -> Mapping[str, str]:
        return {}
