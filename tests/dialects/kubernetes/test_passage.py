"""Which requests change on their way, and in which bytes; which kind of reply they get."""

from __future__ import annotations

import json
from typing import Final

import pytest

from proxy.dialects.kubernetes.mark import CONDITION
from proxy.dialects.kubernetes.passage import KubernetesTranslator
from proxy.dialects.kubernetes.truth import Teller, told
from proxy.dialects.translation import LONGEST_WHOLE, PodSeen, PodState
from proxy.domain.errors import BadRequest, StatusNotRestorable
from tests.dialects.heads import reply, request
from tests.dialects.kubernetes.asking import AS_TABLE, PODS, RULES, answered, passage, pod_list
from tests.support.pod_states import container_status, encoded, incident_pod, pod, running
from tests.support.witnesses import Remembering

ONE: Final = f"{PODS}/agent-1"
JSON: Final = "Content-Type: application/json"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf,application/json"
DIED: Final = incident_pod()
RUNS: Final = pod(container_status("sandbox", running()))
SENT: Final = encoded(DIED)

ANSWERED_WITH_ONE: Final = [
    f"GET {ONE}",
    f"GET {ONE}/",
    f"GET {ONE}?watch=true",
    f"GET {ONE}/status",
    f"GET {ONE}/resize",
    f"GET {ONE}/ephemeralcontainers",
    f"PUT {ONE}",
    f"PATCH {ONE}",
    f"PUT {ONE}/status",
    f"PATCH {ONE}/status",
    f"PATCH {ONE}/ephemeralcontainers",
    f"PATCH {ONE}/resize",
    f"POST {PODS}",
    f"POST {PODS}?dryRun=All",
    f"DELETE {ONE}",
    f"DELETE {ONE}?dryRun=All",
]
ANSWERED_WITH_MANY: Final = [f"GET {PODS}", "GET /api/v1/pods", f"GET {PODS}?limit=5", f"DELETE {PODS}"]
ANSWERED_WITH_EVENTS: Final = [
    f"GET {PODS}?watch",
    "GET /api/v1/pods?watch=True",
    "GET /api/v1/watch/pods",
    "GET /api/v1/watch/namespaces/agents-1/pods/agent-1",
]
UNTOUCHED: Final = [
    f"HEAD {ONE}",
    f"HEAD {PODS}",
    f"OPTIONS {PODS}",
    f"GET {ONE}/log",
    f"GET {ONE}/log?follow=true",
    f"GET {ONE}/exec?command=ls",
    f"POST {ONE}/exec?command=ls",
    f"GET {ONE}/attach",
    f"GET {ONE}/portforward",
    f"GET {ONE}/proxy/api/v1/pods",
    f"POST {ONE}/binding",
    f"POST {ONE}/eviction?dryRun=All",
    f"PUT {PODS}",
    f"PATCH {PODS}",
    "GET /api/v1/namespaces/agents-1/services/s/proxy/pods",
    "GET /apis/metrics.k8s.io/v1beta1/namespaces/agents-1/pods",
    "GET /api/v1/namespaces/agents-1/podtemplates",
    "GET /openapi/v2",
    "GET /api/v1",
    "GET /version/",
]


@pytest.mark.parametrize("asked", ANSWERED_WITH_ONE)
def test_one_pod_is_told_whole(asked: str) -> None:
    method, _, target = asked.partition(" ")
    found = passage(method, target, f"Accept: {PROTOBUF}")
    assert found is not None and not found.streams
    assert found.target == target.encode() and found.fields == {b"accept": b"application/json"}
    for cut in ([SENT], [SENT[:100], SENT[100:]]):
        assert json.loads(answered(method, target, cut)) == told(DIED, RULES)


@pytest.mark.parametrize("asked", ANSWERED_WITH_MANY)
def test_each_pod_of_a_list_is_told(asked: str) -> None:
    method, _, target = asked.partition(" ")
    found = passage(method, target, f"Accept: {PROTOBUF}")
    assert found is not None and found.streams and found.fields == {b"accept": b"application/json"}
    sent = pod_list(RUNS, DIED, RUNS, remainingItemCount=3)
    received = answered(method, target, [sent])
    assert [item["status"]["phase"] for item in json.loads(received)["items"]] == ["Running", "Failed", "Running"]
    item = encoded({name: DIED[name] for name in ("metadata", "spec", "status")}).strip()
    assert item in sent and received == sent.replace(item, Teller(RULES, Remembering()).tell(item))


