"""E2B's data plane (envd): passes to the sandbox a request names; errors in Connect's shape. Pure.

Which shape a client reads depends on what it sent (e2b.md §3.4): a Connect stream wants 200 and one
end-of-stream frame, a Connect unary call wants its code's name, a plain file request wants ``code`` and ``message``.
Two words are never ours here, because SDKs take them for the sandbox's end: status 502 (``is_running`` is then
false) and Connect's ``unavailable`` (``SandboxNotFoundError`` in JavaScript).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from proxy.dialects.base import MAX_BODY, ChangesNothing, api_key, edge_problem, error_body, read_or_write
from proxy.domain.errors import BadRequest
from proxy.domain.messages import Reply, RequestHead, ResponseHead
from proxy.domain.problem import Problem

_SANDBOX: Final = re.compile(rb"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CODES: Final = {
    400: "invalid_argument",
    403: "permission_denied",
    404: "not_found",
    409: "aborted",
    429: "resource_exhausted",
}
_END_OF_STREAM: Final = 0x02
"""Connect's flag of the envelope that ends a stream."""
_AROUND: Final = len(b'{"error": }') + 5
"""Bytes around an error in its envelope."""


class E2bSandboxDialect(ChangesNothing):
    """Requests to the processes and files of sandboxes."""

    name = "e2b-sandbox"
    operations = frozenset({"read", "write"})

    def classify(self, method: str, path: str, query: bytes) -> str:
        return read_or_write(method)

    def credential(self, head: RequestHead) -> bytes | None:
        return api_key(head, b"x-access-token", b"authorization")

    def width(self, operation: str, body: bytes | None) -> int:
        return 1

    def shielded(self, operation: str) -> bool:
        return False

    def not_admitted(self, status: int, body: bytes | None) -> bool:
        return status == 429

    def ambiguous(self, operation: str, status: int, body: bytes | None) -> bool:
        return False

    def needs_body(self, operation: str, head: ResponseHead) -> bool:
        return head.status == 429 and not (head.get(b"content-type") or b"").lower().startswith(b"application/json")

    def mend(self, head: ResponseHead, body: bytes) -> Problem | None:
        """The edge's throttle, which JavaScript's SDK would take for the sandbox's end or a timeout."""
        return edge_problem(head, body) if head.status == 429 else None

    def render(self, problem: Problem, head: RequestHead | None) -> Reply:
        status = 503 if problem.status == 502 else problem.status
        late = problem.code == "deadline_passed"
        error = {"code": "deadline_exceeded" if late else _CODES.get(status, "internal"), "message": problem.message}
        wants = (head.get(b"content-type") or b"") if head is not None else b""
        if wants.startswith(b"application/connect+json"):
            frame = b'{"error": %s}' % error_body(error, "message", most=MAX_BODY - _AROUND)
            envelope = bytes((_END_OF_STREAM,)) + len(frame).to_bytes(4, "big") + frame
            return Reply(200, (("Content-Type", "application/connect+json"),), envelope)
        fields = [("Content-Type", "application/json")]
        if problem.retry_after is not None:
            fields.append(("Retry-After", str(problem.retry_after)))
        unary = head is not None and b"connect-protocol-version" in head
        document = error if unary else {"code": status, "message": problem.message}
        return Reply(status, tuple(fields), error_body(document, "message"))

    def origin_values(self, head: RequestHead) -> Mapping[str, str]:
        sandbox, port = head.get(b"e2b-sandbox-id"), head.get(b"e2b-sandbox-port") or b"49983"
        if sandbox is None or not _SANDBOX.fullmatch(sandbox):
            raise BadRequest("E2b-Sandbox-Id is missing or malformed")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise BadRequest("E2b-Sandbox-Port is malformed")
        return {"sandbox": sandbox.decode("ascii"), "port": str(int(port))}
