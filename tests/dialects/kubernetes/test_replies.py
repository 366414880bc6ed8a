"""Which replies are read, and what becomes of their bodies: one pod, a list of them, or something else."""

from __future__ import annotations

import json
from typing import Final

import pytest

from proxy.dialects.translation import LONGEST_WHOLE
from proxy.domain.pods import PodRules
from tests.dialects.heads import reply
from tests.dialects.kubernetes.asking import PODS, answered, passage, pod_list
from tests.dialects.kubernetes.cutting import every_cut
from tests.support.pod_states import container_status, encoded, incident_pod, pod, running
from tests.support.witnesses import Remembering

ONE: Final = f"{PODS}/agent-1"
JSON: Final = "Content-Type: application/json"
PROTOBUF: Final = "application/vnd.kubernetes.protobuf,application/json"
DIED: Final = incident_pod()
RUNS: Final = pod(container_status("sandbox", running()))
SENT: Final = encoded(DIED)


def test_the_selector_of_a_delete_is_never_touched() -> None:
    target = f"{PODS}?fieldSelector=status.phase%3DFailed"
    found = passage("DELETE", target)
    assert found is not None and found.target == target.encode()
    received = json.loads(answered("DELETE", target, [pod_list(RUNS, DIED, remainingItemCount=1)]))
    assert [item["status"]["phase"] for item in received["items"]] == ["Running", "Failed"]
    assert received["metadata"]["remainingItemCount"] == 1


def test_a_list_is_chosen_by_what_is_told() -> None:
    sent = pod_list(RUNS, DIED, RUNS, DIED, **{"continue": "x"}, remainingItemCount=3)
    received = json.loads(answered("GET", f"{PODS}?fieldSelector=status.phase=Failed", [sent]))
    assert [item["status"]["phase"] for item in received["items"]] == ["Failed", "Failed"]
    assert received["metadata"] == {"resourceVersion": "9", "continue": "x"}
    none = json.loads(answered("GET", f"{PODS}?fieldSelector=status.phase=Pending", [sent]))
    assert none["items"] == []


def test_what_is_no_pod_in_a_list_is_not_left_out() -> None:
    witness = Remembering()
    sent = encoded({"items": [None, {"metadata": {}, "status": 7}, {"metadata": {}}]})
    received = answered("GET", f"{PODS}?fieldSelector=status.phase=Failed", [sent], witness=witness)
    assert json.loads(received) == {"items": [None, {"metadata": {}, "status": 7}]}
    assert witness.why == ["broken", "broken"]


@pytest.mark.parametrize(
    ("status", "lines", "why"),
    [
        (200, (JSON,), None),
        (201, ("content-type: Application/JSON; charset=utf-8",), None),
        (200, (JSON, "Content-Encoding: identity"), None),
        (200, (JSON, "Content-Encoding: gzip"), "other-encoding"),
        (200, ("Content-Type: application/vnd.kubernetes.protobuf",), "not-json"),
        (200, ("Content-Type: application/json-patch+json",), "not-json"),
        (200, (), "not-json"),
    ],
)
def test_which_replies_are_read(status: int, lines: tuple[str, ...], why: str | None) -> None:
    witness = Remembering()
    found = passage("GET", ONE, witness=witness)
    assert found is not None
    assert (found.reply(reply(status, *lines)) is None) == (why is not None)
    assert witness.why == ([] if why is None else [why])


@pytest.mark.parametrize(
    ("status", "lines"),
    [(404, (JSON,)), (500, ()), (304, ()), (101, ()), (302, ()), (204, ()), (200, ("Content-Length: 0",))],
)
def test_errors_and_empty_replies_pass_unseen(status: int, lines: tuple[str, ...]) -> None:
    witness = Remembering()
    found = passage("GET", ONE, witness=witness)
    assert found is not None and found.reply(reply(status, *lines)) is None
    assert witness.why == []


def test_one_object_that_needs_no_change_is_the_same_object() -> None:
    for sent in (encoded(RUNS), encoded({"kind": "Status"}), b"no json", b'{"kind":"Table","terminated":1}'):
        found = passage("GET", ONE)
        transform = None if found is None else found.reply(reply(200, JSON))
        assert transform is not None
        assert transform.feed(sent) == b"" and transform.end() is sent


def test_one_object_that_is_too_big_passes_as_it_comes() -> None:
    witness = Remembering()
    found = passage("GET", ONE, witness=witness)
    transform = None if found is None else found.reply(reply(200, JSON))
    assert transform is not None
    big = b" " * (LONGEST_WHOLE - 10)
    assert transform.feed(big) == b"" and transform.feed(SENT) == big + SENT
    assert transform.feed(SENT) is SENT and transform.end() == b""
    assert witness.why == ["too-big"]


def test_an_empty_body_stays_empty() -> None:
    for method, target in (("GET", ONE), ("GET", PODS), ("GET", f"{PODS}?watch=1")):
        witness = Remembering()
        assert answered(method, target, [], witness=witness) == b""
        assert witness.why == []


