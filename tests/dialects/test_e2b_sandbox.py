"""The dialect of E2B's data plane: three shapes of error, and no word that means the sandbox's end."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.dialects.e2b_sandbox import E2bSandboxDialect
from proxy.domain.errors import BadRequest
from proxy.domain.messages import Reply
from proxy.domain.problem import Problem
from tests.dialects.heads import reply, request

SANDBOX: Final = E2bSandboxDialect()
STREAM: Final = request("Content-Type: application/connect+json", "Connect-Protocol-Version: 1")
UNARY: Final = request("Content-Type: application/json", "Connect-Protocol-Version: 1")
PLAIN: Final = request(method="GET", target="/files?path=/x")
CONNECT: Final = {
    (400, "bad_request"): "invalid_argument",
    (403, "tenant_not_believed"): "permission_denied",
    (404, "unknown_upstream"): "not_found",
    (409, "superseded"): "aborted",
    (429, "queue_full"): "resource_exhausted",
    (500, "internal_error"): "internal",
    (502, "upstream_broke"): "internal",
    (503, "upstream_unreachable"): "internal",
    (503, "draining"): "internal",
    (504, "outcome_unknown"): "internal",
    (504, "deadline_passed"): "deadline_exceeded",
}


def in_envelope(told: Reply) -> Any:
    """The error of a stream's last envelope."""
    assert told.body[0] == 2
    assert int.from_bytes(told.body[1:5], "big") == len(told.body) - 5
    return json.loads(told.body[5:])["error"]


@pytest.mark.parametrize(("status", "code"), CONNECT)
def test_every_problem_in_its_three_shapes(status: int, code: str) -> None:
    problem = Problem(status, code, "what happened", "x", 2 if status == 429 else None)
    error = {"code": CONNECT[status, code], "message": "what happened"}
    shown = 503 if status == 502 else status
    stream = SANDBOX.render(problem, STREAM)
    assert (stream.status, stream.fields) == (200, (("Content-Type", "application/connect+json"),))
    assert in_envelope(stream) == error
    for head, document in ((UNARY, error), (PLAIN, {"code": shown, "message": "what happened"})):
        told = SANDBOX.render(problem, head)
        assert told.status == shown
        assert json.loads(told.body) == document
        assert dict(told.fields).get("Retry-After") == ("2" if status == 429 else None)
    assert SANDBOX.render(problem, None) == SANDBOX.render(problem, PLAIN)


def test_only_the_edges_throttle_is_mended() -> None:
    text = reply(429, "Content-Type: text/plain")
    assert SANDBOX.needs_body("write", text)
    problem = SANDBOX.mend(text, b"Too Many Requests")
    assert problem is not None
    assert in_envelope(SANDBOX.render(problem, STREAM))["code"] == "resource_exhausted"
    assert SANDBOX.needs_body("write", reply(429))
    assert not SANDBOX.needs_body("write", reply(429, "Content-Type: application/json; charset=utf-8"))
    for status in (200, 404, 500, 502, 503, 504):
        assert not SANDBOX.needs_body("write", reply(status, "Content-Type: text/plain"))
        assert SANDBOX.mend(reply(status), b"The sandbox was not found") is None


def test_where_a_request_goes() -> None:
    named = SANDBOX.origin_values(request("E2b-Sandbox-Id: i1-abc", "E2b-Sandbox-Port: 08080"))
    assert named == {"sandbox": "i1-abc", "port": "8080"}
    assert SANDBOX.origin_values(request("e2b-sandbox-id: i1"))["port"] == "49983"


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["E2b-Sandbox-Id: "],
        ["E2b-Sandbox-Id: a.b"],
        ["E2b-Sandbox-Id: a/b"],
        ["E2b-Sandbox-Id: A"],
        ["E2b-Sandbox-Id: -a"],
        ["E2b-Sandbox-Id: " + "a" * 64],
        ["E2b-Sandbox-Id: i1", "E2b-Sandbox-Port: 0"],
        ["E2b-Sandbox-Id: i1", "E2b-Sandbox-Port: 65536"],
        ["E2b-Sandbox-Id: i1", "E2b-Sandbox-Port: 80@evil"],
        ["E2b-Sandbox-Id: i1", "E2b-Sandbox-Port: -1"],
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused(lines: list[str]) -> None:
    with pytest.raises(BadRequest):
        SANDBOX.origin_values(request(*lines))


def test_reads_writes_and_the_credential() -> None:
    meanings = {method: SANDBOX.classify(method, "/x", b"") for method in ("GET", "HEAD", "OPTIONS", "POST", "DELETE")}
    assert meanings == {"GET": "read", "HEAD": "read", "OPTIONS": "read", "POST": "write", "DELETE": "write"}
    assert SANDBOX.credential(request("X-Access-Token: t", "Authorization: Basic u")) == b"t"
    assert SANDBOX.credential(request("Authorization: Basic u")) == b"Basic u"
