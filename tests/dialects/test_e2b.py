"""The dialect of E2B's control plane: meanings, seats, what is safe to send again, errors that SDKs can read."""

from __future__ import annotations

import json
from typing import Final

import pytest

from proxy.dialects.e2b import E2bDialect
from proxy.domain.problem import Problem
from tests.dialects.heads import reply, request

E2B: Final = E2bDialect()
MEANINGS: Final = {
    "POST /sandboxes": "create",
    "POST /sandboxes/": "create",
    "POST /sandboxes/i1/resume": "resume",
    "POST /sandboxes/i1/connect": "resume",
    "POST /sandboxes/i1/fork": "fork",
    "POST /sandboxes/i1/pause": "pause",
    "POST /sandboxes/i1/timeout": "extend",
    "POST /sandboxes/i1/refreshes": "extend",
    "POST /sandboxes/i1/snapshots": "snapshot",
    "DELETE /sandboxes/i1": "destroy",
    "GET /sandboxes": "observe",
    "HEAD /sandboxes": "observe",
    "GET /sandboxes/i1": "observe",
    "GET /sandboxes/i1/metrics": "observe",
    "GET /sandboxes/i1/metrics/deep/er": "observe",
    "GET /sandboxes/metrics": "observe",
    "PUT /sandboxes/i1/network": "other",
    "POST /sandboxes/i1/unheard-of": "other",
    "POST /sandboxes/i1": "other",
    "DELETE /sandboxes": "other",
    "DELETE /sandboxes/i1/metrics": "other",
    "PUT /sandboxes": "other",
    "GET /templates": "other",
    "POST /sandboxesx": "other",
    "GET /sandboxesx/i1": "other",
    "POST /x/sandboxes": "other",
    "GET /health": "other",
}


@pytest.mark.parametrize("version", ["", "/v2", "/v3"])
@pytest.mark.parametrize("asked", MEANINGS)
def test_what_a_request_means(asked: str, version: str) -> None:
    method, path = asked.split(" ")
    meaning = E2B.classify(method, version + path, b"")
    assert meaning == MEANINGS[asked]
    assert meaning in E2B.operations


@pytest.mark.parametrize(
    ("body", "seats"),
    [
        (b'{"count": 5}', 5),
        (b'{"count": 1, "timeout": 9}', 1),
        (b"{}", 1),
        (b"", 1),
        (None, 1),
        (b'{"count": 0}', 1),
        (b'{"count": -3}', 1),
        (b'{"count": true}', 1),
        (b'{"count": "7"}', 1),
        (b"[5]", 1),
        (b"not json", 1),
        (b"\xff\xfe", 1),
        (b"[" * 60_000, 1),
    ],
)
def test_a_fork_takes_as_many_seats_as_it_makes_copies(body: bytes | None, seats: int) -> None:
    assert E2B.width("fork", body) == seats
    assert E2B.width("create", body) == 1


def test_the_credential() -> None:
    assert E2B.credential(request("Authorization: Bearer b", "X-API-Key: a")) == b"a"
    assert E2B.credential(request("authorization: Bearer b")) == b"Bearer b"
    assert E2B.credential(request("X-API-Key:", "Authorization: Bearer b")) == b"Bearer b"
    assert E2B.credential(request()) is None


def test_what_must_be_finished_once_it_is_sent() -> None:
    shielded = {operation for operation in E2B.operations if E2B.shielded(operation)}
    assert shielded == E2B.operations - {"observe", "other"}


CAPACITY: Final = b'{"code": 503, "message": "full", "error_code": "sandbox_capacity_unavailable"}'
NO_NODE: Final = b'{"code": 503, "message": "none", "error_code": "sandbox_no_compatible_node"}'


@pytest.mark.parametrize(
    ("status", "body", "not_admitted", "ambiguous"),
    [
        (429, b"", True, False),
        (429, None, True, False),
        (503, CAPACITY, True, False),
        (503, NO_NODE, False, True),
        (503, b"", False, True),
        (503, None, False, True),
        (502, CAPACITY, False, True),
        (504, b"", False, True),
        (500, b"", False, False),
        (409, b"", False, False),
        (201, b"", False, False),
    ],
)
def test_what_is_safe_to_send_again(status: int, body: bytes | None, not_admitted: bool, ambiguous: bool) -> None:
    assert E2B.not_admitted(status, body) is not_admitted
    for operation in E2B.operations:
        makes = operation in ("create", "resume", "fork", "snapshot")
        assert E2B.ambiguous(operation, status, body) is (ambiguous and makes), operation


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"Too Many Requests",
        b"<html><h1>502 Bad Gateway</h1></html>",
        b'{"message": "no code"}',
        b'{"code": 429}',
        b'{"code": "429", "message": "a code that is text"}',
        b'{"code": true, "message": "a code that is none"}',
        b'{"code": 429, "message": null}',
        b'[{"code": 429, "message": "in a list"}]',
        b"\xff\xfe\x00",
        b"[" * 60_000,
    ],
)
@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429, 500, 502, 503, 504])
def test_errors_that_sdks_cannot_read_are_mended(status: int, body: bytes) -> None:
    head = reply(status, "Content-Type: application/json", "Retry-After: 7")
    assert E2B.needs_body("create", head)
    problem = E2B.mend(head, body)
    assert problem is not None
    assert (problem.status, problem.code, problem.retry_after) == (status, "edge_error", 7)
    mended = E2B.render(problem, None)
    assert mended.status == status
    document = json.loads(mended.body)
    assert document["code"] == status
    assert document["message"].startswith(f"the edge answered {status}: ")
    assert mended.body.isascii()
    assert E2B.mend(reply(mended.status), mended.body) is None, "what is mended is fine"


@pytest.mark.parametrize("kind", ["Content-Type: application/json", "Content-Type: text/plain", "X-None: 1"])
def test_errors_that_sdks_can_read_stay(kind: str) -> None:
    assert E2B.mend(reply(429, kind), b'{"code": 429, "message": "wait", "more": {"deep": [1]}}') is None
    assert not E2B.needs_body("create", reply(201, kind))
    assert E2B.mend(reply(200, kind), b"whatever") is None


def test_what_the_edge_said_stays_in_the_message() -> None:
    page = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n\xe2\x80\x94 <hr>nginx</html>"
    problem = E2B.mend(reply(502), page)
    assert problem is not None
    assert problem.message == "the edge answered 502: 502 Bad Gateway nginx"


@pytest.mark.parametrize(
    ("said", "seconds"), [("12", 12), ("1.5", None), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)]
)
def test_only_whole_seconds_are_passed_on(said: str, seconds: int | None) -> None:
    problem = E2B.mend(reply(429, f"Retry-After: {said}"), b"")
    assert problem is not None
    assert problem.retry_after == seconds


def test_how_a_problem_looks() -> None:
    refusal = E2B.render(Problem(429, "queue_timeout", "try again in 2 s", "x", 2), None)
    assert refusal.status == 429
    assert dict(refusal.fields) == {"Content-Type": "application/json", "Retry-After": "2"}
    assert json.loads(refusal.body) == {"code": 429, "message": "try again in 2 s", "error_code": "queue_timeout"}
    final = E2B.render(Problem(504, "outcome_unknown", "gone", "x", final=True), None)
    assert dict(final.fields) == {"Content-Type": "application/json", "Should-Retry": "false"}
