"""How a pod is told: which fields change, what passes byte for byte, what the witness hears."""

from __future__ import annotations

import copy
import json
from typing import Any, Final

import pytest

from proxy.dialects.kubernetes.mark import CONDITION
from proxy.dialects.kubernetes.truth import Teller, told
from proxy.dialects.translation import LONGEST_WHOLE, PodSeen, PodState
from proxy.domain.pods import Decide, PodRules
from tests.support.pod_states import (
    FINISHED,
    STARTED,
    UNREADY,
    Json,
    condition,
    conditions,
    container_status,
    encoded,
    incident_pod,
    pod,
    running,
    terminated,
    waiting,
)
from tests.support.witnesses import Remembering

RULES: Final = PodRules(main_containers=("sandbox", "agent"))
MESSAGE: Final = 'container "sandbox" terminated: OOMKilled (exit code 137)'
WAS: Final = {"reason": "ContainersNotReady", "message": UNREADY}


def tell(raw: bytes, rules: PodRules = RULES) -> tuple[bytes, Remembering]:
    witness = Remembering()
    return Teller(rules, witness).tell(raw), witness


def status_of(shown: Json, rules: PodRules = RULES) -> Json:
    changed = told(shown, rules)
    assert changed is not None
    status: Json = changed["status"]
    return status


def by_type(status: Json, kind: str) -> Json:
    (found,) = [one for one in status["conditions"] if one["type"] == kind]
    return dict(found)


def test_the_reported_pod() -> None:
    shown = incident_pod()
    expected = copy.deepcopy(shown)
    expected["status"] |= {"phase": "Failed", "reason": "OOMKilled", "message": MESSAGE}
    listed = expected["status"]["conditions"]
    for number in (2, 3):
        listed[number]["reason"] = "PodFailed"
        listed[number].pop("message")
    true = {"phase": "Running", "unsaid": True, "conditions": {"Ready": WAS, "ContainersReady": WAS}}
    listed.append(
        {
            "type": "headgate.dev/PhaseDerived",
            "observedGeneration": 1,
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": FINISHED,
            "reason": "MainContainerTerminated",
            "message": f"{MESSAGE}; the API server says {json.dumps(true, separators=(',', ':'))}",
        }
    )
    assert told(shown, RULES) == expected
    raw, witness = tell(encoded(shown))
    assert json.loads(raw) == expected
    assert witness.changed == 1
    assert witness.why == []


def test_a_success() -> None:
    status = status_of(pod(container_status("sandbox", terminated(0)), container_status("sidecar", running())))
    assert (status["phase"], status["reason"]) == ("Succeeded", "Completed")
    assert status["message"] == 'container "sandbox" terminated: Completed (exit code 0)'
    assert by_type(status, "Ready")["reason"] == "PodCompleted"
    assert by_type(status, "ContainersReady")["reason"] == "PodCompleted"


@pytest.mark.parametrize(
    "there", [{"reason": "NodeLost"}, {"message": "gone"}, {"reason": "NodeLost", "message": "gone"}]
)
def test_what_the_api_server_says_is_never_replaced(there: Json) -> None:
    status = status_of(incident_pod(status=there))
    assert {key: status[key] for key in ("reason", "message") if key in status} == there


def test_empty_texts_are_none() -> None:
    status = status_of(incident_pod(status={"reason": "", "message": ""}))
    assert (status["reason"], status["message"]) == ("OOMKilled", MESSAGE)


def test_conditions_keep_their_times_and_their_order() -> None:
    shown = incident_pod()
    told_ones = status_of(shown)["conditions"]
    for before, after in zip(shown["status"]["conditions"], told_ones, strict=False):
        assert {**after, "reason": 0, "message": 0} == {**before, "reason": 0, "message": 0}
        assert after["lastTransitionTime"] == STARTED