@pytest.mark.parametrize("asked", ANSWERED_WITH_EVENTS)
def test_each_event_of_a_watch_is_told(asked: str) -> None:
    method, _, target = asked.partition(" ")
    found = passage(method, target, f"Accept: {PROTOBUF}")
    assert found is not None and found.streams and found.fields == {b"accept": b"application/json"}
    sent = encoded({"type": "ADDED", "object": DIED})
    assert json.loads(answered(method, target, [sent]))["object"] == told(DIED, RULES)


@pytest.mark.parametrize("asked", UNTOUCHED)
def test_everything_else_passes(asked: str) -> None:
    method, _, target = asked.partition(" ")
    assert passage(method, target, f"Accept: {PROTOBUF}", "Accept-Encoding: gzip") is None


def test_a_mount_stays_and_only_the_query_changes() -> None:
    target = f"{PODS}?fieldSelector=status.phase%3DFailed&limit=5"
    found = passage("GET", target, mount="/kube%2F/")
    assert found is not None and found.target == f"/kube%2F/{PODS}?fieldSelector=&limit=5".encode()
    for empty in (PODS, PODS + "?", f"{PODS}?x=%2c&y"):
        found = passage("GET", empty)
        assert found is not None and found.target == empty.encode()


@pytest.mark.parametrize(
    ("lines", "fields"),
    [
        ((), {}),
        (("Accept: application/json",), {}),
        (("Accept: */*", "If-None-Match: x", "Range: bytes=0-1"), {}),
        ((f"Accept: {AS_TABLE},application/json",), {}),
        (("Accept: application/yaml",), {b"accept": b"application/json"}),
        (("Accept: application/json, application/yaml", "Accept: text/html"), {b"accept": b"application/json"}),
        (("Accept: application/json", "Accept: application/yaml"), {}),
        (("Accept-Encoding: gzip, deflate",), {b"accept-encoding": b"identity"}),
        (
            ("accept-encoding: br", "Accept: application/cbor"),
            {b"accept": b"application/json", b"accept-encoding": b"identity"},
        ),
        (("Accept-Encoding: Identity",), {}),
        (("Accept-Encoding: identity", "Accept-Encoding: gzip"), {b"accept-encoding": b"identity"}),
        (("Accept-Encoding:",), {b"accept-encoding": b"identity"}),
    ],
)
def test_the_fields_that_change(lines: tuple[str, ...], fields: dict[bytes, bytes]) -> None:
    for method, target in (("GET", ONE), ("GET", PODS), ("GET", f"{PODS}?watch=1"), ("PATCH", ONE), ("POST", PODS)):
        found = passage(method, target, *lines)
        assert found is not None and found.fields == fields


@pytest.mark.parametrize("word", ["exec", "attach", "cp", "port-forward", "debug"])
@pytest.mark.parametrize("target", [ONE, PODS, f"{PODS}?watch=1&fieldSelector=status.phase=Running"])
def test_debuggers_go_around(word: str, target: str) -> None:
    assert passage("GET", target, f"Kubectl-Command: kubectl {word}", f"Accept: {PROTOBUF}") is None
    assert passage("GET", target, f"kubectl-command: kubectl  {word} --tty") is None


@pytest.mark.parametrize(
    "value", ["kubectl get", "kubectl logs", "kubectl", "exec", "kubectlexec", "x exec", "", "kubectl x exec"]
)
def test_other_commands_do_not(value: str) -> None:
    assert passage("GET", ONE, f"Kubectl-Command: {value}") is not None


def test_a_debugger_that_writes_does_not_go_around() -> None:
    for method, target in (("PATCH", f"{ONE}/ephemeralcontainers"), ("POST", PODS), ("DELETE", ONE)):
        assert passage(method, target, "Kubectl-Command: kubectl debug") is not None


def test_raw_goes_around_whatever_it_is() -> None:
    for method, target in (("GET", ONE), ("GET", PODS), ("PUT", f"{ONE}/status"), ("DELETE", ONE)):
        assert passage(method, target, "Headgate-Raw: 1") is None
        assert passage(method, target, "Headgate-Raw: 0") is not None
        assert passage(method, target, "Headgate-Raw:") is not None
    upgrade = ("Connection: Upgrade", "Upgrade: websocket")
    assert passage("GET", f"{PODS}?watch=1", "headgate-raw: 1", *upgrade) is None


@pytest.mark.parametrize(
    "target", [f"{PODS}?watch=1", "/api/v1/watch/pods", f"/api/v1/watch{ONE.removeprefix('/api/v1')}"]
)
def test_a_watch_over_websocket_is_refused(target: str) -> None:
    with pytest.raises(BadRequest) as caught:
        passage("GET", target, "connection: keep-alive, upgrade", "Upgrade: WebSocket")
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "lines"),
    [
        (PODS, ("Connection: Upgrade", "Upgrade: websocket")),
        (f"{PODS}?watch=1", ("Upgrade: websocket",)),
        (f"{PODS}?watch=1", ("Connection: Upgrade", "Upgrade: SPDY/3.1")),
    ],
)
def test_other_upgrades_are_not(target: str, lines: tuple[str, ...]) -> None:
    assert passage("GET", target, *lines) is not None


