"""Headgate's own refusals as the API server would say them: a ``Status`` (kubernetes.md §9.3). Pure.

``Content-Type`` is exactly ``application/json``: lightkube compares the header as a text, and with a charset beside it
raises a bare HTTP error instead of its ``ApiError``. ``Retry-After`` only where a problem has one: with it client-go
sends ten times more, creates too (kubernetes.md §0.12, §9.2).
"""

from __future__ import annotations

import re
from typing import Any, Final

from proxy.dialects.base import error_body
from proxy.domain.messages import Reply, RequestHead
from proxy.domain.problem import Problem

_REASONS: Final = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    408: "Timeout",
    409: "Conflict",
    413: "RequestEntityTooLarge",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}
"""Status reasons by code (apimachinery's ``StatusReason``); the rest falls into the two below."""
_PODS: Final = re.compile(rb"/api/v1/(?:namespaces/[^/]+/)?pods(?:/([a-z0-9][a-z0-9.-]{0,252}))?(?=/|$)")
_NEVER_FITS: Final = "more_than_the_limit"


def status_reply(problem: Problem, head: RequestHead | None) -> Reply:
    """A problem as a ``Status``. ``details`` say what the request was about, where its target is about pods.

    What can never fit is 403 in the words of an exceeded quota: that is how the API server says it, and nobody
    tries it again (kubernetes.md §9.3).
    """
    details = _details(head)
    status, message = problem.status, problem.message
    if problem.code == _NEVER_FITS:
        status = 403
        message = f"pods {details.get('name', '')}".rstrip() + f" is forbidden: exceeded quota: {message}"
    fields = [("Content-Type", "application/json")]
    if problem.retry_after is not None:
        seconds = max(1, problem.retry_after)  # with 0, client-go sends eleven times within 0.2 s
        details["retryAfterSeconds"] = seconds
        fields.append(("Retry-After", str(seconds)))
    document: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS.get(status, "BadRequest" if status < 500 else "InternalError"),
        "details": details,
        "code": status,
    }
    return Reply(status, tuple(fields), error_body(document, "message"))


def _details(head: RequestHead | None) -> dict[str, str | int]:
    found = None if head is None else _PODS.search(head.target.partition(b"?")[0])
    if found is None:
        return {}
    return {"kind": "pods"} if found[1] is None else {"name": found[1].decode("ascii"), "kind": "pods"}
