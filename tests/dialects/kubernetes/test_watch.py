"""Events of a watch: whose pods are told, and what a phase selector makes of them."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest

from proxy.dialects.kubernetes.truth import Teller
from proxy.dialects.kubernetes.watch import Events, Known
from tests.dialects.kubernetes.asking import PODS, RULES, answered
from tests.dialects.kubernetes.cutting import every_cut
from tests.support.pod_states import Json, container_status, encoded, incident_pod, pod, running
from tests.support.witnesses import Remembering

WATCH: Final = f"{PODS}?watch=true"
FAILED: Final = f"{WATCH}&fieldSelector=status.phase%3DFailed"
RUNS: Final = pod(container_status("sandbox", running()), container_status("sidecar", running()))
DIED: Final = incident_pod()
BOOKMARK: Final = {
    "kind": "Pod",
    "apiVersion": "v1",
    "metadata": {
        "resourceVersion": "9",
        "creationTimestamp": None,
        "annotations": {"k8s.io/initial-events-end": "true"},
    },
    "spec": {"containers": None},
    "status": {},
}
EXPIRED: Final = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410}


def event(kind: str, shown: Json) -> bytes:
    """An event as the API server sends it."""
    return encoded({"type": kind, "object": shown})


def named(shown: Json, name: str) -> Json:
    """The same pod under another name."""
    return {**shown, "metadata": {**shown["metadata"], "name": name}}


def seen(received: bytes) -> list[tuple[str, str, str]]:
    """Type, name and phase of each event; every line is one."""
    found = []
    for line in received.splitlines():
        told: dict[str, Any] = json.loads(line)
        shown = told["object"]
        found.append((told["type"], shown.get("metadata", {}).get("name", ""), shown["status"].get("phase", "")))
    return found


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED"])
def test_a_pod_in_an_event_is_told(kind: str) -> None:
    witness = Remembering()
    assert seen(answered("GET", WATCH, [event(kind, DIED)], witness=witness)) == [(kind, "agent-1", "Failed")]
    assert witness.changed == 1 and witness.why == []


def test_only_the_status_in_an_event_changes_and_the_event_keeps_its_line() -> None:
    sent = event("MODIFIED", DIED)
    received = answered("GET", WATCH, [sent])
    status = sent.index(b',"status":{"observedGeneration"')
    assert received.startswith(sent[:status])
    assert received.endswith(b"}\n") and received.count(b"\n") == 1


def test_bookmarks_and_errors_pass() -> None:
    strange = event("BOOKMARK", DIED) + event("ERROR", DIED) + event("STRANGE", DIED)
    sent = event("BOOKMARK", BOOKMARK) + event("ERROR", EXPIRED) + strange
    for target in (WATCH, FAILED):
        witness = Remembering()
        assert answered("GET", target, [sent], witness=witness) == sent
        assert witness.why == [] and witness.changed == 0


def test_the_members_of_an_event_come_in_any_order_and_number() -> None:
    sent = b'{"more":{"a":[1]},"object":' + encoded(DIED).strip() + b',"type":"MODIFIED","last":null}'
    received = answered("GET", WATCH, [sent])
    assert seen(received) == [("MODIFIED", "agent-1", "Failed")]
    assert received.startswith(b'{"more":{"a":[1]},"object":{') and received.endswith(
        b',"type":"MODIFIED","last":null}\n'
    )


def test_an_event_over_many_lines_leaves_on_one() -> None:
    sent = json.dumps({"type": "MODIFIED", "object": DIED}, indent=2).encode()
    received = answered("GET", WATCH, [sent + b"\n" + sent])
    assert seen(received) == [("MODIFIED", "agent-1", "Failed")] * 2
    witness = Remembering()
    late = b'{"type":"MODIFIED","object":' + json.dumps(DIED, indent=1).encode() + b"}\n"
    assert seen(answered("GET", WATCH, [late], witness=witness)) == [("MODIFIED", "agent-1", "Failed")]
    assert witness.changed == 1


OBJECT: Final = encoded(DIED).strip()
BEGINS: Final = b'{"type":"MODIFIED","object":'


@pytest.mark.parametrize("ends", [b',"more":1}', b" } ", b"\r\n}", b',"object":' + encoded(RUNS).strip() + b"}"])
def test_an_event_that_only_begins_as_usual_is_read_to_its_end(ends: bytes) -> None:
    witness = Remembering()
    received = answered("GET", WATCH, [BEGINS + OBJECT + ends + b"\n"], witness=witness)
    true = json.loads(BEGINS + OBJECT + ends)
    phase = "Failed" if true["object"] == DIED else "Running"
    assert seen(received) == [("MODIFIED", "agent-1", phase)]
    assert witness.changed == (phase == "Failed") and witness.why == []


@pytest.mark.parametrize("ends", [b"]", b"", b'"}', b",}"])
def test_what_only_begins_as_an_event_passes(ends: bytes) -> None:
    witness = Remembering()
    sent = BEGINS + OBJECT + ends + b"\n"
    assert answered("GET", WATCH, [sent], witness=witness) == sent
    assert witness.changed == 0 and witness.why == ["broken"]


@pytest.mark.parametrize("end", [b"]", b"1", b" "])
def test_no_brace_is_made_up(end: bytes) -> None:
    with pytest.raises(ValueError, match=r"JSON|truncated"):
        Events(Teller(RULES, Remembering()))(BEGINS + OBJECT + end)


def test_every_cut_of_a_stream_gives_the_same() -> None:
    slight: Json = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "sandbox"}], "restartPolicy": "Never"}}
    died = {"phase": "Running", "containerStatuses": [{"name": "sandbox", "state": {"terminated": {"exitCode": 1}}}]}
    sent = event("ADDED", {**slight, "status": {"phase": "Pending"}}) + event("MODIFIED", {**slight, "status": died})
    for target, expected in ((WATCH, ["Pending", "Failed"]), (FAILED, ["Failed"])):
        whole = answered("GET", target, [sent])
        assert [phase for _, _, phase in seen(whole)] == expected
        for cut in every_cut(sent):
            assert answered("GET", target, cut) == whole


@pytest.mark.parametrize("sent", [b'{"type":"ADDED"}\n', b'{"type":7,"object":{}}\n', b'{"object":{}}\n', b"{}\n"])
def test_what_is_no_event_passes(sent: bytes) -> None:
    for target in (WATCH, FAILED):
        witness = Remembering(expecting=True)
        assert answered("GET", target, [sent], witness=witness) == sent
        assert witness.why == ["broken"]


@pytest.mark.parametrize(
    "shown", [{}, {"metadata": {}, "status": {"phase": 7}}, {"metadata": None}, {"metadata": {"name": 7}}, EXPIRED]
)
def test_what_is_no_pod_passes_a_selector(shown: Json) -> None:
    witness = Remembering()
    assert answered("GET", FAILED, [event("ADDED", shown)], witness=witness) == event("ADDED", shown)
    assert witness.why == ["broken"]


def test_who_waits_for_a_pod_hears_of_each() -> None:
    witness = Remembering(expecting=True)
    sent = event("ADDED", RUNS) + event("MODIFIED", DIED) + event("DELETED", RUNS) + event("BOOKMARK", BOOKMARK)
    answered("GET", WATCH, [sent], witness=witness)
    assert [pod.state for pod in witness.seen] == ["ready", "over", "gone"]


def test_a_selector_sees_the_pod_as_it_is_told() -> None:
    sent = event("ADDED", RUNS) + event("MODIFIED", DIED) + event("MODIFIED", DIED) + event("DELETED", DIED)
    assert seen(answered("GET", FAILED, [sent])) == [
        ("ADDED", "agent-1", "Failed"),
        ("MODIFIED", "agent-1", "Failed"),
        ("DELETED", "agent-1", "Failed"),
    ]
    runs = WATCH + "&fieldSelector=status.phase=Running"
    assert seen(answered("GET", runs, [sent])) == [("ADDED", "agent-1", "Running"), ("DELETED", "agent-1", "Failed")]


def test_a_stream_that_was_resumed_takes_every_pod_as_known_once() -> None:
    sent = b"".join(
        [
            event("MODIFIED", named(RUNS, "a")),
            event("MODIFIED", named(RUNS, "a")),
            event("MODIFIED", named(DIED, "b")),
            event("DELETED", named(RUNS, "c")),
            event("ADDED", named(RUNS, "d")),
            event("MODIFIED", named(RUNS, "d")),
        ]
    )
    assert seen(answered("GET", FAILED + "&resourceVersion=7", [sent])) == [
        ("DELETED", "a", "Running"),
        ("MODIFIED", "b", "Failed"),
        ("DELETED", "c", "Running"),
    ]
    assert seen(answered("GET", FAILED + "&resourceVersion=0", [sent])) == [("ADDED", "b", "Failed")]


def test_pods_of_one_name_in_two_namespaces_are_two() -> None:
    other = incident_pod(namespace="agents-2")
    sent = event("ADDED", DIED) + event("MODIFIED", {**RUNS, "metadata": other["metadata"]}) + event("MODIFIED", RUNS)
    target = "/api/v1/pods?watch=1&fieldSelector=status.phase=Failed"
    events = [json.loads(line) for line in answered("GET", target, [sent]).splitlines()]
    heard = [(one["type"], one["object"]["metadata"]["namespace"]) for one in events]
    assert heard == [("ADDED", "agents-1"), ("DELETED", "agents-1")]


@pytest.mark.parametrize(
    ("resumed", "turns"),
    [
        (
            False,
            [
                ("ADDED", False, None),
                ("MODIFIED", False, None),
                ("MODIFIED", True, "ADDED"),
                ("MODIFIED", True, "MODIFIED"),
                ("ADDED", True, "ADDED"),
                ("MODIFIED", False, "DELETED"),
                ("MODIFIED", False, None),
                ("DELETED", True, None),
                ("ADDED", True, "ADDED"),
                ("DELETED", False, "DELETED"),
                ("DELETED", True, None),
                ("ADDED", True, "ADDED"),
                ("ADDED", False, "DELETED"),
            ],
        ),
        (True, [("MODIFIED", True, "MODIFIED"), ("MODIFIED", False, "DELETED"), ("MODIFIED", False, None)]),
        (True, [("MODIFIED", False, "DELETED"), ("MODIFIED", False, None), ("MODIFIED", True, "ADDED")]),
        (True, [("DELETED", False, "DELETED"), ("ADDED", False, None), ("MODIFIED", False, None)]),
        (True, [("ADDED", False, None), ("DELETED", False, None)]),
        (True, [("ADDED", True, "ADDED"), ("MODIFIED", True, "MODIFIED"), ("DELETED", True, "DELETED")]),
    ],
)
def test_what_an_event_is_to_who_knows_some_pods(resumed: bool, turns: list[tuple[str, bool, str | None]]) -> None:
    known = Known(resumed=resumed)
    for kind, matches, turned in turns:
        assert known.turned(kind, ("n", "p"), matches=matches) == turned


def test_a_stream_without_matches_remembers_nothing() -> None:
    known = Known(resumed=False)
    for number in range(10):
        known.turned("ADDED", ("n", str(number)), matches=False)
        known.turned("MODIFIED", ("n", str(number)), matches=True)
        known.turned("MODIFIED", ("n", str(number)), matches=False)
    assert known.size == 0
