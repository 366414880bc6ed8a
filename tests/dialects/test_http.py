"""The plain dialect: problem details that E2B's SDKs can read as well, for they meet it where a base URL is wrong."""

from __future__ import annotations

import json

from proxy.dialects.http import HttpDialect
from proxy.domain.problem import Problem
from tests.dialects.heads import reply, request

HTTP = HttpDialect()


def test_how_a_problem_looks() -> None:
    told = HTTP.render(Problem(429, "queue_full", "try again in 3 s", "x", 3), None)
    assert told.status == 429
    assert dict(told.fields) == {"Content-Type": "application/problem+json", "Retry-After": "3"}
    assert json.loads(told.body) == {
        "type": "about:blank",
        "title": "The queue is full",
        "status": 429,
        "detail": "try again in 3 s",
        "message": "try again in 3 s",
        "code": "queue_full",
        "retry_after": 3,
    }
    other = HTTP.render(Problem(503, "upstream_unreachable", "down", "x"), None)
    assert json.loads(other.body)["title"] == "Upstream unreachable"
    assert "Retry-After" not in dict(other.fields)


def test_replies_pass_unchanged_and_only_429_was_not_processed() -> None:
    assert not HTTP.needs_body("write", reply(429))
    assert HTTP.mend(reply(502), b"<html>") is None
    assert [status for status in range(200, 600) if HTTP.not_admitted(status, None)] == [429]
    assert not any(HTTP.ambiguous("write", status, None) for status in (502, 503, 504))
    assert not HTTP.shielded("write")


def test_the_credential_is_the_first_there() -> None:
    assert HTTP.credential(request("X-Auth-Token: c", "X-API-Key: b", "Authorization: a")) == b"a"
    assert HTTP.credential(request("X-Auth-Token: c", "X-API-Key: b")) == b"b"
    assert HTTP.credential(request("X-Auth-Token: c")) == b"c"
    assert HTTP.credential(request("Cookie: d")) is None