def test_without_rules_an_annotation_still_enrols() -> None:
    enrolled = incident_pod(annotations={"headgate.dev/main-container": "sandbox"})
    for rules in (None, PodRules()):
        assert json.loads(answered("GET", ONE, [encoded(enrolled)], rules=rules))["status"]["phase"] == "Failed"
        assert answered("GET", ONE, [SENT], rules=rules) == SENT


def test_who_waits_for_a_pod_hears_of_those_that_need_no_change() -> None:
    for method, target, sent in (
        ("GET", ONE, encoded(RUNS)),
        ("GET", PODS, pod_list(RUNS)),
        ("GET", f"{PODS}?watch=1", encoded({"type": "ADDED", "object": RUNS})),
    ):
        for expecting in (False, True):
            witness = Remembering(expecting=expecting)
            assert answered(method, target, [sent], witness=witness) == sent
            assert [one.state for one in witness.seen] == (["ready"] if expecting else [])


def test_a_rule_that_counts_restarts_looks_at_every_pod() -> None:
    looping = pod(container_status("sandbox", running(), restarts=3), restart_policy="Always")
    rules = PodRules(main_containers=("sandbox",), max_restarts=3)
    sent = encoded({"type": "MODIFIED", "object": looping})
    for body, target in ((encoded(looping), ONE), (pod_list(looping), PODS), (sent, f"{PODS}?watch=1")):
        assert b'"phase":"Failed"' in answered("GET", target, [body], rules=rules)


def test_every_cut_of_a_list_gives_the_same() -> None:
    died = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "sandbox"}], "restartPolicy": "Never"}}
    ended = {"phase": "Running", "containerStatuses": [{"name": "sandbox", "state": {"terminated": {"exitCode": 1}}}]}
    small = pod_list({**died, "status": ended}, {**died, "status": {"phase": "Pending"}}, remainingItemCount=1)
    for target in (PODS, f"{PODS}?fieldSelector=status.phase=Failed"):
        whole = answered("GET", target, [small])
        assert b'"Failed"' in whole
        for cut in every_cut(small):
            assert answered("GET", target, cut) == whole


DEEP: Final = b'{"type":"ADDED","object":{"metadata":{"terminated":' + b"[" * 100_000 + b"]" * 100_000 + b"}}}"


def test_what_is_nested_too_deeply_passes() -> None:
    for target in (PODS, f"{PODS}?watch=1"):
        for sent in (DEEP + b"\n" + DEEP, b'{"items":[' + DEEP + b"]}"):
            assert answered("GET", target, [sent]) == sent


CHOSEN: Final = f"{PODS}?fieldSelector=status.phase=Failed"
"""Who asks so may delete all that is listed (kubernetes.md §0.10)."""


@pytest.mark.parametrize("step", [65_536, 1 << 30])
def test_no_pod_too_big_to_look_at_is_listed_by_its_phase_and_none_behind_it(step: int) -> None:
    big = {**RUNS, "metadata": {"name": "big", "annotations": {"a": "x" * LONGEST_WHOLE}}}
    sent = pod_list(DIED, big, RUNS, RUNS)
    witness = Remembering()
    received = answered("GET", CHOSEN, [sent[at : at + step] for at in range(0, len(sent), step)], witness=witness)
    assert received.count(b'"Running"') == 0
    assert received.count(b'"Failed"') == 1
    assert witness.why == ["too-big"]


@pytest.mark.parametrize("step", [65_536, 1 << 30])
def test_no_event_too_big_to_look_at_is_watched_by_its_phase(step: int) -> None:
    big = encoded({"type": "ADDED", "object": {**RUNS, "metadata": {"name": "big", "a": "x" * LONGEST_WHOLE}}})
    died = encoded({"type": "ADDED", "object": DIED})
    sent = died + b"\n" + big + b"\n" + died + b"\n"
    witness = Remembering()
    pieces = [sent[at : at + step] for at in range(0, len(sent), step)]
    received = answered("GET", f"{CHOSEN}&watch=1", pieces, witness=witness)
    assert [json.loads(line)["object"]["status"]["phase"] for line in received.splitlines()] == ["Failed", "Failed"]
    assert witness.why == ["too-big"]


@pytest.mark.parametrize("lines", [("Content-Type: application/yaml",), (JSON, "Content-Encoding: gzip"), ()])
def test_nothing_passes_of_what_is_to_be_chosen_and_cannot_be_read(lines: tuple[str, ...]) -> None:
    sent = pod_list(DIED, RUNS)
    for target in (CHOSEN, f"{CHOSEN}&watch=1"):
        witness = Remembering()
        assert answered("GET", target, [sent, sent], witness=witness, answer=lines) == b""
        assert len(witness.why) == 1
    assert answered("GET", PODS, [sent], answer=lines) == sent
    assert answered("DELETE", CHOSEN, [sent], answer=lines) == sent


def test_a_list_by_phase_that_cannot_be_read_ends_incomplete() -> None:
    sent = pod_list(DIED, RUNS)
    for broken in (sent.replace(b'}},{"', b'}};{"', 1), sent[:-40], b'{"items":[' + DEEP + b"]}"):
        received = answered("GET", CHOSEN, [broken])
        assert b'"Running"' not in received
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(received)