@pytest.mark.parametrize("status", ["True", "Unknown"])
def test_a_condition_that_is_not_false_is_never_flipped(status: str) -> None:
    ready = condition("Ready", status, reason="NodeStatusUnknown", message="kubelet stopped posting")
    assert by_type(status_of(incident_pod(status={"conditions": [ready]})), "Ready") == ready


def test_of_two_conditions_of_one_type_the_first_is_changed() -> None:
    twice = [condition("Ready", "False", reason=reason) for reason in ("One", "Two")]
    reasons = [one["reason"] for one in status_of(incident_pod(status={"conditions": twice}))["conditions"]]
    assert reasons == ["PodFailed", "Two", "MainContainerTerminated"]


@pytest.mark.parametrize("none", [[], None])
def test_a_pod_without_conditions_gets_ours_alone(none: list[Json] | None) -> None:
    (ours,) = status_of(incident_pod(status={"conditions": none}))["conditions"]
    assert ours["type"] == CONDITION
    shown = incident_pod()
    shown["status"].pop("conditions")
    assert status_of(shown)["conditions"][0]["type"] == CONDITION


def test_a_stored_condition_of_ours_is_replaced_where_it_stands() -> None:
    stale = condition(CONDITION, "True", reason="MainContainerTerminated", message="old")
    listed = conditions(ready=False)
    after = status_of(incident_pod(status={"conditions": [listed[0], stale, *listed[1:]]}))["conditions"]
    assert [one["type"] for one in after].index(CONDITION) == 1
    assert "OOMKilled" in by_type({"conditions": after}, CONDITION)["message"]
    assert len(after) == len(listed) + 1


def test_before_1_34_no_generation_was_observed() -> None:
    shown = incident_pod()
    shown["status"].pop("observedGeneration")
    assert "observedGeneration" not in by_type(status_of(shown), CONDITION)


LATER, LATEST = "2025-11-21T11:00:00Z", "2025-11-21T12:00:00Z"
SINCE: Final = {
    "the last main's end": (terminated(1, at=LATEST), terminated(0, at=LATER), Decide.ALL, LATEST),
    "any: the first failure's": (terminated(1, at=LATEST), terminated(2, at=LATER), Decide.ANY, LATER),
    "any: not a success's": (terminated(0, at=LATER), terminated(2, at=LATEST), Decide.ANY, LATEST),
    "any, but all are done": (terminated(0, at=LATER), terminated(0, at=LATEST), Decide.ANY, LATEST),
    "one end is lost": (terminated(1, at=None), terminated(2, at=LATER), Decide.ALL, LATER),
    "all ends are lost": (terminated(1, at=None), terminated(2, at=None), Decide.ALL, STARTED),
}


@pytest.mark.parametrize(("first", "second", "decide", "since"), SINCE.values(), ids=SINCE)
def test_since_when(first: Json, second: Json, decide: Decide, since: str) -> None:
    shown = pod(container_status("sandbox", first), container_status("agent", second))
    rules = PodRules(main_containers=("sandbox", "agent"), decide=decide)
    assert by_type(status_of(shown, rules), CONDITION)["lastTransitionTime"] == since


def test_where_no_time_is_known_none_is_made_up() -> None:
    shown = pod(container_status("sandbox", terminated(1, at=None)), status={"conditions": []})
    assert by_type(status_of(shown), CONDITION)["lastTransitionTime"] is None


def test_a_crash_loop_that_counts_as_failed() -> None:
    loop = container_status("sandbox", waiting("CrashLoopBackOff"), last=terminated(137, "OOMKilled"), restarts=4)
    rules = PodRules(main_containers=("sandbox",), max_restarts=4)
    status = status_of(pod(loop, restart_policy="Always"), rules)
    assert status["message"] == 'container "sandbox" restarted 4 times, last OOMKilled (exit code 137)'
    assert by_type(status, CONDITION)["reason"] == "MainContainerRestarts"
    raw, _ = tell(encoded(pod(container_status("sandbox", running(), restarts=4), restart_policy="Always")), rules)
    assert json.loads(raw)["status"]["phase"] == "Failed", "also where nothing is terminated just now"


