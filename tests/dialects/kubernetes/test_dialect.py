"""The Kubernetes API as a dialect: who asks, how long they wait, what may be sent again."""

from __future__ import annotations

import base64
import json
from typing import Final

import pytest

from proxy.dialects.registry import DIALECTS
from proxy.dialects.translation import Translator
from proxy.domain.messages import RequestHead
from proxy.domain.pods import PodRules
from tests.dialects.heads import reply, request

KUBE: Final = DIALECTS["kubernetes"]
ACCOUNT: Final = "system:serviceaccount:agents:runner"
OPERATIONS: Final = {"create", "destroy", "update", "observe", "watch", "stream", "other"}


def encoded(text: str) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def token(claims: object, *, signature: str = "c2ln") -> str:
    """A JSON web token whose signature nobody checks."""
    return f"{encoded('{}')}.{encoded(json.dumps(claims))}.{signature}"


def websocket(bearer: str, *others: str) -> RequestHead:
    """An upgrade with a bearer token among its subprotocols."""
    protocols = ", ".join((*others, f"base64url.bearer.authorization.k8s.io.{encoded(bearer)}"))
    return request("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Protocol: {protocols}")


def test_its_words_are_the_contracts() -> None:
    assert KUBE.operations == OPERATIONS
    assert KUBE.classify("POST", "/api/v1/namespaces/a/pods", b"") == "create"
    assert KUBE.classify("GET", "/api/v1/namespaces/a/pods", b"watch=1") == "watch"
    assert KUBE.namespace("/api/v1/namespaces/a/pods") == "a"
    assert KUBE.namespace("/api/v1/nodes") is None


def test_a_service_account_is_itself_whatever_its_token_is_today() -> None:
    claims = {"sub": ACCOUNT, "exp": 1}
    today = KUBE.credential(request(f"Authorization: Bearer {token(claims)}"))
    assert today == b"sub:" + ACCOUNT.encode()
    assert KUBE.credential(request(f"authorization: bearer {token({**claims, 'exp': 2}, signature='eA')}")) == today
    assert KUBE.credential(websocket(token(claims), "v4.channel.k8s.io")) == today
    assert KUBE.credential(request(f"Authorization: Bearer {token({'sub': 'other'})}")) == b"sub:other"


@pytest.mark.parametrize(
    "bearer",
    [
        "opaque",
        "a.b",
        "a.b.c",
        "a.!!!.c",
        f"a.{encoded('[1]')}.c",
        f"a.{encoded('[')}.c",
        f"a.{encoded('[' * 50_000)}.c",
        f"a.{encoded('{}')}.c",
        token({"sub": ""}),
        token({"sub": 7}),
        token({"sub": ["x"]}),
        token({"sub": "x"}) + ".more",
    ],
    ids=lambda bearer: bearer[:30],
)
def test_a_token_that_names_nobody_stands_for_itself(bearer: str) -> None:
    assert KUBE.credential(request(f"Authorization: Bearer {bearer}")) == bearer.encode()
    assert KUBE.credential(websocket(bearer)) == bearer.encode()


def test_other_credentials_and_none() -> None:
    assert KUBE.credential(request("Authorization: Basic dTpw")) == b"Basic dTpw"
    assert KUBE.credential(request()) is None
    assert KUBE.credential(request("Sec-WebSocket-Protocol: v5.channel.k8s.io, v4.channel.k8s.io")) is None
    both = websocket("socket")
    assert KUBE.credential(RequestHead("GET", b"/", 1, b"Authorization: Bearer head\r\n" + both.raw)) == b"head"


def test_a_subprotocol_that_is_not_base64_is_a_credential_all_the_same() -> None:
    name = "Sec-WebSocket-Protocol: base64url.bearer.authorization.k8s.io.%%%"
    assert KUBE.credential(request(name)) == b"%%%"


@pytest.mark.parametrize(
    "line",
    [
        "Impersonate-User: admin",
        "impersonate-group: system:masters",
        "Impersonate-Extra-Scopes: x",
        "Impersonate_User: admin",
        "X-Remote-User: admin",
        "x-remote-extra-a: b",
    ],
)
def test_who_speaks_for_another(line: str) -> None:
    assert KUBE.speaks_for_another(request("A: b", line)) == line.partition(":")[0].lower()
    assert KUBE.speaks_for_another(request("A: b", "Authorization: Bearer x", f"X-{line}")) is None


def test_a_token_among_the_subprotocols_speaks_for_another_too() -> None:
    claim = KUBE.speaks_for_another(websocket("s3cr3t"))
    assert claim is not None
    assert "s3cr3t" not in claim
    assert encoded("s3cr3t") not in claim


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("timeout=20s", 20),
        ("timeout=1m0s", 60),
        ("timeout=1h2m3.5s", 3723.5),
        ("timeout=300ms", 0.3),
        ("timeout=1.5h", 5400),
        ("timeout=.5s", 0.5),
        ("timeout=5.s", 5),
        ("timeout=%2B5s", 5),
        ("timeout=250us", 0.00025),
        ("timeout=250%C2%B5s", 0.00025),
        ("timeout=20", 20),
        ("a=b&timeout=7s&timeout=9s", 7),
        ("%74imeout=7s", 7),
        ("timeout=0", None),
        ("timeout=0s", None),
        ("timeout=-5s", None),
        ("timeout=", None),
        ("timeout", None),
        ("timeout=5d", None),
        ("timeout=soon", None),
        ("timeout=s", None),
        ("timeout=.s", None),
        ("timeout=" + "9" * 400 + "s", None),
        ("timeout=nan", None),
        ("timeout=٥s", None),
        ("timeoutSeconds=5", None),
        ("x-timeout=5s", None),
        ("", None),
    ],
)
def test_the_time_a_request_gives_itself(query: str, seconds: float | None) -> None:
    assert KUBE.timeout(b"/api/v1/namespaces/a/pods?" + query.encode()) == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_without_a_query_there_is_no_time() -> None:
    assert KUBE.timeout(b"/api/v1/namespaces/timeout=5s/pods") is None


def test_only_429_is_surely_not_processed() -> None:
    assert [status for status in range(400, 600) if KUBE.not_admitted(status, b"")] == [429]


def test_which_replies_leave_a_create_open() -> None:
    statuses = (200, 201, 400, 403, 409, 413, 429, 500, 501, 502, 503, 504)
    assert [status for status in statuses if KUBE.ambiguous("create", status, None)] == [500, 502, 503, 504]
    for operation in OPERATIONS - {"create"}:
        assert not any(KUBE.ambiguous(operation, status, None) for status in statuses)


def test_a_create_that_was_sent_is_finished() -> None:
    assert {operation for operation in OPERATIONS if KUBE.shielded(operation)} == {"create"}


def test_the_api_servers_errors_are_its_own() -> None:
    """Byte for byte, also those that no JSON is in: priority and fairness answers 429 in plain text."""
    head = reply(429, "Content-Type: text/plain", "Retry-After: 1")
    assert not any(KUBE.needs_body(operation, head) for operation in OPERATIONS)
    assert KUBE.mend(head, b"Too many requests, please try again later.") is None
    assert KUBE.warning == b"", "client-go knows no Should-Retry"


def test_a_pod_is_one_seat() -> None:
    assert KUBE.width("create", b'{"kind": "Pod"}') == 1


@pytest.mark.parametrize("pods", [None, PodRules(main_containers=("sandbox",))])
def test_annotations_count_without_rules_too(pods: PodRules | None) -> None:
    translator: Translator | None = KUBE.translator(pods)
    assert translator is not None
