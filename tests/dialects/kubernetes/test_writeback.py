"""What was told never gets stored: every way to write ``…/status``, restored or refused."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.dialects.kubernetes.mark import CONDITION
from proxy.dialects.kubernetes.truth import told
from proxy.dialects.kubernetes.writeback import restored
from proxy.domain.errors import StatusNotRestorable
from proxy.domain.pods import PodRules
from tests.support.pod_states import (
    Json,
    condition,
    conditions,
    container_status,
    encoded,
    incident_pod,
    pod,
    running,
    terminated,
)

RULES: Final = PodRules(main_containers=("sandbox",))
JSON: Final = b"application/json"
MERGE: Final = b"application/merge-patch+json"
STRATEGIC: Final = b"application/strategic-merge-patch+json"
APPLY: Final = b"application/apply-patch+yaml"
JSON_PATCH: Final = b"application/json-patch+json"
PROTOBUF: Final = b"application/vnd.kubernetes.protobuf"
SAYS: Final = "; the API server says {"
ODD: Final = f'a"{SAYS}'
CLEARED: Final = pod(
    container_status("sandbox", terminated(0)), container_status("sidecar", terminated(1)), phase="Failed"
)


def as_told(shown: Json | None = None, rules: PodRules = RULES) -> Json:
    changed = told(incident_pod() if shown is None else shown, rules)
    assert changed is not None
    return changed


def ours() -> Json:
    (found,) = [one for one in as_told()["status"]["conditions"] if one["type"] == CONDITION]
    return dict(found)


def back(document: object, content_type: bytes = JSON) -> Any:
    return json.loads(restored(encoded(document), content_type))


@pytest.mark.parametrize("content_type", [JSON, APPLY, MERGE, STRATEGIC, b"", b"Application/JSON; charset=utf-8"])
def test_a_whole_pod_comes_back_as_it_was(content_type: bytes) -> None:
    assert back(as_told(), content_type) == incident_pod()


@pytest.mark.parametrize(
    "shown",
    [
        incident_pod(status={"reason": "NodeLost", "message": "gone"}),
        incident_pod(status={"conditions": [condition("Ready", "False")]}),
        incident_pod(status={"conditions": [condition("Ready", "False", reason="a;b", message=f"{SAYS}{{}}")]}),
        incident_pod(status={"conditions": []}),
        incident_pod(phase="Pending"),
        pod(container_status(ODD, terminated(1, SAYS)), annotations={"headgate.dev/main-container": ODD}),
    ],
    ids=["a reason of its own", "ready without a reason", "odd texts", "no conditions", "pending", "odd names"],
)  # fmt: skip
def test_others_come_back_too(shown: Json) -> None:
    assert back(as_told(shown)) == shown


def test_an_exonerated_pod_comes_back_failed() -> None:
    assert back(as_told(CLEARED, PodRules(main_containers=("sandbox",), authoritative=True))) == CLEARED


def test_a_stale_condition_of_ours_is_healed() -> None:
    stale = [*conditions(ready=False), condition(CONDITION, "True", message="old")]
    assert back(as_told(incident_pod(status={"conditions": stale}))) == incident_pod()


def test_what_the_caller_changed_meanwhile_stays() -> None:
    body = as_told()
    body["status"]["podIP"] = "10.9.9.9"
    gate = condition("example.com/gate", "True")
    body["status"]["conditions"] = [gate, *body["status"]["conditions"]]
    expected = incident_pod(status={"podIP": "10.9.9.9", "conditions": [gate, *conditions(ready=False)]})
    assert back(body) == expected


def test_a_ready_condition_that_the_caller_wrote_stays() -> None:
    mine = condition("Ready", "False", reason="Mine", message="my own")
    body = {"status": {"conditions": [mine, ours()]}}
    assert back(body, MERGE) == {"status": {"conditions": [mine]}}


def test_a_patch_gets_nothing_that_the_caller_did_not_send() -> None:
    told_ready = as_told()["status"]["conditions"][2]
    body = {"status": {"conditions": [told_ready, ours()]}}
    assert back(body, MERGE) == {"status": {"conditions": [conditions(ready=False)[2]]}}
    assert back({"status": {"phase": "Failed", "conditions": [ours()]}}, MERGE) == {
        "status": {"phase": "Running", "conditions": []}
    }


def test_a_strategic_merge_patch_loses_every_trace() -> None:
    ready: Json = {"type": "Ready", "status": "False", "reason": "PodFailed"}
    order = [{"type": "Ready"}, {"type": CONDITION}, {"type": "PodScheduled"}]
    body = {"status": {"$setElementOrder/conditions": order, "conditions": [ready, ours()]}}
    was = conditions(ready=False)[2]
    assert back(body, STRATEGIC) == {
        "status": {
            "$setElementOrder/conditions": [{"type": "Ready"}, {"type": "PodScheduled"}],
            "conditions": [{**ready, "reason": was["reason"], "message": was["message"]}],
        }
    }
    gone = [{"$patch": "delete", "type": CONDITION}, {"$patch": "replace"}]
    assert back({"status": {"phase": "Failed", "conditions": gone}}, STRATEGIC) == {
        "status": {"phase": "Failed", "conditions": [{"$patch": "replace"}]}
    }
    assert back({"status": {"$setElementOrder/conditions": order}}, STRATEGIC) == {
        "status": {"$setElementOrder/conditions": [{"type": "Ready"}, {"type": "PodScheduled"}]}
    }


def test_bytes_that_nobody_looks_at_are_kept() -> None:
    raw = encoded(as_told()).replace(
        b'"podIP":"10.1.0.7"', b'"x":[1e400,1.10,"\\u003c\\/",123456789012345678901234567890]'
    )
    assert b'"x":[1e400,1.10,"\\u003c\\/",123456789012345678901234567890]' in restored(raw, JSON)


def test_a_slash_may_be_escaped() -> None:
    raw = encoded(as_told()).replace(b"headgate.dev/PhaseDerived", rb"headgate.dev\/PhaseDerived")
    assert json.loads(restored(raw, JSON)) == incident_pod()


UNTOUCHED: Final[dict[str, tuple[bytes, bytes]]] = {
    "nothing of ours": (encoded(incident_pod()), JSON),
    "a phase of the caller's own": (b'{"status":{"phase":"Failed"}}', MERGE),
    "only a name in managedFields": (encoded({"metadata": {"managedFields": [CONDITION]}}), JSON),
    "only a name in an annotation": (
        encoded(incident_pod(annotations={"kubectl.kubernetes.io/last-applied-configuration": CONDITION})),
        JSON,
    ),
    "another condition's message": (
        encoded({"status": {"conditions": [condition("Ready", "True", message=CONDITION)]}}),
        MERGE,
    ),
    "a test of the phase": (b'[{"op":"test","path":"/status/phase","value":"Failed"}]', JSON_PATCH),
    "a test with our condition": (
        encoded([{"op": "test", "path": "/status/conditions", "value": [ours()]}]),
        JSON_PATCH,
    ),
    "a test in another spelling": (
        encoded([{"op": "test", "path": "/status/conditions", "value": [ours()]}]),
        b"Application/JSON-Patch+JSON ;charset=utf-8",
    ),
    "a patch elsewhere": (encoded([{"op": "add", "path": "/metadata/annotations/x", "value": CONDITION}]), JSON_PATCH),
    "a removal": (b'[{"op":"remove","path":"/status/conditions/5"},{"op":"test","path":"/PhaseDerived"}]', JSON_PATCH),
    "protobuf without it": (b"k8s\x00\n\x09\n\x02v1\x12\x03Pod", PROTOBUF),
    "YAML without it": (b"status:\n  phase: Failed\n", APPLY),
    "nothing": (b"", b""),
}


@pytest.mark.parametrize(("body", "content_type"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_what_has_nothing_of_ours_passes_byte_for_byte(body: bytes, content_type: bytes) -> None:
    assert restored(body, content_type) is body


def operation(op: str, path: str, value: object) -> bytes:
    return encoded([{"op": "test", "path": "/metadata/uid", "value": "x"}, {"op": op, "path": path, "value": value}])


REFUSED: Final[dict[str, tuple[bytes, bytes]]] = {
    "protobuf": (b"k8s\x00\n\x09\n\x02v1\x12\x03Pod" + CONDITION.encode(), PROTOBUF),
    "CBOR": (b"\xd9\xd9\xf7\xa1\x78\x19" + CONDITION.encode(), b"application/cbor"),
    "YAML": (f"status:\n  conditions:\n  - type: {CONDITION}\n".encode(), APPLY),
    "cut JSON": (encoded(as_told())[:-9], JSON),
    "a list": (encoded([as_told()]), JSON),
    "a status of another type": (encoded({"status": CONDITION}), JSON),
    "conditions of another type": (encoded({"status": {"conditions": CONDITION}}), JSON),
    "a message that was edited": (encoded({"status": {"conditions": [ours() | {"message": "mine"}]}}), JSON),
    "no message": (encoded({"status": {"conditions": [{"type": CONDITION}]}}), STRATEGIC),
    "a message without a phase": (
        encoded({"status": {"conditions": [ours() | {"message": '; the API server says {"phase":""}'}]}}),
        JSON,
    ),
    "patch: the condition": (operation("add", "/status/conditions/-", ours()), JSON_PATCH),
    "patch: all conditions": (operation("replace", "/status/conditions", [ours()]), JSON_PATCH),
    "patch: the status": (operation("replace", "/status", as_told()["status"]), JSON_PATCH),
    "patch: the pod": (operation("replace", "", as_told()), JSON_PATCH),
    "patch: with a charset": (operation("add", "/status/conditions/0", ours()), JSON_PATCH + b"; charset=utf-8"),
    "patch: no list": (encoded(as_told()), JSON_PATCH),
    "very deep": (b'{"status":' + b"[" * 100_000 + b'"PhaseDerived"' + b"]" * 100_000 + b"}", JSON),
}


@pytest.mark.parametrize(("body", "content_type"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_restored_is_refused(body: bytes, content_type: bytes) -> None:
    with pytest.raises(StatusNotRestorable):
        restored(body, content_type)


def test_a_pod_that_was_not_told_has_no_condition_to_restore() -> None:
    shown = pod(container_status("sandbox", running()))
    assert restored(body := encoded(shown), JSON) is body