def test_items_of_a_list_do_not_say_that_they_are_pods() -> None:
    item = incident_pod()
    del item["kind"], item["apiVersion"]
    raw, _ = tell(encoded(item))
    assert json.loads(raw)["status"]["phase"] == "Failed"


OTHERS: Final[dict[str, Json]] = {
    "Status": {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 410},
    "Table": {"kind": "Table", "rows": [{"cells": ["OOMKilled"], "object": incident_pod()}]},
    "PodList": {"kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": [incident_pod()]},
    "PartialObjectMetadata": {**incident_pod(), "kind": "PartialObjectMetadata"},
    "PodMetrics": {**incident_pod(), "kind": "PodMetrics"},
    "bookmark": {
        "kind": "Pod",
        "metadata": {"resourceVersion": "9", "creationTimestamp": None},
        "spec": {},
        "status": {},
    },
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_what_is_no_pod_passes(other: Json) -> None:
    raw = encoded({**other, "x": {"terminated": 1}})
    for expecting in (False, True):
        witness = Remembering(expecting=expecting)
        assert Teller(RULES, witness).tell(raw) is raw
        assert witness == Remembering(expecting=expecting), "nothing was seen, changed or passed over"


def test_what_is_not_looked_at_keeps_its_bytes() -> None:
    odd = b'"odd": [1e400,123456789012345678901234567890,1.10,-0.0,"\\u003c\\/\xff",{"a":1,"a":2}]'
    before, status = encoded(incident_pod()).split(b',"status":{')
    raw = before + b"," + odd + b',"status":{' + odd + b"," + status
    changed, witness = tell(raw)
    assert witness.changed == 1
    assert changed.startswith(before + b"," + odd + b',"status":{')
    assert changed.count(odd.replace(b'"odd": ', b"")) == 2
    assert changed.endswith(b"}\n")
    assert b'"phase":"Failed"' in changed
    assert changed.index(b'"containerStatuses"') < changed.index(b'"qosClass"')
    assert status[status.index(b'"containerStatuses"') : -3] in changed


LAYOUTS: Final = {
    "indented": lambda shown: json.dumps(shown, indent=2).encode(),
    "with spaces": lambda shown: json.dumps(shown).encode(),
    "status first": lambda shown: encoded({"status": shown["status"], **shown}),
    "status amid": lambda shown: encoded({**shown, "later": {"status": shown["status"]}}),
    "the same value last": lambda shown: encoded({**shown, 'zz"status': shown["status"]}),
    "without a newline": lambda shown: encoded(shown).rstrip(),
    "with many": lambda shown: encoded(shown) + b" \r\n\n",
    "status alone": lambda shown: encoded({"status": shown["status"], "spec": shown["spec"], "metadata": {}}),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_wherever_the_status_stands(layout: Any) -> None:
    raw = layout(incident_pod())
    expected = told(json.loads(raw), RULES)
    assert expected is not None
    assert json.loads(tell(raw)[0]) == expected


def test_a_status_twice_is_read_as_the_api_machinery_reads_it() -> None:
    raw = b'{"status":' + encoded(incident_pod()["status"]) + b"," + encoded(incident_pod(phase="Failed"))[1:]
    assert tell(raw)[0] is raw


BROKEN: Final = {
    "cut": encoded(incident_pod())[:-9],
    "two values": encoded(incident_pod()) * 2,
    "not utf-8 where it is read": encoded(incident_pod()).replace(b"OOMKilled", b"\xff"),
    "half a surrogate where it is read": encoded(incident_pod()).replace(b"OOMKilled", b"\\ud800"),
    "a byte order mark": b"\xef\xbb\xbf" + encoded(incident_pod()),
    "NaN": encoded(incident_pod()).replace(b'"generation":1', b'"generation":NaN'),
    "very deep": b'{"terminated":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep in the status": b'{"status":{"terminated":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    "an exit code of another type": encoded(incident_pod()).replace(b'"exitCode":137', b'"exitCode":"137"'),
    "a status of another type": b'{"kind":"Pod","status":["terminated","terminated"]}',
    "a text": b'"terminated"',
    "a list": b'["terminated"]',
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_what_cannot_be_read_passes_and_is_counted(raw: bytes) -> None:
    changed, witness = tell(raw)
    assert changed is raw
    assert witness.why == ["broken"]


def test_a_large_exit_code_survives() -> None:
    raw, _ = tell(encoded(incident_pod()).replace(b'"exitCode":137', b'"exitCode":99999999999999999999999'))
    assert b'"exitCode":99999999999999999999999' in raw


def test_what_is_too_big_passes_and_is_counted_once_it_may_need_a_change() -> None:
    spare = LONGEST_WHOLE - len(encoded(incident_pod(labels={"x": ""})))
    fits, big = (encoded(incident_pod(labels={"x": "y" * size})) for size in (spare, spare + 1))
    assert len(fits) == LONGEST_WHOLE
    assert tell(fits)[1].changed == 1
    changed, witness = tell(big)
    assert changed is big
    assert witness.why == ["too-big"]
    for expecting in (False, True):
        witness = Remembering(expecting=expecting)
        unconcerned = big.replace(b'"terminated"', b'"running"')
        assert Teller(RULES, witness).tell(unconcerned) is unconcerned
        assert witness.why == []


def test_bytes_in_which_no_pod_needs_a_look() -> None:
    runs, ended = encoded(pod(container_status("sandbox", running()))), encoded(incident_pod())
    teller = Teller(RULES, Remembering())
    assert teller.indifferent(runs * 9)
    assert not teller.indifferent(runs + ended + runs)
    assert not Teller(RULES, Remembering(expecting=True)).indifferent(runs)
    assert not Teller(PodRules(max_restarts=1), Remembering()).indifferent(runs)


STATES: Final[dict[str, tuple[Json, PodState]]] = {
    "pulling": (pod(container_status("sandbox", waiting()), phase="Pending"), "starting"),
    "not ready": (
        pod(container_status("sandbox", running()), status={"conditions": conditions(ready=False)}),
        "starting",
    ),
    "ready": (pod(container_status("sandbox", running())), "ready"),
    "mains final": (incident_pod(), "over"),
    "failed": (pod(container_status("sandbox", running()), phase="Failed"), "over"),
    "succeeded": (pod(container_status("other", running()), phase="Succeeded"), "over"),
    "not enrolled": (incident_pod(annotations={"headgate.dev/phase-rewrite": "off"}), "starting"),
    "crash loop": (
        pod(container_status("sandbox", waiting(), last=terminated(1)), restart_policy="Always"),
        "starting",
    ),
    "no status": ({key: part for key, part in incident_pod().items() if key != "status"}, "starting"),
}


@pytest.mark.parametrize(("shown", "state"), STATES.values(), ids=STATES)
def test_what_a_waiting_hold_hears(shown: Json, state: PodState) -> None:
    witness = Remembering(expecting=True)
    raw = encoded(shown)
    Teller(RULES, witness).tell(raw)
    Teller(RULES, witness).tell(raw, gone=True)
    uid = shown["metadata"]["uid"]
    assert witness.seen == [PodSeen("agents-1", "agent-1", uid, state), PodSeen("agents-1", "agent-1", uid, "gone")]
    assert witness.why == []


def test_while_nobody_waits_pods_without_an_ended_container_are_not_read() -> None:
    for raw in (b'{"broken', encoded(pod(container_status("sandbox", running())))):
        changed, witness = tell(raw)
        assert changed is raw
        assert witness.why == []
    waited_for = Remembering(expecting=True)
    assert Teller(RULES, waited_for).tell(b'{"broken') == b'{"broken'
    assert waited_for.why == [], "it needed no change"
