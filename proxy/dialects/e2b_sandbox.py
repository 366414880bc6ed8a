"""E2B's data plane (envd): passes to the sandbox a request names; errors in Connect's shape. Pure.

Which shape a client reads depends on what it sent (e2b.md §3.4): a Connect stream wants 200 and one
end-of-stream frame, a Connect unary call wants its code's name, a plain file request wants ``code`` and ``message``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from proxy.dialects.base import api_key, read_or_write
from proxy.domain.errors import BadRequest
from proxy.domain.messages import Reply, RequestHead, ResponseHead
from proxy.domain.problem import Problem

_SANDBOX: Final = re.compile(rb"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CODES: Final = {400: "invalid_argument", 403: "permission_denied", 404: "not_found", 429: "resource_exhausted"}
_CODES_5XX: Final = {502: "unavailable", 503: "unavailable", 504: "deadline_exceeded"}
_END_OF_STREAM: Final = 0x02
"""Connect's flag of the envelope that ends a stream."""


class E2bSandboxDialect:
    """Requests to the processes and files of sandboxes."""

    name = "e2b-sandbox"
    operations = frozenset({"read", "write"})

    def classify(self, method: str, path: str) -> str:
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
        return False

    def mend(self, head: ResponseHead, body: bytes) -> Problem | None:
        return None

    def render(self, problem: Problem, head: RequestHead | None) -> Reply:
        code = _CODES.get(problem.status) or _CODES_5XX.get(problem.status, "internal")
        error = {"code": code, "message": problem.message}
        wants = (head.get(b"content-type") or b"") if head is not None else b""
        if wants.startswith(b"application/connect+json"):
            frame = json.dumps({"error": error}).encode("ascii")
            envelope = bytes((_END_OF_STREAM,)) + len(frame).to_bytes(4, "big") + frame
            return Reply(200, (("Content-Type", "application/connect+json"),), envelope)
        fields = [("Content-Type", "application/json")]
        if problem.retry_after is not None:
            fields.append(("Retry-After", str(problem.retry_after)))
        unary = head is not None and b"connect-protocol-version" in head
        document = error if unary else {"code": problem.status, "message": problem.message}
        return Reply(problem.status, tuple(fields), json.dumps(document).encode("ascii"))

    def origin_values(self, head: RequestHead) -> Mapping[str, str]:
        sandbox, port = head.get(b"e2b-sandbox-id"), head.get(b"e2b-sandbox-port") or b"49983"
        if sandbox is None or not _SANDBOX.fullmatch(sandbox):
            raise BadRequest("E2b-Sandbox-Id is missing or malformed")
        if not port.isdigit() or not 0 < int(port) < 65536:
            raise BadRequest("E2b-Sandbox-Port is malformed")
        return {"sandbox": sandbox.decode("ascii"), "port": str(int(port))}