@pytest.mark.parametrize("target", [ONE, "/api/v1/watch/namespaces/agents-1/pods/agent-1"])
def test_the_selector_beside_a_name_is_not_touched(target: str) -> None:
    found = passage("GET", f"{target}?fieldSelector=status.phase=Failed")
    assert found is not None and found.target == f"{target}?fieldSelector=status.phase=Failed".encode()


def test_a_status_that_was_read_here_is_written_as_it_is() -> None:
    shown = told(DIED, RULES)
    for method in ("PUT", "PATCH"):
        found = passage(method, f"{ONE}/status", "Content-Type: application/merge-patch+json; charset=utf-8")
        assert found is not None and found.longest_body == LONGEST_WHOLE
        written = json.loads(found.body(encoded(shown)))
        assert written["status"]["phase"] == "Running"
        assert CONDITION not in [condition["type"] for condition in written["status"]["conditions"]]
        assert found.body(SENT) is SENT


def test_the_content_type_of_a_write_counts() -> None:
    operations = b'[{"op":"add","path":"/metadata/labels/x","value":"%b"}]' % CONDITION.encode()
    found = passage("PATCH", f"{ONE}/status", "Content-Type: application/json-patch+json")
    assert found is not None and found.body(operations) is operations
    for lines in ((), ("Content-Type: application/merge-patch+json",)):
        found = passage("PATCH", f"{ONE}/status", *lines)
        assert found is not None
        with pytest.raises(StatusNotRestorable):
            found.body(operations)


def test_a_pod_that_is_written_loses_what_apply_kept_of_a_file() -> None:
    applied = encoded(told(DIED, RULES)).decode()
    body = encoded({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied}}})
    for method, target in (("POST", PODS), ("PUT", ONE), ("PATCH", ONE)):
        found = passage(method, target, "Content-Type: application/strategic-merge-patch+json")
        assert found is not None
        assert CONDITION.encode() not in found.body(body) and found.body(SENT) is SENT


def test_only_a_pod_or_status_that_is_written_is_read() -> None:
    for asked in (*ANSWERED_WITH_ONE, *ANSWERED_WITH_MANY, *ANSWERED_WITH_EVENTS):
        method, _, target = asked.partition(" ")
        found = passage(method, target)
        assert found is not None
        writes = method in ("POST", "PUT", "PATCH") and not target.endswith(("/resize", "/ephemeralcontainers"))
        assert found.longest_body == (LONGEST_WHOLE if writes else 0)


def test_what_a_status_alone_tells() -> None:
    cases: list[tuple[str, int, PodState | None]] = [
        (f"GET {ONE}", 404, "gone"),
        (f"GET {ONE}", 200, None),
        (f"GET {ONE}?resourceVersion=", 404, "gone"),
        (f"GET {ONE}?resourceVersion=0", 404, None),
        (f"GET {ONE}?resource%56ersion=0", 404, None),
        (f"DELETE {ONE}", 200, "over"),
        (f"DELETE {ONE}?dryRun=All", 200, None),
        (f"POST {ONE}/eviction", 201, "over"),
        (f"POST {ONE}/eviction", 429, None),
        (f"GET {PODS}", 404, None),
    ]
    for asked, status, state in cases:
        method, _, target = asked.partition(" ")
        found = passage(method, target)
        assert found is not None
        assert found.told(status) == (None if state is None else PodSeen("agents-1", "agent-1", "", state))


def test_an_eviction_changes_nothing_else() -> None:
    target = f"{ONE}/eviction"
    found = passage("POST", target, f"Accept: {PROTOBUF}", "Accept-Encoding: gzip")
    assert found is not None and found.target == target.encode() and found.fields == {} and found.longest_body == 0
    witness = Remembering()
    found = passage("POST", target, witness=witness)
    assert found is not None and found.reply(reply(201, "Content-Type: text/plain")) is None
    assert witness.why == []


def test_a_look_is_told_like_any_other_read() -> None:
    created = request("Authorization: Bearer t", "Content-Type: application/json", target=PODS)
    translator = KubernetesTranslator(None)
    head = translator.look(PodSeen("agents-1", "agent-1", "u", "starting"), created)
    assert head.method == "GET" and head.target == ONE.encode() and head.get(b"authorization") == b"Bearer t"
    found = translator.passage("observe", ONE, head, head.target, Remembering())
    assert found is not None and found.target == head.target
