"""A file that was read here and applied: what ``kubectl apply`` keeps of it says what the API server says."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.dialects.kubernetes.applied import unapplied
from proxy.dialects.kubernetes.mark import CONDITION
from proxy.dialects.kubernetes.truth import told
from proxy.domain.errors import StatusNotRestorable
from proxy.domain.pods import PodRules
from tests.support.pod_states import Json, encoded, incident_pod

APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
RULES: Final = PodRules(main_containers=("sandbox",))


def as_told() -> Json:
    changed = told(incident_pod(), RULES)
    assert changed is not None
    return changed


def body_with(applied: object, **more: Any) -> bytes:
    text = applied if isinstance(applied, str) else encoded(applied).decode()
    return encoded({"kind": "Pod", "metadata": {"name": "a", "annotations": {"b": "c", APPLIED: text}}, **more})


@pytest.mark.parametrize("more", [{}, {"status": as_told()["status"]}, {"spec": {"x": [1e30, "ü"]}}])
def test_the_annotation_says_what_was_there(more: Json) -> None:
    changed = json.loads(unapplied(body_with(as_told(), **more)))
    kept = json.loads(changed["metadata"]["annotations"].pop(APPLIED))
    assert kept == incident_pod()
    assert changed == {"kind": "Pod", "metadata": {"name": "a", "annotations": {"b": "c"}}, **more}


def test_bytes_that_nobody_looks_at_are_kept() -> None:
    raw = body_with(as_told(), spec=1).replace(b'"spec":1', b'"spec":{"x":[1e400,1.10,"\\u003c\\/"]}')
    assert b'"spec":{"x":[1e400,1.10,"\\u003c\\/"]}' in unapplied(raw)


UNTOUCHED: Final[dict[str, bytes]] = {
    "nothing of ours": body_with(incident_pod()),
    "a status beside it, which is discarded": encoded(as_told()),
    "a text that is no JSON": body_with(f"look at {CONDITION}"),
    "a text that is no object": body_with([CONDITION]),
    "an annotation of another name": encoded({"metadata": {"annotations": {"x": encoded(as_told()).decode()}}}),
    "an annotation that is no text": encoded({"metadata": {"annotations": {APPLIED: as_told()}}}),
    "no annotations": encoded({"metadata": {"annotations": None}, "x": CONDITION}),
    "no metadata": encoded({"x": CONDITION}),
    "a patch": encoded([{"op": "add", "path": "/metadata/annotations/x", "value": CONDITION}]),
    "protobuf": b"k8s\x00\n\x09\n\x02v1\x12\x03Pod" + CONDITION.encode(),
    "cut": body_with(as_told())[:-9],
    "very deep": b'{"metadata":' + b"[" * 100_000 + b'"PhaseDerived"' + b"]" * 100_000 + b"}",
    "very deep inside": body_with('{"status":' + "[" * 100_000 + '"PhaseDerived"' + "]" * 100_000 + "}"),
    "nothing": b"",
}


@pytest.mark.parametrize("body", UNTOUCHED.values(), ids=UNTOUCHED)
def test_everything_else_passes_byte_for_byte(body: bytes) -> None:
    assert unapplied(body) is body


def test_what_cannot_be_restored_is_refused() -> None:
    edited = as_told()
    for condition in edited["status"]["conditions"]:
        condition["message"] = "mine"
    with pytest.raises(StatusNotRestorable):
        unapplied(body_with(edited))
