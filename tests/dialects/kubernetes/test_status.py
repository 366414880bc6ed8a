"""Headgate's own refusals as a ``Status`` that Kubernetes clients read (kubernetes.md §9.3)."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.dialects.registry import DIALECTS
from proxy.domain.errors import (
    BadRequest,
    DeadlinePassed,
    Draining,
    HeadgateError,
    NeverFits,
    NoTokenOfOurOwn,
    PatienceOver,
    QueueFull,
    SpeaksForAnother,
    TenantNotBelieved,
    UpstreamBroke,
    UpstreamUnreachable,
)
from proxy.domain.ids import LimitName, Seconds, TicketId
from proxy.domain.messages import Reply
from proxy.domain.problem import Problem
from proxy.problems import problem_of
from tests.dialects.heads import request

KUBE: Final = DIALECTS["kubernetes"]
CREATE: Final = "/api/v1/namespaces/a/pods"
LIMIT: Final = LimitName("creates")


def told(error: HeadgateError, *, target: str = CREATE, method: str = "POST") -> tuple[Reply, dict[str, Any]]:
    """The reply to a request that ends with this error, and its body."""
    head = request(method=method, target=target)
    reply = KUBE.render(problem_of(error, repeatable=head.idempotent), head)
    return reply, json.loads(reply.body)


def test_a_refusal_in_full() -> None:
    reply, document = told(PatienceOver(LIMIT, Seconds(8), 3, Seconds(2), TicketId("t")))
    assert reply.status == 429
    assert reply.fields == (("Content-Type", "application/json"), ("Retry-After", "2"))
    assert document == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "waited 8 s for creates, position 3; the place is kept, try again in 2 s",
        "reason": "TooManyRequests",
        "details": {"kind": "pods", "retryAfterSeconds": 2},
        "code": 429,
    }


@pytest.mark.parametrize(
    ("error", "method", "code", "reason", "again"),
    [
        (QueueFull(LIMIT, 5, 5, Seconds(4)), "POST", 429, "TooManyRequests", 4),
        (UpstreamUnreachable("kube", "refused"), "POST", 503, "ServiceUnavailable", 1),
        (Draining(None, Seconds(1)), "POST", 503, "ServiceUnavailable", 1),
        (NoTokenOfOurOwn("kube", "gone"), "GET", 503, "ServiceUnavailable", None),
        (UpstreamBroke("kube", "reset"), "POST", 504, "Timeout", None),
        (UpstreamBroke("kube", "reset"), "PATCH", 504, "Timeout", None),
        (UpstreamBroke("kube", "reset"), "GET", 502, "InternalError", None),
        (DeadlinePassed(Seconds(9), sent=True), "POST", 504, "Timeout", None),
        (NeverFits(LIMIT, 1, 0), "POST", 403, "Forbidden", None),
        (SpeaksForAnother("kube", "impersonate-user"), "GET", 403, "Forbidden", None),
        (TenantNotBelieved("x"), "GET", 403, "Forbidden", None),
        (BadRequest("odd"), "GET", 400, "BadRequest", None),
        (BadRequest("late", 408), "POST", 408, "Timeout", None),
        (BadRequest("big", 413), "POST", 413, "RequestEntityTooLarge", None),
        (BadRequest("wide", 431), "GET", 431, "BadRequest", None),
        (BadRequest("odd", 501), "GET", 501, "InternalError", None),
    ],
)
def test_reason_code_and_whether_to_come_back(
    error: HeadgateError, method: str, code: int, reason: str, again: int | None
) -> None:
    reply, document = told(error, method=method)
    assert (reply.status, document["code"], document["reason"]) == (code, code, reason)
    fields = dict(reply.fields)
    assert fields["Content-Type"] == "application/json", "lightkube compares the text (kubernetes.md §9.3)"
    assert fields.get("Retry-After") == (None if again is None else str(again))
    assert document["details"].get("retryAfterSeconds") == again


def test_a_create_that_broke_is_never_invited_back() -> None:
    """client-go sends ten times more on any of these with ``Retry-After`` (kubernetes.md §0.12)."""
    reply, document = told(UpstreamBroke("kube", "reset"))
    assert "Retry-After" not in dict(reply.fields)
    assert "may have been processed" in document["message"]


def test_what_never_fits_reads_like_an_exceeded_quota() -> None:
    _, document = told(NeverFits(LIMIT, 1, 0), target=CREATE + "/p-1", method="PUT")
    assert document["message"] == "pods p-1 is forbidden: exceeded quota: asks for 1 seats of creates, which has 0"
    _, document = told(NeverFits(LIMIT, 1, 0))
    assert document["message"].startswith("pods is forbidden: exceeded quota: ")


@pytest.mark.parametrize(
    ("target", "details"),
    [
        ("/api/v1/namespaces/a/pods/p-1", {"name": "p-1", "kind": "pods"}),
        ("/api/v1/namespaces/a/pods/p-1/exec?command=ls", {"name": "p-1", "kind": "pods"}),
        ("/kube/api/v1/namespaces/a/pods/p-1?x=/api/v1/pods/q", {"name": "p-1", "kind": "pods"}),
        ("/api/v1/pods?watch=1", {"kind": "pods"}),
        ("/api/v1/namespaces/a/pods/", {"kind": "pods"}),
        ('/api/v1/namespaces/a/pods/%22"', {"kind": "pods"}),
        ("/api/v1/namespaces/pods", {}),
        ("/api/v1/podsecurity", {}),
        ("/apis/metrics.k8s.io/v1beta1/namespaces/a/pods/p", {}),
        ("/api/v1/nodes?x=/api/v1/pods/p", {}),
    ],
)
def test_what_it_was_about(target: str, details: dict[str, str]) -> None:
    _, document = told(BadRequest("odd"), target=target, method="GET")
    assert document["details"] == details


def test_without_a_head_it_is_a_status_all_the_same() -> None:
    document = json.loads(KUBE.render(Problem(500, "internal_error", "m", "x"), None).body)
    assert (document["kind"], document["reason"], document["details"]) == ("Status", "InternalError", {})


def test_coming_back_takes_at_least_a_second() -> None:
    reply = KUBE.render(Problem(429, "queue_full", "m", "x", 0), None)
    assert dict(reply.fields)["Retry-After"] == "1"


def test_the_longest_name_leaves_room_for_when_to_come_back() -> None:
    end = "the place is kept, try again in 2 s"
    head = request(target=f"{CREATE}/{'p' * 253}", method="PUT")
    reply = KUBE.render(Problem(429, "queue_timeout", "waited " + "y" * 400 + end, "x", 2), head)
    assert len(reply.body) < 500
    assert json.loads(reply.body)["message"].endswith(end)
